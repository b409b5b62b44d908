"""Each fault of the stand-in is the one it says, and none keeps a download from ending complete."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest
from tests.replays.exchange import RunningStandIn

from trackmaster.cli import main
from trackmaster.replays.catalogue import Catalogue, catalogue_path
from trackmaster.replays.errors import FetchError
from trackmaster.replays.records import ReplayRecord
from trackmaster.replays.standin.crowd import crowd_exhibit
from trackmaster.replays.standin.faults import KINDS, PER_REQUEST, FaultPlan
from trackmaster.replays.standin.routes import Answer
from trackmaster.replays.standin.server import Behaviour
from trackmaster.replays.status import status_of
from trackmaster.replays.transport import HttpTransport

Serve = Callable[..., RunningStandIn]


@pytest.mark.parametrize("kind", PER_REQUEST)
def test_a_download_ends_complete_under_each_fault(
    kind: str, here: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(crowd_exhibit(4, 5), FaultPlan(0.3, (kind,), seed=4), Behaviour(retry_after="0", stall_s=1.0))
    monkeypatch.setenv("REPLAYS_DOWNLOAD_TIMEOUT_S", "0.2")
    (here / "ids.txt").write_text("1000\n1001\n1002\n1003\n")
    command = ["replays", "download", "--track-ids", "ids.txt", "--replays-dir", "r", "--attempts", "12"]
    assert main(command) == 0
    found = {path.read_bytes() for path in (here / "r").glob("*/*.gbx")}
    wanted = {row.content() for row in server.standin.exhibit.replays.values() if row.position is not None}
    assert found == wanted
    assert len(found) == 20
    assert {entry.fault for entry in server.log} == {kind, None}
    with Catalogue(catalogue_path(here / "r"), writable=False) as catalogue:
        sent = catalogue.one("SELECT SUM(requests) n FROM runs")
    assert sent is not None
    assert len(server.log) == sent["n"], "no request goes out that the pace does not know of"


EXPECTED = {
    "429": ("answer", 429), "500": ("answer", 500), "html": ("answer", 200), "short": ("answer", 200),
    "wrong": ("answer", 200), "timeout": ("error", "timeout"), "reset": ("error", "connection"),
    "cut": ("error", "cut_body"),
}  # fmt: skip


@pytest.mark.parametrize("kind", PER_REQUEST)
def test_faults_are_what_they_say_over_http(kind: str, serve: Serve) -> None:
    exhibit = crowd_exhibit(1, 3)
    whole = exhibit.replays[1_000_001].content()
    server = serve(exhibit, FaultPlan(1.0, (kind,)), Behaviour(stall_s=2.0, retry_after="7"))

    async def ask() -> tuple[str, object]:
        transport = HttpTransport(connections=1, timeout_s=0.3)
        try:
            answer = await transport.get(f"{server.url}/recordgbx/1000001", {"User-Agent": "x"}, max_bytes=1 << 20)
        except FetchError as error:
            return "error", error.reason
        finally:
            await transport.close()
        assert (answer.body == whole) is False
        assert (answer.body[:1] == b"<") == (kind in ("html", "500"))
        assert (answer.headers.get("Retry-After") == "7") == (kind == "429")
        return "answer", answer.status

    assert asyncio.run(ask()) == EXPECTED[kind]


def test_faults_follow_from_the_seed_alone() -> None:
    def draws(seed: int) -> list[str | None]:
        plan = FaultPlan(0.5, seed=seed)
        return [plan.draw(f"/recordgbx/{n % 7}", is_file=True) for n in range(200)]

    assert draws(1) == draws(1)
    assert draws(1) != draws(2)
    assert {kind for kind in draws(1) if kind} == set(PER_REQUEST)
    assert 70 < sum(kind is not None for kind in draws(1)) < 130
    assert set(PER_REQUEST) | {"deleted", "moving"} == set(KINDS)


def test_slow_answers_arrive_whole(here: Path, serve: Serve) -> None:
    serve(crowd_exhibit(1, 2), behaviour=Behaviour(bandwidth_bytes_per_s=200_000))
    assert main(["replays", "track", "--track-id", "1000", "--output-dir", "r"]) == 0
    assert len(list((here / "r" / "1000").iterdir())) == 2 + 1, "two replays and the index"


def test_moves_are_followed_on_the_same_host_only(here: Path, serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    server = serve(crowd_exhibit(1, 2))
    calm = server.standin.decide
    targets = {"/recordgbx/1000001": "/recordgbx/1000001?moved=1"}

    def moved(path: str, query: dict[str, str], headers: object, raw: str) -> tuple[Answer, str | None]:
        target = targets.get(raw)
        return (Answer(302, b"", {"Location": target}), None) if target else calm(path, query, headers, raw)

    server.standin.decide = moved
    assert main(["replays", "track", "--track-id", "1000", "--output-dir", "r"]) == 0
    assert len(list((here / "r" / "1000").iterdir())) == 2 + 1, "two replays and the index"
    targets["/recordgbx/1000002"] = "http://elsewhere.invalid/file"
    assert main(["replays", "track", "--track-id", "1000", "--output-dir", "other"]) == 1
    assert "the exchange moved to http://elsewhere.invalid/file" in capsys.readouterr().err


def test_a_server_that_wants_a_real_client_gets_one(serve: Serve) -> None:
    server = serve(crowd_exhibit(1, 1))

    async def bare() -> int:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{server.url}/api/tracks", headers={"User-Agent": ""}) as answer,
        ):
            return answer.status

    assert asyncio.run(bare()) == 403


def test_the_time_left_follows_from_the_newest_run(tmp_path: Path) -> None:
    now = [1_000.0]
    with Catalogue(tmp_path / "c.sqlite3", wall=lambda: now[0]) as catalogue:
        run = catalogue.begin_run("download")
        for track_id in range(1, 5):
            rows = [ReplayRecord(10 * track_id + i, 9_000 + i, i, "d", i) for i in range(1, 6)]
            catalogue.note_replays(track_id, rows, {row.replay_id: f"{track_id}/{row.replay_id}" for row in rows}, 50)
        for replay_id in (11, 12, 13, 14, 15, 21, 22, 23, 24, 25):
            catalogue.set_replay(replay_id, "done", bytes=1_000)
        catalogue.set_replay(31, "failed", "timeout: nothing came for 30 s")
        catalogue.set_replay(32, "gone", "status_410")
        now[0] += 5.0
        catalogue.keep_run(run, tracks_total=10, tracks_done=2, replays_done=10, requests=14, received_bytes=10_000)
        status = status_of(catalogue)
    assert status.run is not None
    assert status.run.files_per_s == 2.0
    assert not status.run.is_ended
    # 8 wanted and 1 failed of the listed tracks, and 5 replays for each of the 8 tracks to come.
    assert status.seconds_left == (9 + 8 * 5) / 2.0
    assert status.reasons == {"timeout": 1, "status_410": 1}
    assert status.size_bytes == 10_000

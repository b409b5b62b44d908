"""The exchange is asked no faster than promised, and left alone when it asks for it; time is the loop's own."""

import asyncio
import random
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tests.replays.exchange import DirectTransport, InlinePool, direct_client, run_virtual

from trackmaster.errors import ConfigError
from trackmaster.replays.catalogue import Catalogue
from trackmaster.replays.client import ExchangeClient
from trackmaster.replays.config import ListConfig
from trackmaster.replays.errors import ExchangeError, FetchError
from trackmaster.replays.fetcher import Fetcher, contact_or_warning, user_agent
from trackmaster.replays.files import FileFetcher
from trackmaster.replays.manners import LONGEST_BACKOFF_S, Backoff, Manners, retry_after_s
from trackmaster.replays.pipeline import Pipeline, Plan
from trackmaster.replays.standin.crowd import crowd_exhibit
from trackmaster.replays.standin.faults import FaultPlan
from trackmaster.replays.standin.routes import Answer
from trackmaster.replays.standin.server import Behaviour, LogEntry, StandIn
from trackmaster.replays.tasks import Counts


def download(standin: StandIn, folder: Path, manners: Manners) -> tuple[Counts, list[LogEntry]]:
    """Fetch everything that a stand-in shows, in the loop's own time."""

    async def work() -> tuple[Counts, list[LogEntry]]:
        with Catalogue(folder / "catalogue.sqlite3") as catalogue:
            client, transport = direct_client(standin, manners, catalogue)
            files = FileFetcher(client, InlinePool(), folder, max_bytes=1 << 20, is_full=False)
            plan = Plan(folder, folder / "maps", workers=256, api_workers=32)
            counts = await Pipeline(client, catalogue, files, plan, lambda _: None).run(sorted(standin.exhibit.tracks))
            return counts, transport.log

    return run_virtual(work())


def gaps(log: list[LogEntry], part: str) -> list[float]:
    times = [entry.at_s for entry in log if entry.path.startswith(part)]
    assert times == sorted(times)
    return [later - earlier for earlier, later in pairwise(times)]


def test_default_manners_never_go_above_the_limit_however_many_workers_there_are(tmp_path: Path) -> None:
    standin = StandIn(crowd_exhibit(30, 5), behaviour=Behaviour(latency_s=0.05))
    counts, log = download(standin, tmp_path, Manners())
    assert counts.done == 150
    assert min(gaps(log, "/api/")) >= 1.0 - 1e-9, "listings: one a second"
    assert min(gaps(log, "/recordgbx/")) >= 0.5 - 1e-9, "files: two a second"
    assert max(entry.under_way for entry in log) <= 2
    assert log[-1].at_s - log[0].at_s < 150 * 0.5 + 10, "and no slower than promised either"
    assert {entry.user_agent for entry in log} == {user_agent("tests")}


def test_the_rate_holds_while_things_go_wrong(tmp_path: Path) -> None:
    faults = FaultPlan(0.3, ("429", "500", "timeout", "reset", "html"), seed=3)
    standin = StandIn(crowd_exhibit(20, 5), faults, Behaviour(0.05, retry_after="20"))
    counts, log = download(standin, tmp_path, Manners(attempts=12))
    assert counts.done == 100
    assert min(gaps(log, "/api/")) >= 1.0 - 1e-9
    assert min(gaps(log, "/recordgbx/")) >= 0.5 - 1e-9
    refusals = [entry.at_s for entry in log if entry.status == 429]
    assert len(refusals) > 5
    for at_s in refusals:
        # One more request may be under way already when the refusal arrives; after that there is silence.
        early = [entry for entry in log if at_s + 0.05 < entry.at_s < at_s + 0.05 + 20 - 1e-6]
        assert early == [], "Retry-After holds for every request to the host"


def test_moves_on_the_same_server_keep_the_pace(tmp_path: Path) -> None:
    standin = StandIn(crowd_exhibit(3, 4), behaviour=Behaviour(latency_s=0.05))
    calm = standin.decide

    def moving(path: str, query: dict[str, str], headers: Mapping[str, str], raw: str) -> tuple[Answer, str | None]:
        if path.startswith("/recordgbx/"):
            return Answer(302, b"", {"Location": f"/moved{path}"}), None
        return calm(path.removeprefix("/moved"), query, headers, raw)

    standin.decide = moving
    counts, log = download(standin, tmp_path, Manners())
    assert counts.done == 12
    files = [entry for entry in log if "/recordgbx/" in entry.path]
    assert len(files) == 24
    assert min(later.at_s - earlier.at_s for earlier, later in pairwise(files)) >= 0.5 - 1e-9
    standin.decide = lambda *_: (Answer(302, b"", {"Location": "/round"}), None)
    with pytest.raises(ExchangeError, match="moved to /round"):
        download(standin, tmp_path / "other", Manners())


def test_the_last_try_of_an_item_holds_back_the_others_too(tmp_path: Path) -> None:
    standin = StandIn(crowd_exhibit(6, 1))
    calm = standin.decide
    answered = 0

    def busy(*request: Any) -> tuple[Answer, str | None]:
        nonlocal answered
        answered += 1
        return (Answer(429, b"", {"Retry-After": "300"}), "429") if answered == 4 else calm(*request)

    standin.decide = busy
    _, log = download(standin, tmp_path, Manners(connections=1, attempts=1))
    assert gaps(log, "/")[3] == pytest.approx(300)


def test_a_wish_for_a_long_silence_ends_the_run(tmp_path: Path) -> None:
    standin = StandIn(crowd_exhibit(1, 1))
    standin.decide = lambda *_: (Answer(503, b"", {"Retry-After": "7200"}), "500")
    with pytest.raises(ExchangeError, match=r"left alone for 2\.0 hours.*kept"):
        download(standin, tmp_path, Manners())


def test_waits_double_after_each_error_of_an_item(tmp_path: Path) -> None:
    standin = StandIn(crowd_exhibit(1, 1))
    replay = next(row.replay_id for row in standin.exhibit.replays.values() if row.position == 1)
    calm = standin.decide

    def broken(path: str, *rest: object) -> tuple[Answer, str | None]:
        return (Answer(500), "500") if path == f"/recordgbx/{replay}" else calm(path, *rest)

    standin.decide = broken
    counts, log = download(standin, tmp_path, Manners(attempts=6, backoff_s=5.0))
    assert counts.failed == 1
    waits = gaps([entry for entry in log if "recordgbx" in entry.path], "/recordgbx/")
    assert len(waits) == 5
    for number, wait_s in enumerate(waits):
        assert 2.5 * 2**number <= wait_s <= 5.0 * 2**number + 0.5


def test_backoff_ends_at_ten_minutes() -> None:
    backoff = Backoff(5.0, random.Random(0))
    assert all(LONGEST_BACKOFF_S / 2 <= backoff.delay_s(n) <= LONGEST_BACKOFF_S for n in (8, 20, 5_000))
    assert len({backoff.delay_s(3) for _ in range(9)}) > 1, "with jitter, so that tries do not meet"


def test_a_site_in_trouble_is_left_alone_and_found_again(tmp_path: Path) -> None:
    standin = StandIn(crowd_exhibit(10, 3))
    calm = standin.decide
    answered = 0

    def trouble(*request: object) -> tuple[Answer, str | None]:
        nonlocal answered
        answered += 1
        return (Answer(503), "500") if 20 < answered <= 34 else calm(*request)

    standin.decide = trouble
    counts, log = download(standin, tmp_path, Manners(0, 0, connections=4, attempts=30, backoff_s=0.1, break_s=60.0))
    assert counts.done == 30, "nothing is lost"
    bad = [entry.at_s for entry in log if entry.status == 503]
    pauses = [later - earlier for earlier, later in pairwise(bad) if later - earlier > 30]
    assert pauses == [pytest.approx(60, abs=1), pytest.approx(120, abs=1), pytest.approx(240, abs=1)]
    assert len(bad) == 14, "ten and those under way, then one probe at a time"


def test_a_site_that_stays_down_ends_the_run_with_a_sentence(tmp_path: Path) -> None:
    standin = StandIn(crowd_exhibit(10, 3))
    standin.decide = lambda *_: (Answer(502), "500")
    with pytest.raises(ExchangeError, match=r"did not give one good answer .* kept: .* again later"):
        download(standin, tmp_path, Manners(attempts=100))


def test_a_refusal_stops_everything_at_once(tmp_path: Path) -> None:
    standin = StandIn(crowd_exhibit(10, 3), behaviour=Behaviour(0.05))
    calm = standin.decide
    asked: list[str] = []

    def closed(path: str, *rest: object) -> tuple[Answer, str | None]:
        asked.append(path)
        return (Answer(403), None) if len(asked) > 8 else calm(path, *rest)

    standin.decide = closed
    with pytest.raises(ExchangeError, match=r"refuses us \(status 403\).*TRACKMASTER_CONTACT"):
        download(standin, tmp_path, Manners())
    assert len(asked) <= 10, "only what was under way already"


def test_wrong_files_are_no_trouble_of_the_site(tmp_path: Path) -> None:
    standin = StandIn(crowd_exhibit(7, 10))
    for row in standin.exhibit.tracks[1003].replays:
        row.content = standin.exhibit.replays[1_000_001].content
    counts, log = download(standin, tmp_path, Manners(0, 0, connections=1))
    assert counts.rejected == 10
    assert counts.done == 60
    assert log[-1].at_s - log[0].at_s < 60, "nobody waited for the site to come back"


def test_a_request_that_is_not_understood_is_not_repeated(tmp_path: Path) -> None:
    standin = StandIn(crowd_exhibit(90, 1))
    calm = standin.decide
    standin.decide = lambda path, *rest: (Answer(400, b"no"), None) if path == "/api/replays" else calm(path, *rest)
    with pytest.raises(ExchangeError, match="does not understand"):
        download(standin, tmp_path, Manners(0, 0))
    standin = StandIn(crowd_exhibit(9, 1))
    some = standin.decide
    standin.decide = lambda path, query, *rest: (
        (Answer(400, b"no"), None) if query.get("trackId") == "1004" else some(path, query, *rest)
    )
    counts, log = download(standin, tmp_path / "other", Manners(0, 0))
    assert (counts.tracks_failed, counts.done) == (1, 8)
    assert sum("trackId=1004" in entry.path for entry in log) == 1


def test_a_probe_that_gives_up_hands_the_task_on() -> None:
    standin = StandIn(crowd_exhibit(1, 1))
    standin.decide = lambda *_: (Answer(500), "500")

    async def work() -> list[str]:
        transport = DirectTransport(standin)
        fetcher = Fetcher(transport, Manners(0, 0, 8, attempts=2, backoff_s=0.1, break_s=5.0), contact="",
                          rng=random.Random(1))  # fmt: skip
        client = ExchangeClient(fetcher, "http://exchange")

        async def one(replay_id: int) -> str:
            try:
                await client.replay_file(replay_id, lambda _: asyncio.sleep(0), max_bytes=1 << 20)
            except FetchError as error:
                return error.reason
            return "ok"

        return list(await asyncio.gather(*(one(n) for n in range(7))))

    assert run_virtual(work()) == ["status_500"] * 7


@pytest.mark.parametrize(
    ("value", "expected"),
    [("7", 7.0), ("0", 0.0), ("-3", 0.0), ("1.5", 1.5), ("999999", 999_999.0), ("Thu, 01 Jan 2026 00:00:30 GMT", 30.0),
     ("Wed, 31 Dec 2025 00:00:00 GMT", 0.0), ("soon", None), ("", None), (None, None), ("nan", None), ("inf", None),
     ("Mon, 01 Jan 99999999999 00:00:00 GMT", None)],
)  # fmt: skip
def test_retry_after_is_read_in_both_forms(value: str | None, expected: float | None) -> None:
    assert retry_after_s(value, datetime(2026, 1, 1, tzinfo=UTC)) == expected


def test_the_user_agent_names_tool_version_and_contact(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("TRACKMASTER_CONTACT", raising=False)
    assert contact_or_warning(None) == ""
    assert [record.message for record in caplog.records if "TRACKMASTER_CONTACT" in record.message]
    assert len(caplog.records) == 1, "one warning"
    monkeypatch.setenv("TRACKMASTER_CONTACT", "me@example.org")
    assert user_agent(contact_or_warning(None)).endswith("(me@example.org)")
    assert user_agent("a\r\nX-Evil: 1 (b)") == user_agent("aX-Evil: 1 b")


@pytest.mark.parametrize("flags", [["--rate", "0"], ["--api-rate", "0"], ["--rate", "0", "--rate-delay", "1"]])
@pytest.mark.parametrize("url", ["https://tmnf.exchange", "http://8.8.8.8", "https://localhost.example.org"])
def test_no_limit_is_refused_where_the_server_is_not_our_own(flags: list[str], url: str) -> None:
    with pytest.raises(ConfigError, match=r"--(api-)?rate 0 \(no limit\) is for a stand-in .* is neither"):
        ListConfig.load([*flags, "--url", url], environment={})
    assert ListConfig.load([flags[0], "0.5", "--url", url], environment={}).manners.api_per_s > 0
    with pytest.raises(ConfigError, match="finite"):
        ListConfig.load([flags[0], "inf", "--url", url], environment={})


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8471", "http://LOCALHOST:1", "http://[::1]:1", "http://192.168.1.7", "http://10.0.0.2:80"]
)
def test_no_limit_is_for_a_stand_in_of_our_own(url: str) -> None:
    assert ListConfig.load(["--rate", "0", "--url", url], environment={}).manners.files_per_s == 0

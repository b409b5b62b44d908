"""One run per folder, per catalogue and per server; whoever is kept out hears who is at work."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.replays.exchange import RunningStandIn

from trackmaster.cli import main
from trackmaster.replays.config import ListConfig
from trackmaster.replays.errors import CatalogueError
from trackmaster.replays.locks import folder_lock, host_lock
from trackmaster.replays.session import exchange_session
from trackmaster.replays.standin.crowd import crowd_exhibit

Serve = Callable[..., RunningStandIn]
TRACK = ["replays", "track", "--track-id", "1000", "--output-dir", "r"]
SITE = "https://tmnf.exchange"


@pytest.mark.parametrize(
    ("held", "flags"),
    [
        (("r", None), []),
        (("r", None), ["--catalogue", "own.sqlite"]),
        (("r", "own.sqlite"), []),
        (("other", "own.sqlite"), ["--catalogue", "own.sqlite"]),
    ],
)
def test_two_runs_in_one_folder_or_with_one_catalogue_are_refused(
    held: tuple[str, str | None], flags: list[str], here: Path, serve: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    serve(crowd_exhibit(1, 1))
    folder, catalogue = held
    with folder_lock(here / folder, here / catalogue if catalogue else None, purpose="'replays download'"):
        assert main([*TRACK, *flags]) == 1
    said = capsys.readouterr().err
    assert "r: another run is at work in this folder or with its catalogue" in said
    assert f"(process {os.getpid()}, 'replays download' in {here / folder}, since 20" in said
    assert main([*TRACK, *flags]) == 0
    assert not list(here.rglob("*.holder"))


def test_one_process_asks_a_server_whatever_the_folders(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKMASTER_HOME", str(here / "home"))

    async def both(first: ListConfig, second: ListConfig) -> None:
        async with exchange_session(first, here / "a", "list"), exchange_session(second, here / "b", "track"):
            pass

    def config(url: str, **others: bool) -> ListConfig:
        return ListConfig(url=url, contact="tests", **others)

    for second in (config(SITE), config("http://TMNF.Exchange.:80/"), config(SITE, dry_run=True)):
        with pytest.raises(
            CatalogueError,
            match=r"asking tmnf\.exchange \(process \d+, 'replays list' for .*a, since .*double the rate",
        ):
            asyncio.run(both(config(SITE), second))
    asyncio.run(both(config(SITE), config("https://tm.example.org")))
    asyncio.run(both(config("http://127.0.0.1:1"), config("http://127.0.0.1:1")))
    assert sorted(p.name for p in (here / "home" / "hosts").iterdir()) == ["tm.example.org.lock", "tmnf.exchange.lock"]


def test_a_killed_run_holds_nothing(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKMASTER_HOME", str(here / "home"))
    code = (
        "import sys; from trackmaster.replays.locks import host_lock\n"
        f"with host_lock({SITE!r}, purpose='a test'): print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == "held\n"
        with pytest.raises(CatalogueError, match=f"process {run.pid}, a test"), host_lock(SITE, purpose="another"):
            pass
        run.kill()
    with host_lock(SITE, purpose="another"):
        pass


def test_who_holds_a_lock_need_not_be_told(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKMASTER_HOME", str(here))
    with host_lock(SITE, purpose="a test"):
        holder = here / "hosts" / "tmnf.exchange.lock.holder"
        holder.write_bytes(b"\x1b[2J\xff" + b"x" * 5_000)
        with pytest.raises(CatalogueError, match=r"\(\?\[2J"), host_lock(SITE, purpose="another"):
            pass
        holder.unlink()
        with pytest.raises(CatalogueError, match=r"\(another process\)"), host_lock(SITE, purpose="another"):
            pass

"""Stand-ins on real ports, and a place to download to."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.replays.exchange import RunningStandIn

from trackmaster.replays.standin.crowd import crowd_exhibit
from trackmaster.replays.standin.exhibit import Exhibit
from trackmaster.replays.standin.faults import FaultPlan
from trackmaster.replays.standin.folder import bundled_exhibit
from trackmaster.replays.standin.server import Behaviour


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., RunningStandIn]]:
    """Start stand-ins; the last one is the exchange of all verbs, without limits of rate."""
    running: list[RunningStandIn] = []

    def start(
        exhibit: Exhibit | None = None, faults: FaultPlan | None = None, behaviour: Behaviour | None = None
    ) -> RunningStandIn:
        found = RunningStandIn(exhibit or bundled_exhibit(), faults, behaviour).start()
        running.append(found)
        monkeypatch.setenv("TRACKMASTER_EXCHANGE_URL", found.url)
        monkeypatch.setenv("TRACKMASTER_CONTACT", "tests@localhost")
        for verb in ("LIST", "DOWNLOAD", "TRACK"):
            for name, value in (("RATE", "0"), ("BACKOFF_S", "0.01"), ("BREAK_S", "0.05"), ("TIMEOUT_S", "5")):
                monkeypatch.setenv(f"REPLAYS_{verb}_{name}", value)
            if verb != "LIST":
                monkeypatch.setenv(f"REPLAYS_{verb}_JOBS", "0")
        return found

    yield start
    for found in running:
        found.stop()


@pytest.fixture
def crowd() -> Exhibit:
    """Thirty tracks with five replays each."""
    return crowd_exhibit(30, 5)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path

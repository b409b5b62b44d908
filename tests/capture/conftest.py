"""A straight track, a run on it with curves of the steering wheel, and both as a real replay file."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from trackmaster import gbx
from trackmaster.game import SimulatorGame, record_ghost
from trackmaster.game.link.errors import SilentGameError
from trackmaster.game.setup.instances import Instance
from trackmaster.game.standin.server import Standin
from trackmaster.gbx import Challenge, Ghost, InputTimeline
from trackmaster.track import Track
from trackmaster.track.layout import RoadLayout

KEYS = np.full(800, 1, np.uint8)
KEYS[100:120] |= 4
KEYS[120:142] |= 8
KEYS[305:331] = 2


@pytest.fixture(scope="session")
def challenge() -> Challenge:
    """Start, four cells of road, a checkpoint, four cells, the finish."""
    road = RoadLayout(10, 1, 5, 0).straights(4).add("StadiumRoadMainCheckpoint")
    road.straights(4).add("StadiumRoadMainFinishLine").straights(4)
    return Challenge(uid="straight", name="Straight", blocks=tuple(road.blocks))


@pytest.fixture(scope="session")
def track(challenge: Challenge) -> Track:
    """The same, ready to drive."""
    return Track.from_challenge(challenge)


@pytest.fixture(scope="session")
def ghost(track: Track) -> Ghost:
    """A run over the track that steers and brakes."""
    return record_ghost(SimulatorGame(watched=False), track, InputTimeline.from_keys(KEYS), nickname="tester")


@pytest.fixture(scope="session")
def replay_bytes(challenge: Challenge, ghost: Ghost) -> bytes:
    """The run as a replay file."""
    return gbx.write_replay(gbx.write_challenge(challenge), ghost)


@pytest.fixture(scope="session")
def short_challenge() -> Challenge:
    """Start, a checkpoint and the finish close together: driven in three seconds, for games that run tick by tick."""
    road = RoadLayout(10, 1, 5, 0).straights(1).add("StadiumRoadMainCheckpoint")
    road.add("StadiumRoadMainFinishLine").straights(4)
    return Challenge(uid="short", name="Short", blocks=tuple(road.blocks))


@pytest.fixture(scope="session")
def short_ghost(short_challenge: Challenge) -> Ghost:
    """A run over it that steers to both sides."""
    keys = np.full(500, 1, np.uint8)
    keys[100:110] |= 4
    keys[120:130] |= 8
    timeline = InputTimeline.from_keys(keys)
    return record_ghost(SimulatorGame(watched=False), Track.from_challenge(short_challenge), timeline, nickname="short")


@pytest.fixture(scope="session")
def short_replay_bytes(short_challenge: Challenge, short_ghost: Ghost) -> bytes:
    """The run as a replay file."""
    return gbx.write_replay(gbx.write_challenge(short_challenge), short_ghost)


def instance_in(folder: Path, port: int = 1, index: int = 0) -> Instance:
    """A game whose files lie in a folder of a test."""
    return Instance(index, port, folder / "TrackMania", folder / "TMInterface", "default")


def stall_races(monkeypatch: pytest.MonkeyPatch, game: Callable[[], Standin]) -> list[int]:
    """Let every race stand still from its start; return the lengths of the scripts that were loaded then."""
    loaded: list[int] = []

    def stall(*_: object, **__: object) -> Iterator[None]:
        loaded.append(len(game().game._script))
        raise SilentGameError("nothing came for 20 s.")
        yield None

    monkeypatch.setattr("trackmaster.capture.played.samples", stall)
    return loaded

"""Short straight tracks, stand-ins that drive on them, and a clock that jumps over waits for a game that hangs."""

import dataclasses
import select
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from trackmaster.game.link.client import LinkClient, Timeouts
from trackmaster.game.standin.faults import Fault
from trackmaster.game.standin.game import GameOptions
from trackmaster.game.standin.server import Standin
from trackmaster.gbx import Challenge, MediaClip
from trackmaster.track import Track, line_from_path
from trackmaster.track.layout import RoadLayout

STRAIGHT = "straight.Challenge.Gbx"
GATES = "gates.Challenge.Gbx"
INTRO = "intro.Challenge.Gbx"
FULL_GAS = "0 press up\n"


def road_of(name: str, *, gates: int, cells: int, laps: int = 1) -> Track:
    road = RoadLayout(10, 1, 2, 0).straights(cells)
    for _ in range(gates):
        road = road.add("StadiumRoadMainCheckpoint").straights(cells)
    road.add("StadiumRoadMainFinishLine").straights(4)
    track = Track.from_challenge(Challenge(uid=name, name=name.title(), blocks=tuple(road.blocks)))
    return dataclasses.replace(track, reference_line=line_from_path(track.centre_line(), map_uid=track.uid), laps=laps)


@pytest.fixture(scope="session")
def straight() -> Track:
    """Start, four cells of road, a checkpoint, four cells, the finish."""
    road = RoadLayout(10, 1, 5, 0).straights(4).add("StadiumRoadMainCheckpoint")
    road.straights(4).add("StadiumRoadMainFinishLine").straights(4)
    track = Track.from_challenge(Challenge(uid="straight", name="Straight", blocks=tuple(road.blocks)))
    return dataclasses.replace(track, reference_line=line_from_path(track.centre_line(), map_uid=track.uid))


@pytest.fixture(scope="session")
def short_road() -> Track:
    """Four checkpoints close together and a finish: five passes in a few seconds."""
    return road_of("gates", gates=4, cells=1)


@pytest.fixture(scope="session")
def intro_road(straight: Track) -> Track:
    """The straight with an intro clip, which waits for a key."""
    clip = MediaClip("intro", ())
    return dataclasses.replace(
        straight, uid="intro", challenge=dataclasses.replace(straight.challenge, uid="intro", intro_clip=clip)
    )


@pytest.fixture
def options(straight: Track, short_road: Track, intro_road: Track) -> GameOptions:
    """A game that knows the tracks of these tests and one script that goes straight on."""
    return GameOptions(
        tracks={STRAIGHT: straight, GATES: short_road, INTRO: intro_road}, scripts={"go.txt": FULL_GAS}, load_frames=3
    )


@pytest.fixture
def start(options: GameOptions) -> Iterator[Callable[..., Standin]]:
    """Start stand-ins; keywords go to ``GameOptions`` and ``Standin``; all are stopped at the end."""
    running: list[Standin] = []

    def begin(
        *faults: str, speaks_ours: bool = True, clock: object = None, watch: Any = None, **changes: object
    ) -> Standin:
        standin = Standin(
            dataclasses.replace(options, **changes),
            faults=[Fault.parse(text) for text in faults],
            watch=watch,
            speaks_ours=speaks_ours,
            clock=clock,  # type: ignore[arg-type]
        )
        running.append(standin)
        return standin.start()

    yield begin
    for standin in running:
        standin.stop()
        assert standin.error is None


class JumpingClock:
    """Real time until ``may_jump`` says that nothing will come any more; from then on every wait is over at once."""

    def __init__(self, may_jump: Callable[[socket.socket], bool] = lambda _: False) -> None:
        self._may_jump = may_jump
        self._jumped_s = 0.0

    def now_s(self) -> float:
        return time.monotonic() + self._jumped_s

    def wait_readable(self, connection: socket.socket, timeout_s: float) -> bool:
        deadline = self.now_s() + timeout_s
        while True:
            is_over = self._may_jump(connection)  # asked first: what came before it was so is still to be read
            if select.select([connection], [], [], 0.01)[0]:
                return True
            if is_over:
                self._jumped_s += max(0.0, deadline - self.now_s())
            if self.now_s() >= deadline:
                return False

    def sleep(self, seconds: float) -> None:
        self._jumped_s += seconds

    def jump(self, seconds: float) -> None:
        self._jumped_s += seconds


def waits_for_ever(standin: Standin) -> Callable[[socket.socket], bool]:
    """Whether a client of this stand-in will hear nothing more: the game hangs, or it is idle and asks nothing."""

    def so_it_is(connection: socket.socket) -> bool:
        if standin.hung.is_set():
            return True
        if standin._faults.faults:
            return False  # what is to go wrong has not happened yet
        session = standin.plugin.session
        is_ours = session.wire is not None and session.wire.serves(connection)
        is_asked = session.greets or session.request is not None or session.waits_for is not None
        return is_ours and not is_asked and standin.game.is_idle and not standin.plugin.holds_tick

    return so_it_is


@pytest.fixture
def patient_clock() -> Callable[[Standin], JumpingClock]:
    """Make a clock that jumps where a stand-in will say nothing more."""
    return lambda standin: JumpingClock(waits_for_ever(standin))


@pytest.fixture
def jumping_clock() -> type[JumpingClock]:
    """The class, for tests that need one or several."""
    return JumpingClock


@pytest.fixture
def connect() -> Iterator[Callable[..., LinkClient]]:
    """Clients of stand-ins, closed at the end."""
    clients: list[LinkClient] = []

    def begin(standin: Standin, *, speak_plain: bool = False, clock: object = None) -> LinkClient:
        client = LinkClient(
            standin.port,
            speak_plain=speak_plain,
            clock=clock,  # type: ignore[arg-type]
            timeouts=Timeouts(connect_s=60, answer_s=60, event_s=60),
        )
        clients.append(client)
        return client

    yield begin
    for client in clients:
        client.abort()

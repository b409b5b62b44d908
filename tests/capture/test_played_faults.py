"""Every stall of a game has its reason within its time-out, and a broken connection costs a try, not a replay."""

import random
import select
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from trackmaster.capture import CaptureConfig
from trackmaster.capture.discover import ReplayFile
from trackmaster.capture.errors import ReplayRejectedError, WorkerLostError
from trackmaster.capture.lines import LineShelf
from trackmaster.capture.outcomes import Outcome
from trackmaster.capture.played import PlayedRecorder, replay_limit_s
from trackmaster.capture.replay import ReplayCapture
from trackmaster.capture.simulated import SimulatedRecorder
from trackmaster.capture.staging import stage_maps
from trackmaster.files import sha256_of
from trackmaster.game.link.client import LinkClient
from trackmaster.game.link.play import RUN_TIMEOUT_MS
from trackmaster.game.link.protocol import Message
from trackmaster.game.standin.commands import PLAIN
from trackmaster.game.standin.faults import Fault
from trackmaster.game.standin.game import GameOptions, Screen
from trackmaster.game.standin.server import Standin

from .conftest import instance_in, stall_races

WAITING = {Screen.MENUS, Screen.MEDALS}
LONG = 1_000_000_000


class JumpingClock:
    """Real time until ``may_jump`` says that nothing will come any more; then every wait is over at once."""

    def __init__(self, may_jump: Callable[[], bool], seconds_per_wait: float = 0.0) -> None:
        self.may_jump = may_jump
        self.seconds_per_wait = seconds_per_wait
        self.jumped_s = 0.0

    def now_s(self) -> float:
        return time.monotonic() + self.jumped_s

    def wait_readable(self, connection: socket.socket, timeout_s: float) -> bool:
        self.jumped_s += self.seconds_per_wait
        deadline = self.now_s() + timeout_s
        while not select.select([connection], [], [], 0.01)[0]:
            if self.may_jump():
                self.jumped_s += max(0.0, deadline - self.now_s())
            if self.now_s() >= deadline:
                return False
        return True

    def sleep(self, seconds: float) -> None:
        self.jumped_s += seconds


class Scene:
    """One replay, its expected frames, and games that play it."""

    def __init__(self, folder: Path, replay_bytes: bytes) -> None:
        self.folder = folder
        replays = folder / "replays" / "1"
        replays.mkdir(parents=True)
        (replays / "a.replay.gbx").write_bytes(replay_bytes)
        self.file = ReplayFile(replays / "a.replay.gbx", "1")
        self.flags = CaptureConfig(
            replays_dir=folder / "replays", output_dir=folder / "out", tracks_dir=folder / "tracks",
            vcp_dir=folder / "vcp", width=24, height=16, fps=10, mode="drive", running_speed=16.0, use_tqdm=False,
            sample_tolerance_m=0.001,
        )  # fmt: skip
        place = instance_in(folder)
        stage_maps(self.flags, [self.file], [place])
        self.options = GameOptions(base_path=place.user_path, scripts_path=place.scripts_path)
        self.game: Standin | None = None
        self.clock: JumpingClock | None = None

    @property
    def map_name(self) -> str:
        return next(instance_in(self.folder).challenges_path.iterdir()).name

    def start(self, *faults: str, speaks_ours: bool = True, **options: Any) -> Standin:
        plan = [Fault.parse(text) for text in faults]
        self.game = Standin(replace(self.options, **options), faults=plan, speaks_ours=speaks_ours)
        return self.game

    def recorder(self, may_jump: Callable[[], bool] | None = None, seconds_per_wait: float = 0.0) -> PlayedRecorder:
        assert self.game is not None
        self.clock = JumpingClock(may_jump or self.game.hung.is_set, seconds_per_wait)
        return PlayedRecorder(self.flags, instance_in(self.folder, self.game.port), clock=self.clock, patience_ms=1_000)

    def run(self, recorder: Any, out: str = "out") -> Outcome:
        flags = self.flags.model_copy(update={"output_dir": self.folder / out})
        noon = lambda: datetime(2026, 2, 18, 12, tzinfo=UTC)  # noqa: E731
        capturer = ReplayCapture(flags, recorder, LineShelf(flags, {}), noon)
        try:
            return capturer.run(self.file, sha256_of(self.file.path))
        finally:
            capturer.close()

    def frames(self, out: str = "out") -> dict[str, bytes]:
        folder = self.folder / out / "1" / "a.replay"
        return {path.name: path.read_bytes() for path in folder.iterdir() if path.name.startswith(("frame", "mani"))}


@pytest.fixture
def scene(tmp_path: Path, short_replay_bytes: bytes) -> Iterator[Scene]:
    scene = Scene(tmp_path, short_replay_bytes)
    yield scene
    if scene.game is not None:
        scene.game.stop()
        assert scene.game.error is None
    assert not list(scene.folder.rglob("*.part")), "no half folder stays"


@pytest.fixture
def reject(scene: Scene) -> Callable[..., tuple[str, float]]:
    """Run the replay, which has to be rejected; return the reason and the seconds until then on the game's clock."""

    def run(recorder: PlayedRecorder) -> tuple[str, float]:
        assert scene.clock is not None
        started = scene.clock.now_s()
        with pytest.raises(ReplayRejectedError) as caught:
            scene.run(recorder)
        assert str(caught.value)[-1] in ".?"
        assert not (scene.folder / "out" / "1").exists()
        return caught.value.reason, scene.clock.now_s() - started

    return run


# The five levels of the seeds


def test_level_1_a_map_that_does_not_begin(scene: Scene, reject: Callable[..., tuple[str, float]]) -> None:
    with scene.start(speaks_ours=False, is_focused=False) as game:
        reason, seconds = reject(scene.recorder(lambda: game.game.screen in WAITING))
    assert reason == "no_start"
    assert seconds < 40


def test_level_2_a_screen_that_is_neither_menu_nor_race(scene: Scene, reject: Callable[..., tuple[str, float]]) -> None:
    game = scene.start(speaks_ours=False, start_map=scene.map_name)
    game.game.screen = Screen.MEDALS
    game.game.is_focused = False
    with game:
        reason, seconds = reject(scene.recorder(lambda: game.game.screen in WAITING))
    assert reason == "stuck_menu"
    assert seconds < 40


@pytest.mark.parametrize("speaks_ours", [True, False])
@pytest.mark.parametrize("fault", ["hang@race:200", "hang@frame:10", "hang@checkpoint", "hang@finish"])
def test_level_3_a_race_that_stands_still(
    scene: Scene, reject: Callable[..., tuple[str, float]], fault: str, speaks_ours: bool
) -> None:
    if "race" in fault and speaks_ours:
        pytest.skip("a plugin of ours sends samples in place of run steps")
    with scene.start(fault, speaks_ours=speaks_ours):
        reason, seconds = reject(scene.recorder())
    assert reason == "stalled"
    assert seconds < 60


def test_level_4_a_replay_that_takes_too_long(scene: Scene, reject: Callable[..., tuple[str, float]]) -> None:
    with scene.start():
        reason, seconds = reject(scene.recorder(seconds_per_wait=1.5))
    assert reason == "timeout"
    assert 300 < seconds < 330
    assert replay_limit_s(600_000, 1.0) == 960.0, "long races at low speed may take longer"


def test_level_5_a_connection_that_breaks_twice(scene: Scene, reject: Callable[..., tuple[str, float]]) -> None:
    with scene.start("drop@frame:5", "drop@frame:15"):
        recorder = scene.recorder()
        assert reject(recorder)[0] == "error:LostConnectionError"
        assert scene.run(recorder).status == "ok", "the next replay begins a new session"


# What breaks once


@pytest.fixture
def expected(scene: Scene) -> dict[str, bytes]:
    """The frames and the manifest as the simulator writes them."""
    scene.run(SimulatedRecorder(scene.flags), "inside")
    return scene.frames("inside")


BREAKS = [
    f"{kind}@{phase}"
    for kind in ("drop", "garbage")
    for phase in ("countdown:5", "race:40", "frame:3", "checkpoint", "finish")
]


@pytest.mark.parametrize("speaks_ours", [True, False])
@pytest.mark.parametrize("fault", [*BREAKS, "drop@load", "frame_size@frame:3", "slow@frame:3"])
def test_a_session_that_breaks_once_costs_a_try(
    scene: Scene, expected: dict[str, bytes], fault: str, speaks_ours: bool
) -> None:
    if "race" in fault and speaks_ours:
        pytest.skip("a plugin of ours sends samples in place of run steps")
    with scene.start(fault, speaks_ours=speaks_ours):
        assert scene.run(scene.recorder()).max_sample_error_m == 0.0
    assert scene.frames() == expected


@pytest.mark.parametrize("speaks_ours", [True, False])
def test_a_map_that_was_asked_for_twice_does_not_load_into_the_race(
    scene: Scene, expected: dict[str, bytes], speaks_ours: bool
) -> None:
    # The session breaks when the map stands in the game's queue: the second try puts it there once more.
    game = scene.start("garbage@menus", speaks_ours=speaks_ours, load_frames=LONG)
    recorder, begun, draw = scene.recorder(), list[str | None](), game.game.frame

    def frame() -> None:
        queue = game.game._queue
        if len(queue) > 1 and queue[0][1] >= LONG:
            queue.extend([(queue.popleft()[0], 0), (queue.popleft()[0], 0)])
        draw()

    game.game.frame = frame  # type: ignore[method-assign]
    game._faults.watch = lambda phase, _: begun.append(recorder._player.map_name) if phase == "load" else None
    with game:
        assert scene.run(recorder).max_sample_error_m == 0.0
    assert begun == [None, None], "the race begins when the last of them has loaded"
    assert scene.frames() == expected


def test_a_run_that_does_not_repeat_is_rejected_and_not_tried_again(
    scene: Scene, reject: Callable[..., tuple[str, float]]
) -> None:
    with scene.start("diverge@frame:10"):
        assert reject(scene.recorder())[0].startswith(("sample_diff:", "finish_diff:", "cp_diff:"))


def test_a_game_that_is_not_there_gives_the_replay_back(scene: Scene) -> None:
    game = scene.start()
    recorder = scene.recorder()
    game.start().stop()
    with pytest.raises(WorkerLostError, match="nothing listens on port"):
        scene.run(recorder)


def test_a_game_that_hangs_while_loading_is_given_up(scene: Scene) -> None:
    with scene.start("hang@load"), pytest.raises(WorkerLostError, match="says nothing"):
        scene.run(scene.recorder())


# Manners of the game


@pytest.mark.parametrize("order", ["first in, first out", "last in, first out", "shuffled"])
def test_the_order_of_console_lines_in_one_message_does_not_matter(
    scene: Scene, expected: dict[str, bytes], order: str
) -> None:
    game = scene.start(speaks_ours=False)
    draw, together, chance = game.game.frame, [], random.Random(3)

    def frame() -> None:
        stack = game.game._stack
        if stack:
            together.append(tuple(stack))
        if order == "first in, first out":
            stack.reverse()  # the game takes them from the end
        elif order == "shuffled":
            chance.shuffle(stack)
        draw()

    game.game.frame = frame  # type: ignore[method-assign]
    with game:
        assert scene.run(scene.recorder()).status == "ok"
    assert scene.frames() == expected
    assert [lines for lines in together if "map " in " ".join(lines)] == [(f"map {scene.map_name}",)]
    preparing = next(number for number, lines in enumerate(together) if "set skip_map_load_screens true" in lines)
    loading = next(number for number, lines in enumerate(together) if any(line.startswith("load") for line in lines))
    assert max(preparing, loading) < together.index((f"map {scene.map_name}",))


def test_a_script_is_unloaded_although_the_last_run_stalled(
    scene: Scene, reject: Callable[..., tuple[str, float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = stall_races(monkeypatch, lambda: game)
    with scene.start(speaks_ours=False) as game:
        assert reject(scene.recorder(lambda: False))[0] == "stalled"
        assert loaded[0] > 0
        onlooker = LinkClient(game.port)
        onlooker.connect()  # the game runs what it was told before it greets the next one
        onlooker.close()
        assert game.game._script == []


@pytest.mark.parametrize("speaks_ours", [True, False])
def test_a_run_that_is_interrupted_between_two_messages_leaves_the_game_as_a_player_wants_it(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, speaks_ours: bool
) -> None:
    def interrupt(client: LinkClient, *_: object, **__: object) -> Iterator[None]:
        client.acknowledge()  # the race goes on, and its next tick waits for us
        raise KeyboardInterrupt
        yield None

    monkeypatch.setattr("trackmaster.capture.played.samples", interrupt)
    with scene.start(speaks_ours=speaks_ours) as game:
        recorder = PlayedRecorder(scene.flags, instance_in(scene.folder, game.port))  # with its usual patience
        with pytest.raises(KeyboardInterrupt):
            scene.run(recorder)
        onlooker = LinkClient(game.port)
        onlooker.connect()
        onlooker.close()
        assert (game.game.speed, game.game._script) == (1.0, [])
        timeouts = recorder._player.client.timeouts
        assert timeouts.connect_s > RUN_TIMEOUT_MS / 1_000, "the next replay waits for the game as long as this one did"


def test_a_hud_that_stays_is_seen_in_the_pictures(
    scene: Scene, reject: Callable[..., tuple[str, float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PLAIN, Message.C_TOGGLE_INTERFACE, lambda session: session.fields(Message.C_TOGGLE_INTERFACE))
    with scene.start(speaks_ours=False):
        assert reject(scene.recorder())[0] == "image"

"""Drive one lap with a trained actor and keep everything a picture of it needs."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trackmaster.env import EnvConfig, RacingEnv, controls
from trackmaster.env.actions import STEER, analog_controls
from trackmaster.game import CarState, CarStates, Inputs, SimulatorGame, Start
from trackmaster.game.state import stack_states
from trackmaster.gbx import InputTimeline
from trackmaster.gbx.commands import FULL_AXIS
from trackmaster.gbx.timeline import ACCELERATE, BRAKE, LEFT, RIGHT
from trackmaster.rl.actor import ActorModule
from trackmaster.rl.carried import CarriedState
from trackmaster.sim.appearance import Appearance
from trackmaster.track import Track
from trackmaster.units import format_race_time


@dataclass(frozen=True)
class Lap:
    """One drive from the start, tick by tick on the callback clock."""

    states: CarStates
    """(n,) one row per tick of 10 ms."""
    steer: NDArray[np.float32]
    """(n,) -1 left to +1 right, in force on the tick."""
    gas: NDArray[np.float32]
    """(n,) 0 or 1."""
    brake: NDArray[np.float32]
    """(n,) 0 or 1."""
    progress_m: NDArray[np.float64]
    """(n,) metres along the reference line since the start."""
    race_time_ms: int | None
    """Official time, None if the finish was not reached."""
    start: Start
    """Where it began."""

    def __len__(self) -> int:
        """Return the number of ticks."""
        return len(self.steer)


Watch = Callable[[CarState, float], None]
"""Is shown the car and its progress in metres, at the start and after every decision."""


def drive_lap(actor: ActorModule, track: Track, config: EnvConfig, start: Start, watch: Watch | None = None) -> Lap:
    """Let the actor drive greedily, then repeat the drive tick by tick (the simulator is deterministic).

    Args:
        actor: chooses actions from observations of ``config``.
        track: with a reference line.
        config: what the actor sees; the same as in training, without kept starts.
        start: where to begin.
        watch: sees it while it happens.
    """
    decisions, progress_m = _decide(actor, track, config, start, watch)
    ticks = config.ticks_per_action
    steering = analog_controls(decisions) if config.actions == "analog" else controls(decisions)
    steer, gas, brake = (np.concatenate(([0.0], np.repeat(values, ticks))) for values in steering)
    run = stack_states(list(_drive(track, start, steer, gas, brake)))
    is_finished = bool(run.finished.any())
    n = int(np.argmax(run.finished)) + 1 if is_finished else len(steer)
    metres = np.interp(np.arange(n), np.arange(len(progress_m)) * ticks, progress_m)
    time_ms = int(run.race_time_ms[n - 1]) if is_finished else None
    return Lap(run[:n], steer[:n], gas[:n], brake[:n], metres, time_ms, start)


def describe(lap: Lap) -> str:
    """Return how a drive ended."""
    metres = f"{float(lap.progress_m[-1]):.0f} m"
    if lap.race_time_ms is not None:
        return f"finished in {format_race_time(lap.race_time_ms)}"
    return f"no finish, {metres} of the track in {format_race_time(int(lap.states.time_ms[-1]))}"


def track_length_m(track: Track) -> float | None:
    """Return the metres from start to finish along the reference line, None without one."""
    return None if track.reference_line is None else track.reference_line.info.length_m


def look_colors(look: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return the colour of each triangle of a mesh, (F, 3) blue, green, red 0..255, from its (F,) appearance class."""
    palette = np.array(Appearance().colors, dtype=np.float64)
    colors: NDArray[np.float64] = palette[np.minimum(look, len(palette) - 1)]
    return colors


def lap_timeline(lap: Lap) -> InputTimeline:
    """Return the inputs of a lap as they would be made in a game: what acts on a tick was set one callback before.

    A lap that steers by more than full left and right needs the axis of a pad.
    """
    steer, gas, brake = lap.steer[1:], lap.gas[1:], lap.brake[1:]
    keys = (gas > 0) * ACCELERATE + (brake > 0) * BRAKE + (steer < 0) * LEFT + (steer > 0) * RIGHT
    timeline = InputTimeline.from_keys(keys)
    if np.isin(steer, (-1.0, 0.0, 1.0)).all():
        return timeline
    axis = np.round(steer * FULL_AXIS).astype(np.int32)
    pedals = timeline.keys_u8 & np.uint8(ACCELERATE | BRAKE)
    return replace(timeline, keys_u8=pedals, steer_i32=axis, steer_is_axis=np.ones(len(axis), dtype=bool))


def lap_frames(lap: Lap, track: Track, *, size_px: tuple[int, int], every: int) -> Iterator[NDArray[np.uint8]]:
    """Draw every ``every``-th tick of a lap by driving it once more, (H, W, 4) BGRA; the size is (width, height)."""
    game = SimulatorGame()
    try:
        for tick, _ in enumerate(_drive(track, lap.start, lap.steer, lap.gas, lap.brake, game)):
            if tick % every == 0:
                yield game.frame(*size_px)
    finally:
        game.close()


def _drive(
    track: Track,
    start: Start,
    steer: NDArray[np.floating],
    gas: NDArray[np.floating],
    brake: NDArray[np.floating],
    game: SimulatorGame | None = None,
) -> Iterator[CarState]:
    """Yield the state after the start and after each later tick, driven by the inputs in force on it."""
    own = SimulatorGame() if game is None else game
    try:
        own.load(track)
        yield own.reset_at(start)
        for tick in range(1, len(steer)):
            yield own.step(Inputs(float(steer[tick]), float(gas[tick]), float(brake[tick])), 1)
    finally:
        if game is None:
            own.close()


def _decide(
    actor: ActorModule, track: Track, config: EnvConfig, start: Start, watch: Watch | None
) -> tuple[NDArray[Any], Sequence[float]]:
    env, carried, test = RacingEnv(track, config), CarriedState(), np.ones(1, dtype=bool)
    try:
        observation, info = env.reset(options={"start": start})
        decisions: list[Any] = []
        progress_m, is_over = [float(info["progress_m"])], False
        while not is_over:
            if watch is not None and env.car is not None:
                watch(env.car, progress_m[-1])
            seen = {name: np.asarray(array)[None] for name, array in observation.items()}
            actions, told = actor.act_batch(carried.join(seen), test)
            carried.keep(told)
            decisions.append(_exact(actions[0]) if config.actions == "analog" else np.int64(actions[0]))
            observation, _, terminated, truncated, info = env.step(decisions[-1])
            progress_m.append(float(info["progress_m"]))
            is_over = terminated or truncated
        if watch is not None and env.car is not None:
            watch(env.car, progress_m[-1])
    finally:
        env.close()
    return np.array(decisions), progress_m


def _exact(action: NDArray[Any]) -> NDArray[np.float32]:
    """Round the steering of an analog action to what a replay or a script can say."""
    action = np.array(action, dtype=np.float32)
    action[STEER] = np.round(action[STEER] * FULL_AXIS) / FULL_AXIS
    return action

"""Drive one lap with a trained actor and keep everything a picture of it needs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trackmaster.env import EnvConfig, RacingEnv, controls
from trackmaster.game import CarState, CarStates, Inputs, SimulatorGame, Start
from trackmaster.game.state import stack_states
from trackmaster.gbx import InputTimeline
from trackmaster.gbx.timeline import ACCELERATE, BRAKE, LEFT, RIGHT
from trackmaster.rl.actor import ActorModule
from trackmaster.sim.appearance import Appearance
from trackmaster.track import Track


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


def drive_lap(actor: ActorModule, track: Track, config: EnvConfig, start: Start) -> Lap:
    """Let the actor drive greedily, then repeat the drive tick by tick (the simulator is deterministic).

    Args:
        actor: chooses actions from observations of ``config``.
        track: with a reference line.
        config: what the actor sees; the same as in training, without kept starts.
        start: where to begin.
    """
    decisions, progress_m = _decide(actor, track, config, start)
    ticks = config.ticks_per_action
    steer, gas, brake = (np.concatenate(([0.0], np.repeat(values, ticks))) for values in controls(decisions))
    run = stack_states(list(_drive(track, start, steer, gas, brake)))
    is_finished = bool(run.finished.any())
    n = int(np.argmax(run.finished)) + 1 if is_finished else len(steer)
    metres = np.interp(np.arange(n), np.arange(len(progress_m)) * ticks, progress_m)
    time_ms = int(run.race_time_ms[n - 1]) if is_finished else None
    return Lap(run[:n], steer[:n], gas[:n], brake[:n], metres, time_ms, start)


def track_length_m(track: Track) -> float | None:
    """Return the metres from start to finish along the reference line, None without one."""
    return None if track.reference_line is None else track.reference_line.info.length_m


def look_colors(look: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return the colour of each triangle of a mesh, (F, 3) blue, green, red 0..255, from its (F,) appearance class."""
    palette = np.array(Appearance().colors, dtype=np.float64)
    colors: NDArray[np.float64] = palette[np.minimum(look, len(palette) - 1)]
    return colors


def lap_timeline(lap: Lap) -> InputTimeline:
    """Return the keys of a lap as they would be pressed in a game: what acts on a tick was set one callback before."""
    steer, gas, brake = lap.steer[1:], lap.gas[1:], lap.brake[1:]
    keys = (gas > 0) * ACCELERATE + (brake > 0) * BRAKE + (steer < 0) * LEFT + (steer > 0) * RIGHT
    return InputTimeline.from_keys(keys)


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
    actor: ActorModule, track: Track, config: EnvConfig, start: Start
) -> tuple[NDArray[np.int64], Sequence[float]]:
    env = RacingEnv(track, config)
    try:
        observation, info = env.reset(options={"start": start})
        decisions: list[int] = []
        progress_m, is_over = [float(info["progress_m"])], False
        while not is_over:
            decisions.append(int(actor.act(observation, test=True)))
            observation, _, terminated, truncated, info = env.step(decisions[-1])
            progress_m.append(float(info["progress_m"]))
            is_over = terminated or truncated
    finally:
        env.close()
    return np.array(decisions, dtype=np.int64), progress_m

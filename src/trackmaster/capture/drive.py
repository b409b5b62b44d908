"""Mode ``drive``: the recorded inputs drive the car, and every ghost sample tells how far it strayed."""

import numpy as np
from numpy.typing import NDArray

from trackmaster.capture.trajectory import Trajectory
from trackmaster.game.base import Game
from trackmaster.game.recording import drive_timeline, gate_times, inputs_in_force
from trackmaster.gbx import GhostSamples, InputTimeline
from trackmaster.units import STATE_OFFSET_MS, TICK_MS


def drive_trajectory(
    game: Game, timeline: InputTimeline, race_time_ms: int, samples: GhostSamples | None
) -> Trajectory:
    """Drive a loaded track from the start line with recorded inputs.

    Args:
        game: with the track loaded.
        timeline: inputs of the callbacks 0, 10, ..., race time.
        race_time_ms: when the run should finish.
        samples: the ghost to compare with; no comparison without it.
    """
    run = drive_timeline(game, timeline, stop_ms=race_time_ms)
    ticks = min(len(run.states), race_time_ms // TICK_MS + 1)
    steer, gas, brake = inputs_in_force(timeline, ticks)
    placed = run.respawned[:ticks].copy()
    placed[0] = True
    return Trajectory(
        run.states[:ticks],
        steer,
        gas,
        brake,
        placed,
        finish_ms=run.finish_ms,
        cp_ms=gate_times(run.states.time_ms, run.states.cp_count),
        errors_m=sample_errors(run.states.position_m, samples, race_time_ms),
    )


def sample_errors(
    position_m: NDArray[np.floating], samples: GhostSamples | None, race_time_ms: int
) -> NDArray[np.float64]:
    """Return the distance in metres to each ghost sample in the race, in order from the sample at 100 ms.

    Sample time s is the state of callback s - 10; the sample at 0 shows the car before any tick and has no callback.

    Args:
        position_m: (n, 3) of the callbacks 0, 10, ...
        samples: the ghost.
        race_time_ms: samples after it do not count.
    """
    if samples is None:
        return np.zeros(0)
    rows = (samples.time_ms.astype(np.int64) - STATE_OFFSET_MS) // TICK_MS
    inside = (samples.time_ms > 0) & (samples.time_ms <= race_time_ms) & (rows < len(position_m))
    apart = position_m[rows[inside]].astype(np.float64) - samples.position_m[inside]
    errors: NDArray[np.float64] = np.linalg.norm(apart, axis=1)
    return errors

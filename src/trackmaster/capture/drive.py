"""Mode ``drive``: the recorded inputs drive the car, and every ghost sample tells how far it strayed."""

import numpy as np
from numpy.typing import NDArray

from trackmaster.capture.ghost import inputs_in_force
from trackmaster.capture.trajectory import Trajectory
from trackmaster.game.base import Game
from trackmaster.game.state import CarState, Inputs, stack_states
from trackmaster.gbx import GhostSamples, InputTimeline
from trackmaster.units import STATE_OFFSET_MS, TICK_MS

RUN_OUT_MS = 600
"""How long to wait for a finish that comes late, so that a wrong time is reported instead of none."""


def drive_trajectory(
    game: Game, timeline: InputTimeline, race_time_ms: int, samples: GhostSamples | None
) -> Trajectory:
    """Drive a loaded track from the start line with recorded inputs.

    Args:
        game: with the track loaded.
        timeline: element k is set in the callback of 10 k ms and acts on the tick after it.
        race_time_ms: when the run should finish.
        samples: the ghost to compare with; no comparison without it.
    """
    steer, gas, brake = timeline.effective()
    ticks = len(timeline)
    states = [game.reset()]
    placed = [True]
    for k in range(ticks + RUN_OUT_MS // TICK_MS):
        now = states[-1]
        if now.finished and now.time_ms >= race_time_ms:
            break
        last = min(k, ticks - 1)
        respawn = k < ticks and bool(timeline.respawn_presses[k])
        inputs = Inputs(float(steer[last]), float(gas[last]), float(brake[last]), respawn)
        states.append(game.step(inputs, 1))
        placed.append(respawn)
    finish_ms = states[-1].race_time_ms if states[-1].finished else None
    errors = sample_errors(states, samples, race_time_ms)
    kept = states[: race_time_ms // TICK_MS + 1]
    in_force = inputs_in_force(timeline, len(kept))
    return Trajectory(
        stack_states(kept), *in_force, placed=np.array(placed[: len(kept)]), finish_ms=finish_ms, errors_m=errors
    )


def sample_errors(states: list[CarState], samples: GhostSamples | None, race_time_ms: int) -> NDArray[np.float64]:
    """Return the distance in metres to each ghost sample in the race, in order from the sample at 100 ms.

    Sample time s is the state of callback s - 10. The sample at 0 shows the car before any tick and has no callback.
    """
    if samples is None:
        return np.zeros(0)
    errors = [
        float(np.linalg.norm(states[index].position_m.astype(np.float64) - position))
        for time_ms, position in zip(samples.time_ms.tolist(), samples.position_m.astype(np.float64), strict=True)
        if 0 < time_ms <= race_time_ms and (index := (time_ms - STATE_OFFSET_MS) // TICK_MS) < len(states)
    ]
    return np.array(errors)

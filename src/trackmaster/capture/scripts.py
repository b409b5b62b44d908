"""The inputs of a replay as the game takes them, and whether it acted on them."""

import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trackmaster.capture.verify import Check
from trackmaster.errors import TrackmasterError
from trackmaster.gbx import Command, InputTimeline, from_script, to_script
from trackmaster.units import TICK_MS


@dataclass(frozen=True)
class RunScript:
    """One run as a script."""

    name: str
    """ASCII file name, the same for the same inputs."""
    text: str
    commands: Sequence[Command]


def delayed_respawns(timeline: InputTimeline, cp_times_ms: Sequence[int], after_ms: int) -> InputTimeline:
    """Return the inputs with every respawn at least ``after_ms`` after the gate before it.

    Args:
        timeline: of the run.
        cp_times_ms: race times of its gates; -1 where none was passed.
        after_ms: 0 changes nothing.
    """
    presses = np.zeros_like(timeline.respawn_presses)
    for row in np.flatnonzero(timeline.respawn_presses):
        gates = [time for time in cp_times_ms if 0 <= time <= row * TICK_MS]
        earliest = -(-(max(gates) + after_ms) // TICK_MS) if gates else row
        presses[min(max(row, earliest), len(presses) - 1)] += timeline.respawn_presses[row]
    return dataclasses.replace(timeline, respawn_presses=presses)


def run_script(timeline: InputTimeline, respawn_key: str = "enter") -> RunScript:
    """Return the script of a run: the same rule as for its labels, because both come from the timeline.

    Args:
        timeline: inputs.
        respawn_key: what the script presses for a respawn.
    """
    text = to_script(timeline)
    if respawn_key != "enter":
        text = text.replace(" press enter", f" press {respawn_key}")
    return RunScript(f"r{hashlib.sha256(text.encode()).hexdigest()[:16]}.txt", text, timeline.to_commands())


def inputs_check(record: str, timeline: InputTimeline) -> Check:
    """Compare the game's own record of a run with the inputs it was given.

    Args:
        record: the game's event buffer as a script.
        timeline: what should have acted.
    """
    try:
        acted = from_script(record, (len(timeline) - 1) * TICK_MS)
    except TrackmasterError as error:
        return Check(False, None, "inputs_diff", f"the game's record of the inputs cannot be read: {error}.")
    wanted = np.column_stack([*timeline.effective(), timeline.respawn_presses])
    found = np.column_stack([*acted.effective(), acted.respawn_presses])
    differs = np.flatnonzero((found != wanted).any(axis=1))
    first_ms = int(differs[0]) * TICK_MS if len(differs) else None
    return Check(
        first_ms is None,
        first_ms,
        "inputs_diff",
        f"the game's own record differs from the replay's inputs from {first_ms} ms on: somebody pressed keys, or the "
        "window had no focus.",
    )

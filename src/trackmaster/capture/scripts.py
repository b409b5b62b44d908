"""The inputs of a replay as the game takes them, and whether it acted on them."""

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


def run_script(timeline: InputTimeline) -> RunScript:
    """Return the script of a run: the same rule as for its labels, because both come from the timeline."""
    text = to_script(timeline)
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

"""Which blocks lead the simulator astray: how wrong the speed is one tenth of a second after standing on the ghost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trackmaster.capture.fidelity.drives import F64, SAMPLE_S, Bools, Recording
from trackmaster.capture.fidelity.state import drive_rows, warm_states
from trackmaster.capture.fidelity.windows import WARM_UP, Windows, rows_before, run_lengths
from trackmaster.sim import World
from trackmaster.track import Track
from trackmaster.track.whereabouts import block_names

MIN_BEFORE = 2


@dataclass(frozen=True, eq=False)
class BlockDrift:
    """What a tenth of a second on blocks of one name does.

    Attributes:
        name: of the block.
        drift_mps: (n, 3) mean extra velocity of the ghost over the simulator along the car's left, up and forward axes.
    """

    name: str
    drift_mps: F64

    @property
    def median_mps(self) -> float:
        """Median length."""
        return float(np.median(np.linalg.norm(self.drift_mps, axis=1)))


def drift_by_block(track: Track, recording: Recording, supported: Bools, *, device: str = "cpu") -> list[BlockDrift]:
    """Drive 0.1 s from every supported row on the ground, held on the ghost for half a second before.

    Args:
        track: the map of the supported rows.
        recording: all drives.
        supported: (R,) rows whose wheels stand on known surfaces of the track.
        device: where to simulate.
    """
    left, before = run_lengths(supported, recording), rows_before(supported, recording)
    rows = np.flatnonzero((left > 1) & (before >= MIN_BEFORE) & recording.contact.any(axis=1))
    if len(rows) == 0:
        return []
    n = len(rows)
    windows = Windows(rows, np.ones(n, np.int64), np.minimum(before[rows], WARM_UP), np.zeros(n))
    world = World(track, n, device=device)
    world.restore(warm_states(world, recording, windows, recording.slewed_steer))
    drive_rows(world, recording, rows)
    missed = (recording.position_m[rows + 1] - world.view.position_m) / SAMPLE_S
    drift = np.einsum("nji,nj->ni", recording.rotation[rows + 1], missed)
    names = block_names(track, recording.position_m[rows])
    return [BlockDrift(name, drift[names == name]) for name in np.unique(names).tolist()]


def joined(parts: list[BlockDrift]) -> list[BlockDrift]:
    """Return one entry per name, those that matter most (samples times median) first."""
    names = sorted({part.name for part in parts})
    found = [BlockDrift(name, np.concatenate([p.drift_mps for p in parts if p.name == name])) for name in names]
    return sorted(found, key=lambda drift: -drift.median_mps * len(drift.drift_mps))

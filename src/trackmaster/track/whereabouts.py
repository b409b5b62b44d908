"""Which block a place belongs to, for reports to people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trackmaster.units import CELL_SIZE_M

if TYPE_CHECKING:
    from trackmaster.track.track import Track

NO_BLOCK = "(no block)"


def block_names(track: Track, positions_m: NDArray[np.floating]) -> NDArray[np.str_]:
    """Return (n,) the name of the block under each car: of those in its column the one nearest in height.

    Args:
        track: the map; blocks without known geometry are not looked at.
        positions_m: (n, 3) origins of cars, world.
    """
    columns: dict[tuple[int, int], list[tuple[float, str]]] = {}
    for placed in track.blocks:
        top = placed.block.y + (1.0 if placed.spec.family == "platform" else 0.2)
        for column in placed.columns():
            columns.setdefault(column, []).append((top * CELL_SIZE_M[1], placed.block.name))
    names = []
    for x, y, z in np.asarray(positions_m, np.float64).tolist():
        there = columns.get((int(x // CELL_SIZE_M[0]), int(z // CELL_SIZE_M[2])), [])
        names.append(min(there, key=lambda item: abs(item[0] - y))[1] if there else NO_BLOCK)
    return np.array(names)

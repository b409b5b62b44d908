"""The grass of the stadium: one plane in as few rectangles as possible."""

from collections.abc import Iterable

import numpy as np

from trackmaster.track.catalogue.measured import GRASS_M
from trackmaster.track.mesh import Patch
from trackmaster.track.pose import GRID_COLUMNS
from trackmaster.track.shapes import Finish, rectangle
from trackmaster.track.surface import Look, Material
from trackmaster.units import CELL_SIZE_M

GRASS = Finish(Material.GRASS, Look.GRASS)


def grass_patches(holes: Iterable[tuple[int, int]] = ()) -> list[Patch]:
    """Return the grass of the whole map except the cells ``holes`` (x, z) that blocks replace."""
    free = np.ones((GRID_COLUMNS, GRID_COLUMNS), np.bool_)
    for x, z in holes:
        free[x, z] = False
    patches = []
    while free.any():
        x, z = (int(i) for i in np.argwhere(free)[0])
        width = _run(free[x:, z])
        depth = 1
        while z + depth < GRID_COLUMNS and free[x : x + width, z + depth].all():
            depth += 1
        free[x : x + width, z : z + depth] = False
        cx, _, cz = CELL_SIZE_M
        patches.append(rectangle((x * cx, z * cz), ((x + width) * cx, (z + depth) * cz), GRASS_M, GRASS))
    return patches


def _run(line: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> int:
    """Length of the unbroken run of True at the start of ``line``."""
    return len(line) if line.all() else int(np.argmin(line))

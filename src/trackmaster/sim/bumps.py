"""The bump tile of soft ground: our own substitute for the game's image.

The game shakes wheels on grass, sand and dirt by an 8-bit image of 128 x 128 pixels that repeats every 32 m. That image
may not be shipped. This tile of 1 m cells, a quarter of them raised, gives the ride height measured on real ghosts.

Source: ``car_physics.md`` section 5.5.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trackmaster.sim.constants import BUMP_SIZE

CELLS = 32
RAISED_SHARE = 0.25
SEED = 20080416


def bump_tile() -> NDArray[np.uint8]:
    """Return the tile, uint8 (128, 128), row = world z, column = world x; 0 means smooth."""
    generator = np.random.Generator(np.random.PCG64(SEED))
    raised = generator.random((CELLS, CELLS)) < RAISED_SHARE
    values = generator.integers(1, 256, (CELLS, CELLS), dtype=np.uint8)
    cells = np.where(raised, values, 0).astype(np.uint8)
    pixels = BUMP_SIZE // CELLS
    return np.repeat(np.repeat(cells, pixels, axis=0), pixels, axis=1)

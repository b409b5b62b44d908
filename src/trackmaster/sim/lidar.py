"""Distances to the borders of the road in 19 directions, for many cars at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from trackmaster.sim.kernels_lidar import cast_rays
from trackmaster.sim.warp_start import wp
from trackmaster.track.corridor import Corridor

N_RAYS: Final = 19
"""From 90 degrees right (0) over straight ahead (9) to 90 degrees left (18), the order of tmrl's lidar."""
REACH_M: Final = 150.0
"""What a ray says that meets nothing."""


class Lidar:
    """Casts the rays of N cars; borders are looked for a given number of corridor points behind and ahead."""

    def __init__(self, corridors: Sequence[Corridor], corridor_of_car: NDArray[np.integer], *, behind: int, ahead: int):
        """Join the borders of all tracks.

        Args:
            corridors: one per track.
            corridor_of_car: (N,) index into ``corridors``.
            behind: points of the corridor behind the car that count.
            ahead: points ahead of it.
        """
        lengths = np.array([len(corridor.left_m) for corridor in corridors])
        offsets = np.concatenate(([0], np.cumsum(lengths)[:-1]))
        self._behind, self._ahead = behind, ahead
        self._offset = offsets[corridor_of_car].astype(np.int32)
        self._last = self._offset + lengths[corridor_of_car].astype(np.int32) - 1
        sides = [np.concatenate([getattr(c, side) for c in corridors]) for side in ("left_m", "right_m")]
        self._borders = wp.array(np.stack(sides).astype(np.float32), dtype=wp.float32, device="cpu")
        self._out = np.empty((len(corridor_of_car), N_RAYS), dtype=np.float32)

    def scan(
        self, position_m: NDArray[np.float32], rotation: NDArray[np.float32], index: NDArray[np.integer]
    ) -> NDArray[np.float32]:
        """Return metres (N, 19) up to ``REACH_M``, measured level from each car; overwritten by the next call.

        Args:
            position_m: (N, 3).
            rotation: (N, 3, 3) car to world.
            index: (N,) the corridor point beside each car.
        """
        beside = self._offset + np.asarray(index, dtype=np.int32)
        first = np.clip(beside - self._behind, self._offset, self._last - 1)
        last = np.clip(beside + self._ahead, first + 1, self._last)
        inputs = [_array(position_m), _array(rotation), self._borders, _array(first), _array(last), REACH_M]
        wp.launch(cast_rays, len(index), inputs, [_array(self._out)], device="cpu")
        return self._out


def _array(values: NDArray[Any]) -> Any:
    """Return the same memory as an array of Warp's."""
    dtype = wp.int32 if values.dtype == np.int32 else wp.float32
    return wp.array(np.ascontiguousarray(values), dtype=dtype, device="cpu", copy=False)

"""The reference lines of all cars of a batch, looked up in one gather."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trackmaster.env import layout
from trackmaster.env.errors import EnvError
from trackmaster.track import Track, ZoneMap, gate_points

_AHEAD = layout.POINT_STRIDE * np.arange(layout.N_POINTS)


def zone_map_of(track: Track) -> ZoneMap:
    """Return the zone map of a track's own reference line.

    Raises:
        EnvError: the track has no reference line.
    """
    if track.reference_line is None:
        raise EnvError(
            f"track {track.name!r} ({track.uid}) has no reference line, so progress on it means nothing: build "
            "one from a finished replay and pass its ghost to Track.from_challenge."
        )
    return ZoneMap(track.reference_line.points_m, gate_points(track.challenge.blocks))


class ZoneTable:
    """Zone maps of several tracks behind array operations over all cars."""

    def __init__(self, maps: Sequence[ZoneMap], map_of_car: NDArray[np.integer]) -> None:
        """Join the lines.

        Args:
            maps: one per track.
            map_of_car: (N,) index into ``maps``.
        """
        self.maps = tuple(maps)
        self.map_of_car = np.asarray(map_of_car, dtype=np.int64)
        self._rows = [np.flatnonzero(self.map_of_car == index) for index in range(len(self.maps))]
        lengths = [len(zone_map.centers) for zone_map in self.maps]
        offsets = np.concatenate(([0], np.cumsum(lengths)[:-1]))
        self._centers = np.concatenate([zone_map.centers for zone_map in self.maps])
        self._offset = offsets[self.map_of_car]
        self._last = np.array(lengths, dtype=np.int64)[self.map_of_car] - 1
        self.start_idx = np.array([zone_map.start_idx for zone_map in self.maps], dtype=np.int32)[self.map_of_car]
        self.finish_idx = np.array([zone_map.finish_idx for zone_map in self.maps], dtype=np.int32)[self.map_of_car]
        self.finish_m = np.array([zone_map.finish_m for zone_map in self.maps])[self.map_of_car]
        self.true_finish_m = np.array([zone_map.true_finish_m for zone_map in self.maps])[self.map_of_car]

    def advance(self, zone_idx: NDArray[np.int32], position_m: NDArray[np.floating]) -> NDArray[np.int32]:
        """Return the (N,) zones after cars in ``zone_idx`` moved to ``position_m`` (N, 3)."""
        if len(self.maps) == 1:
            return self.maps[0].advance(zone_idx, position_m)
        moved = zone_idx.copy()
        for zone_map, rows in zip(self.maps, self._rows, strict=True):
            if len(rows):
                moved[rows] = zone_map.advance(zone_idx[rows], position_m[rows])
        return moved

    def progress_m(self, zone_idx: NDArray[np.int32], position_m: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return (N,) metres along the line; only differences mean something."""
        if len(self.maps) == 1:
            return self.maps[0].progress_m(zone_idx, position_m)
        metres = np.zeros(len(zone_idx))
        for zone_map, rows in zip(self.maps, self._rows, strict=True):
            if len(rows):
                metres[rows] = zone_map.progress_m(zone_idx[rows], position_m[rows])
        return metres

    def points(self, zone_idx: NDArray[np.integer]) -> NDArray[np.float64]:
        """Return (N, 40, 3) reference points in the world: the current zone centre and every 20th after it."""
        index = np.minimum(zone_idx[:, None] + _AHEAD, self._last[:, None]) + self._offset[:, None]
        points: NDArray[np.float64] = self._centers[index]
        return points

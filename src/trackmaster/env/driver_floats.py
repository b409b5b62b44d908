"""What agents with analog actions see beside or instead of pictures: short float vectors, scaled to the order of 1.

A plain network learns from them without a table of means. Three sets, each the beginning of the next larger one being
the telemetry of tmrl's observation with the scales of its preprocessor:

========  =====  ==========================================================================================
set       width  content
========  =====  ==========================================================================================
telemetry    15  speed / 1000 km/h, gear / 10, rpm / 10 000, the last 4 actions (gas, brake, steer), oldest first
lidar        93  telemetry, 2 of progress, 4 scans of 19 rays (newest last), each / 150 m
state       115  telemetry, 2 of progress, 19 of motion, 60 of the line ahead, the newest scan of 19 rays
========  =====  ==========================================================================================

Progress: share of the line that is done, metres to the finish up to 700 m / 700. Motion, in the car's frame: velocity
(left, up, forward) / (20, 20, 100) m/s, angular velocity / 2 rad/s, world up; wheel contact 4, wheel sliding 4, lateral
contact, turbo. The line ahead: 20 points at ``LINE_AHEAD_M`` as (left, up, forward) / (10 m + distance). Rays: from 90
degrees right over straight ahead to 90 degrees left, up to where the surface of the road ends (``sim.lidar``); the
first and the last are the distances to the borders beside the car.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from trackmaster.env import layout
from trackmaster.env.actions import N_ANALOG
from trackmaster.env.config import EnvConfig, FloatSet
from trackmaster.env.zones import ZoneTable
from trackmaster.game.state import CarStates
from trackmaster.sim.lidar import N_RAYS, REACH_M, Lidar
from trackmaster.track import Track, ZoneMap
from trackmaster.track.corridor import corridor_along
from trackmaster.units import MPS_TO_KMPH

Floats = NDArray[np.float32]

N_ACTIONS_SEEN: Final = 4
N_SCANS: Final = 4
TELEMETRY: Final = slice(0, 15)
PROGRESS: Final = slice(15, 17)
SCANS: Final = slice(17, 93)
"""Of ``lidar``."""
MOTION: Final = slice(17, 36)
LINE: Final = slice(36, 96)
SCAN: Final = slice(96, 115)
"""Of ``state``, like ``MOTION`` and ``LINE``."""
WIDTHS: Final[dict[FloatSet, int]] = {"telemetry": 15, "lidar": 93, "state": 115}

_POINTS: Final = np.array([*range(11), 12, 14, 16, 18, 20, 24, 28, 32, 36])
"""Which of the 40 reference points, 10 m apart on a line with the usual spacing, are seen."""
LINE_AHEAD_M: Final[Floats] = (10.0 * _POINTS).astype(np.float32)
_MOTION_SCALE: Final = np.array([20, 20, 100, 2, 2, 2, 1, 1, 1], dtype=np.float32)
ZONES_PER_BORDER: Final = 4
"""Zones between two points of the corridor: 2 m on a line with the usual spacing."""
_BEHIND: Final = 10
_AHEAD: Final = 80
KEPT: Final = ("actions", "scans")
"""The arrays of one car that a kept start stores."""


class DriverFloats:
    """Builds one of the sets for N cars and remembers their last actions and scans."""

    def __init__(
        self, floats: FloatSet, tracks: Sequence[Track], maps: Sequence[ZoneMap], map_of_car: NDArray[np.integer]
    ) -> None:
        """Measure the borders of the roads, where the set has a lidar.

        Args:
            floats: which set; not ``iqn``.
            tracks: those that are driven.
            maps: their zone maps.
            map_of_car: (N,) index into both.
        """
        n = len(map_of_car)
        self.floats = floats
        self.actions = np.zeros((n, N_ACTIONS_SEEN, N_ANALOG), dtype=np.float32)
        self.scans = np.zeros((n, N_SCANS, N_RAYS), dtype=np.float32)
        self.out = np.zeros((n, WIDTHS[floats]), dtype=np.float32)
        self._lidar = road_lidar(tracks, maps, map_of_car) if floats != "telemetry" else None

    def forget(self, mask: NDArray[np.bool_]) -> None:
        """Begin new episodes for the cars in ``mask``: no action yet, and the first scan four times."""
        self.actions[mask] = 0.0
        self.scans[mask] = np.nan

    def remember(self, running: NDArray[np.bool_], actions: Floats) -> None:
        """Note the decision (N, 3) of the running cars."""
        self.actions[running, :-1] = self.actions[running, 1:]
        self.actions[running, -1] = actions[running]
        self.scans[running, :-1] = self.scans[running, 1:]

    def observe(
        self, cars: CarStates, floats: Floats, *, share_done: NDArray[np.float64], zone_idx: NDArray[np.integer]
    ) -> None:
        """Fill ``out``.

        Args:
            cars: all N.
            floats: (N, 184 and extras) of the same moment.
            share_done: (N,) of the line, 0 to 1.
            zone_idx: (N,) where on the line the cars are.
        """
        out = self.out
        out[:, 0] = np.linalg.norm(floats[:, layout.VELOCITY], axis=1) * np.float32(MPS_TO_KMPH / 1_000)
        out[:, 1] = floats[:, layout.GEAR] * np.float32(0.1)
        out[:, 2] = floats[:, layout.RPM] * np.float32(1e-4)
        out[:, 3:15] = self.actions.reshape(len(out), -1)
        if self._lidar is None:
            return
        out[:, 15] = share_done
        out[:, 16] = floats[:, layout.MARGIN] * np.float32(1 / layout.MARGIN_CAP_M)
        scan = self._lidar.scan(cars.position_m, cars.rotation, zone_idx // ZONES_PER_BORDER)
        self._note_scan(scan * np.float32(1 / REACH_M))
        if self.floats == "lidar":
            out[:, SCANS] = self.scans.reshape(len(out), -1)
            return
        motion = out[:, MOTION]
        motion[:, 0:3] = floats[:, layout.VELOCITY]
        motion[:, 3:6] = floats[:, layout.ANGULAR_VELOCITY]
        motion[:, 6:9] = floats[:, layout.UP]
        motion[:, 0:9] /= _MOTION_SCALE
        motion[:, 9:13] = cars.wheel_contact
        motion[:, 13:17] = cars.wheel_sliding
        motion[:, 17] = cars.lateral_contact
        motion[:, 18] = cars.turbo > 0
        points = floats[:, layout.POINTS].reshape(len(out), layout.N_POINTS, 3)[:, _POINTS]
        out[:, LINE] = (points / (10.0 + LINE_AHEAD_M)[:, None]).reshape(len(out), -1)
        out[:, SCAN] = self.scans[:, -1]

    def _note_scan(self, scan: Floats) -> None:
        fresh = np.isnan(self.scans[:, 0, 0])
        self.scans[:, -1] = scan
        if fresh.any():
            self.scans[fresh] = scan[fresh, None]

    def keep(self, car: int) -> dict[str, NDArray[np.float32]]:
        """Return one car's history as values that ``put_back`` takes."""
        return {name: getattr(self, name)[car].copy() for name in KEPT}

    def put_back(self, car: int, kept: Mapping[str, Any]) -> None:
        """Continue one car's history."""
        for name in KEPT:
            getattr(self, name)[car] = kept[name]


def driver_floats(config: EnvConfig, tracks: Sequence[Track], zones: ZoneTable) -> DriverFloats | None:
    """Return the builder of the configured set, None where agents see the 184 floats."""
    return None if config.floats == "iqn" else DriverFloats(config.floats, tracks, zones.maps, zones.map_of_car)


def road_lidar(tracks: Sequence[Track], maps: Sequence[ZoneMap], map_of_car: NDArray[np.integer]) -> Lidar:
    """Return the lidar of cars on their tracks; a car's corridor point is its zone // ``ZONES_PER_BORDER``."""
    corridors = []
    for track, zone_map in zip(tracks, maps, strict=True):
        stop = min(len(zone_map.centers), zone_map.finish_idx + ZONES_PER_BORDER * _AHEAD)
        corridors.append(corridor_along(track.mesh, zone_map.centers[:stop:ZONES_PER_BORDER]))
    return Lidar(corridors, map_of_car, behind=_BEHIND, ahead=_AHEAD)

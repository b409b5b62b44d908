"""The one builder of the 184 floats: environments, capture and data sets all call it.

Whoever has cars (a simulator, a game, a recorded run) hands them over as ``CarStates``; whoever has captured
snapshots hands over their columns. Both ways end in ``assemble``, so that an observation means the same everywhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trackmaster.env import layout
from trackmaster.env.actions import ACTION_FORWARD, KEY_TABLE
from trackmaster.env.config import ExtraFloats
from trackmaster.env.errors import EnvError
from trackmaster.game.state import CarStates
from trackmaster.units import ACTION_MS, TICK_MS

Floats = NDArray[np.float32]

EXTRA_WIDTHS: Final[dict[ExtraFloats, int]] = {"lateral_contact": 1, "turbo": 1, "wheel_contact_count": 1}

_GROUP_OF_MATERIAL: Final = np.full(32, 4, dtype=np.int64)
for _group, _ids in enumerate(((0, 1, 16, 18, 19), (2, 20), (5, 6, 8, 17), (7, 26))):
    _GROUP_OF_MATERIAL[list(_ids)] = _group
_ONE_HOT: Final = np.eye(5, layout.N_MATERIAL_GROUPS, dtype=np.float32)


def material_groups(material: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return the group of each material id: 0 asphalt-like, 1 grass, 2 dirt, 3 turbo, 4 all others and unknown ids."""
    known = (material >= 0) & (material < len(_GROUP_OF_MATERIAL))
    groups: NDArray[np.int64] = np.where(known, _GROUP_OF_MATERIAL[np.where(known, material, 31)], 4)
    return groups


def to_car_frame(rotation: Floats, vectors: Floats) -> Floats:
    """Return M^T v for each car.

    Written as three products and two sums so that the rounding does not depend on the number of cars.

    Args:
        rotation: (N, 3, 3) car to world.
        vectors: (N, 3) or (N, K, 3) in the world.

    Returns:
        float32 shaped like ``vectors``.
    """
    m = rotation if vectors.ndim == 2 else rotation[:, None]
    turned: Floats = (
        vectors[..., 0:1] * m[..., 0, :] + vectors[..., 1:2] * m[..., 1, :] + vectors[..., 2:3] * m[..., 2, :]
    )
    return turned


@dataclass(slots=True)
class FloatParts:
    """The columns of N observations before they are put in order."""

    gear_and_wheels: Floats
    """(N, 32) indices 21 to 52."""
    angular_velocity_car: Floats
    """(N, 3)."""
    velocity_car: Floats
    """(N, 3)."""
    up_car: Floats
    """(N, 3)."""
    points_car: Floats
    """(N, 120) or (N, 40, 3)."""
    margin_m: Floats
    """(N,) metres to the finish, already cut off at 700."""
    is_freewheeling: Floats
    """(N,)."""


def assemble(parts: FloatParts, previous_actions: NDArray[np.integer], out: Floats | None = None) -> Floats:
    """Put the parts of N observations in the order of the 184 floats.

    Args:
        parts: everything but the history.
        previous_actions: (N, 5) action indices, oldest first.
        out: (N, >= 184) array to fill; columns from 184 on are left alone.

    Returns:
        ``out``, or a new (N, 184) array.
    """
    n = len(previous_actions)
    floats = np.empty((n, layout.N_FLOATS), dtype=np.float32) if out is None else out
    floats[:, layout.CLOCK] = 0.0
    floats[:, layout.PREVIOUS_ACTIONS] = KEY_TABLE[previous_actions].reshape(n, -1)
    floats[:, layout.GEAR_AND_WHEELS] = parts.gear_and_wheels
    floats[:, layout.ANGULAR_VELOCITY] = parts.angular_velocity_car
    floats[:, layout.VELOCITY] = parts.velocity_car
    floats[:, layout.UP] = parts.up_car
    floats[:, layout.POINTS] = parts.points_car.reshape(n, -1)
    floats[:, layout.MARGIN] = parts.margin_m
    floats[:, layout.FREEWHEELING] = parts.is_freewheeling
    return floats


def gear_and_wheels(cars: CarStates, shift_count: NDArray[np.integer]) -> Floats:
    """Return (N, 32): sliding, contact, damper, gearbox state, gear, rpm, shift counter, material one-hot."""
    n, first = len(cars), layout.GEAR_AND_WHEELS.start
    block = np.empty((n, layout.GEAR_AND_WHEELS.stop - first), dtype=np.float32)
    block[:, 0:4] = cars.wheel_sliding
    block[:, 4:8] = cars.wheel_contact
    block[:, 8:12] = cars.damper_m
    block[:, layout.GEARBOX_STATE - first] = cars.gearbox_state
    block[:, layout.GEAR - first] = cars.gear
    block[:, layout.RPM - first] = cars.rpm
    block[:, layout.SHIFT_COUNT - first] = shift_count
    block[:, 16:32] = _ONE_HOT[material_groups(cars.wheel_material)].reshape(n, -1)
    return block


def parts_from_cars(
    cars: CarStates,
    points_m: NDArray[np.floating],
    distance_to_finish_m: NDArray[np.floating],
    shift_count: NDArray[np.integer],
) -> FloatParts:
    """Return the parts of N observations from cars and from what lies ahead of them.

    Args:
        cars: N cars.
        points_m: (N, 40, 3) reference points ahead in the world.
        distance_to_finish_m: (N,) along the line.
        shift_count: (N,) from ``ShiftClock``.
    """
    relative = (points_m - cars.position_m[:, None, :].astype(points_m.dtype)).astype(np.float32)
    return FloatParts(
        gear_and_wheels=gear_and_wheels(cars, shift_count),
        angular_velocity_car=to_car_frame(cars.rotation, cars.angular_velocity_radps),
        velocity_car=to_car_frame(cars.rotation, cars.velocity_mps),
        up_car=cars.rotation[:, 1, :],
        points_car=to_car_frame(cars.rotation, relative),
        margin_m=np.minimum(layout.MARGIN_CAP_M, distance_to_finish_m).astype(np.float32),
        is_freewheeling=cars.is_freewheeling.astype(np.float32),
    )


class ShiftClock:
    """Counts whole 50 ms since each car's gearbox left its steady state, from time and not from calls."""

    def __init__(self, n: int) -> None:
        """Start with all gearboxes steady."""
        self.since_ms = np.full(n, -1, dtype=np.int32)

    def reset(self, mask: NDArray[np.bool_]) -> None:
        """Forget the shifts of the cars in ``mask``."""
        self.since_ms[mask] = -1

    def update(self, time_ms: NDArray[np.integer], gearbox_state: NDArray[np.integer]) -> NDArray[np.int32]:
        """Return the (N,) counter of observation index 36 at ``time_ms``."""
        shifting = gearbox_state != 0
        self.since_ms = np.where(shifting, np.where(self.since_ms < 0, time_ms, self.since_ms), -1).astype(np.int32)
        counter: NDArray[np.int32] = np.where(shifting, (time_ms - self.since_ms) // ACTION_MS, 0).astype(np.int32)
        return counter


class ObservationBuilder:
    """Builds float observations: the 184 floats and, after them, the extras that the configuration names."""

    def __init__(self, extra_floats: Sequence[ExtraFloats] = ()) -> None:
        """Take the names of the extras, in order.

        Raises:
            EnvError: an extra is named twice.
        """
        if len(set(extra_floats)) != len(extra_floats):
            raise EnvError(f"extra_floats names {', '.join(extra_floats)}: each extra may stand there once.")
        self.extra_floats = tuple(extra_floats)
        self.n_floats = layout.N_FLOATS + sum(EXTRA_WIDTHS[name] for name in extra_floats)

    def build(
        self,
        cars: CarStates,
        points_m: NDArray[np.floating],
        distance_to_finish_m: NDArray[np.floating],
        previous_actions: NDArray[np.integer],
        shift_count: NDArray[np.integer],
        out: Floats | None = None,
    ) -> Floats:
        """Return the (N, n_floats) observation of N cars.

        Args:
            cars: N cars.
            points_m: (N, 40, 3) reference points ahead, world metres.
            distance_to_finish_m: (N,) along the line.
            previous_actions: (N, 5) decisions of the last 250 ms, oldest first.
            shift_count: (N,) from ``ShiftClock``.
            out: (N, n_floats) float32 array to fill.
        """
        floats = np.empty((len(cars), self.n_floats), dtype=np.float32) if out is None else out
        assemble(parts_from_cars(cars, points_m, distance_to_finish_m, shift_count), previous_actions, out=floats)
        column = layout.N_FLOATS
        for name in self.extra_floats:
            floats[:, column] = _extra(cars, name)
            column += EXTRA_WIDTHS[name]
        return floats


def _extra(cars: CarStates, name: ExtraFloats) -> Floats:
    if name == "lateral_contact":
        return cars.lateral_contact.astype(np.float32)
    if name == "turbo":
        return (cars.turbo > 0).astype(np.float32)
    count: Floats = cars.wheel_contact.sum(axis=1).astype(np.float32)
    return count


def floats_from_snapshots(
    *,
    gear_and_wheels: Floats,
    orientation_flat: Floats,
    velocity_mps: Floats,
    angular_velocity_radps: Floats,
    zone_centers_in_car_frame: Floats,
    margin_m: Floats,
    is_freewheeling: Floats,
    previous_actions: NDArray[np.integer],
) -> Floats:
    """Return the (N, 184) floats of captured snapshots (``meta`` of a manifest): what ``build`` gave live.

    Args:
        gear_and_wheels: (N, 32).
        orientation_flat: (N, 9) row-major M^T (world to car), as stored.
        velocity_mps: (N, 3) world.
        angular_velocity_radps: (N, 3) world.
        zone_centers_in_car_frame: (N, 120).
        margin_m: (N,).
        is_freewheeling: (N,).
        previous_actions: (N, 5) from ``previous_actions_at``.
    """
    rotation = orientation_flat.reshape(-1, 3, 3).transpose(0, 2, 1)
    parts = FloatParts(
        gear_and_wheels=gear_and_wheels,
        angular_velocity_car=to_car_frame(rotation, angular_velocity_radps),
        velocity_car=to_car_frame(rotation, velocity_mps),
        up_car=rotation[:, 1, :],
        points_car=zone_centers_in_car_frame,
        margin_m=margin_m,
        is_freewheeling=is_freewheeling,
    )
    return assemble(parts, previous_actions)


def previous_actions_at(
    labels: NDArray[np.integer], time_ms: NDArray[np.integer], *, step_ms: int = TICK_MS
) -> NDArray[np.int64]:
    """Return the five decisions before each time, as the environment would have recorded them.

    Args:
        labels: (L,) action index of the callbacks 0, step_ms, 2 step_ms, ... (``actions`` of a manifest).
        time_ms: (N,) callback times.
        step_ms: grid of ``labels``.

    Returns:
        (N, 5): the labels at T - 250, ..., T - 50; "forward" before the start.
    """
    back = ACTION_MS * np.arange(layout.N_PREVIOUS_ACTIONS, 0, -1)
    when = np.asarray(time_ms, dtype=np.int64)[:, None] - back
    index = np.clip(when // step_ms, 0, len(labels) - 1)
    history: NDArray[np.int64] = np.where(when < 0, ACTION_FORWARD, np.asarray(labels, dtype=np.int64)[index])
    return history

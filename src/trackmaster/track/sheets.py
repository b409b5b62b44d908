"""Ways over blocks that leave the ground plan: pipes, walls and big loops, as the route search sees them.

Such a block is a sheet: a place on it has two coordinates from 0 to 1, across (towards the block's left) and along
(from its low end to its high end). Ways lead between the middles of its edges, and bend where they turn from one
direction to the other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from trackmaster.track.catalogue import Clip, Exit
from trackmaster.track.catalogue import loops as pipes
from trackmaster.track.catalogue import measured as m
from trackmaster.track.catalogue import side_loops as big
from trackmaster.track.mesh import F64
from trackmaster.track.placement import DOWN, UP, PlacedBlock, local_joint

POINT_SPACING_M = 1.0
"""Spacing of the points along a way."""

PIPE_SIDE, CEILING_SIDE, WALL_SIDE_M = 0.4, 0.5, 4.0
"""Where a way changes to the block beside it: low in a pipe (of its quarter circle) and low on a wall, so that slower
cars stay up."""

FLOOR = ""
"""How exits on the ground plan join: like those of any other block."""

_OVER, _UPWARDS, _PIPE, _CEILING, _WALL = "over", "upwards", "pipe", "ceiling", "wall"
_BIG_LOOP_LEVELS = 11
"""From a big loop's road to the joint nearest to its upper end, 86.65 m over it."""

Surface = Callable[[F64, F64], F64]
"""Returns the points (k, 3) in the block's frame at coordinates (k,) across and (k,) along."""


@dataclass(frozen=True)
class Port:
    """The middle of a sheet's edge.

    Attributes:
        across: coordinate.
        along: coordinate.
        is_end: one passes it along the sheet, not sideways.
        kind: only ports of one kind join.
        turn: what this edge is turned by against the block; ports also have to look the same way. None: they need not.
    """

    across: float
    along: float
    is_end: bool
    kind: str
    turn: int | None = 0


@dataclass(frozen=True, eq=False)
class Sheet:
    """The surface of a block and its edges."""

    surface: Surface
    ports: dict[Exit, Port]

    def spot(self, way: Exit) -> F64:
        """Return the middle (3,) of an edge in the block's frame."""
        port = self.ports[way]
        point: F64 = self.surface(np.array([port.across]), np.array([port.along]))[0]
        return point

    def way(self, entry: Exit, way_out: Exit) -> F64:
        """Return points (k, 3) from one edge to another in the block's frame."""
        begin, end = self.ports[entry], self.ports[way_out]
        middle = [(begin.across + end.across) / 2, (begin.along + end.along) / 2]
        if begin.is_end != end.is_end:
            middle = [begin.across, end.along] if begin.is_end else [end.across, begin.along]
        corners = np.array([[begin.across, begin.along], middle, [end.across, end.along]])
        rough = self._bend(corners, 33)
        length_m = float(np.linalg.norm(np.diff(rough, axis=0), axis=1).sum())
        return self._bend(corners, max(2, int(length_m / POINT_SPACING_M) + 1))

    def _bend(self, corners: F64, count: int) -> F64:
        at = np.linspace(0.0, 1.0, count)[:, None]
        place = (1 - at) ** 2 * corners[0] + 2 * at * (1 - at) * corners[1] + at**2 * corners[2]
        return self.surface(place[:, 0], place[:, 1])


def sheet_of(name: str) -> Sheet | None:
    """Return the sheet that a block of this name is, None for blocks on the ground plan."""
    return _SHEETS.get(name)


def join_of(item: PlacedBlock, way: Exit) -> str:
    """Return what has to be equal where two blocks join, :data:`FLOOR` for exits on the ground plan."""
    sheet = sheet_of(item.block.name)
    port = None if sheet is None else sheet.ports.get(way)
    if port is None or port.kind == FLOOR:
        return FLOOR
    return port.kind if port.turn is None else f"{port.kind} {(item.block.direction + port.turn) % 4}"


def spot_of(item: PlacedBlock, way: Exit) -> F64:
    """Return where (3,) in the world a way leaves a block, on its surface."""
    sheet = sheet_of(item.block.name)
    if sheet is not None and way in sheet.ports:
        return item.to_world(sheet.spot(way))
    spot = item.to_world(local_joint(way.side, way.unit))
    spot[1] += way.clip.surface_m
    return spot


def opposite(side: int) -> int:
    """Return the side (0..5) that touches this one."""
    return (side + 2) % 4 if side < UP else UP + DOWN - side


def _straight(section: Callable[[F64], F64], across: F64, along: F64) -> F64:
    """Return points on a sheet that is straight over one cell and has a section of heights and z."""
    y, z = section(along).T
    return np.stack([32.0 * across, y, z], axis=1)


def _pipe_section(start_m: float, half_height_m: float, along: F64) -> F64:
    angle = along * np.pi / 2
    y = start_m + half_height_m * (1.0 - np.cos(angle))
    return np.stack([y, pipes.DEPTH_M + pipes.RADIUS_M * (1.0 - np.sin(angle))], axis=1)


def _ceiling_section(along: F64) -> F64:
    angle = along * np.pi / 2
    y = pipes.CEILING_Y_M + pipes.CEILING_RADIUS_M * np.sin(angle)
    return np.stack([y, pipes.CEILING_Z_M - pipes.CEILING_RADIUS_M * np.cos(angle)], axis=1)


def _wall_section(levels: int, along: F64) -> F64:
    return np.stack([8.0 * levels * along, np.full(len(along), pipes.WALL_DEPTH_M)], axis=1)


def _round_wall(cells: int, levels: int, across: F64, along: F64) -> F64:
    size_m = 32.0 * cells
    angle, radius_m = across * np.pi / 2, size_m - pipes.DEPTH_M
    return np.stack([radius_m * np.cos(angle), 8.0 * levels * along, size_m - radius_m * np.sin(angle)], axis=1)


def _half_loop(from_x_m: float, to_x_m: float, _across: F64, along: F64) -> F64:
    angle = along * np.pi
    y = m.ROAD_SURFACE_M + big.RADIUS_M * (1.0 - np.cos(angle))
    return np.stack([from_x_m + (to_x_m - from_x_m) * along, y, big.RADIUS_M * np.sin(angle)], axis=1)


def _edge(side: int, clip: Clip = Clip.LOOP, x: int = 0, level: int = 0, z: int = 0) -> Exit:
    return Exit(side, (x, level, z), clip)


def _sides(along: float, kind: str) -> dict[Exit, Port]:
    return {_edge(1): Port(0.0, along, False, kind), _edge(3): Port(1.0, along, False, kind)}


def _pipe(start_m: float, half_height_m: float, foot: Exit, levels: int) -> Sheet:
    ports = {foot: Port(0.5, 0.0, True, FLOOR), _edge(UP, level=levels - 1): Port(0.5, 1.0, True, _UPWARDS)}
    section = partial(_pipe_section, start_m, half_height_m)
    return Sheet(partial(_straight, section), ports | _sides(PIPE_SIDE, _PIPE))


def _wall(levels: int) -> Sheet:
    low, high = Port(0.5, 0.0, True, _UPWARDS), Port(0.5, 1.0, True, _UPWARDS)
    ports = {_edge(DOWN): low, _edge(UP, level=levels - 1): high}
    sides = _sides(WALL_SIDE_M / (8.0 * levels), _WALL)
    return Sheet(partial(_straight, partial(_wall_section, levels)), ports | sides)


def _curved_wall(cells: int, levels: int) -> Sheet:
    along = WALL_SIDE_M / (8.0 * levels)
    first, last = _edge(0, x=cells - 1, z=cells - 1), _edge(1)
    ports = {first: Port(0.0, along, False, _WALL, 1), last: Port(1.0, along, False, _WALL)}
    return Sheet(partial(_round_wall, cells, levels), ports)


def _ceiling() -> Sheet:
    low, high = Port(0.5, 0.0, True, _UPWARDS), Port(0.5, 1.0, True, _OVER, None)
    ports = {_edge(DOWN): low, _edge(0, level=4): high}
    return Sheet(partial(_straight, _ceiling_section), ports | _sides(CEILING_SIDE, _CEILING))


def _big_loop(from_x_m: float, to_x_m: float) -> Sheet:
    foot = _edge(2, Clip.ROAD, x=int(from_x_m // 32.0))
    top = _edge(2, x=int(to_x_m // 32.0), level=_BIG_LOOP_LEVELS)
    ports = {foot: Port(0.5, 0.0, True, FLOOR), top: Port(0.5, 1.0, True, f"big {_OVER}", None)}
    return Sheet(partial(_half_loop, from_x_m, to_x_m), ports)


_WALL_LEVELS = {"Border": 1, "1": 1, "Pub2": 2, "2": 2, "4": 4}

_SHEETS: dict[str, Sheet] = {
    "StadiumPlatformLoopStart": _pipe(m.ROAD_SURFACE_M, pipes.RADIUS_M, _edge(0), 4),
    "StadiumCircuitLoopStart": _pipe(m.PLATFORM_TOP_M, 32.0, _edge(0, Clip.PLATFORM, level=1), 5),
    "StadiumPlatformLoopEnd": _ceiling(),
    **{f"StadiumPlatformWall{name}": _wall(levels) for name, levels in _WALL_LEVELS.items()},
    **{f"StadiumPlatformGTCurve{c}Wall{n}": _curved_wall(c, n) for c in (2, 3) for n in (1, 2, 4)},
    "StadiumLoopLeft": _big_loop(16.0, 16.0 + big.SHIFT_M),
    "StadiumLoopRight": _big_loop(80.0, 80.0 - big.SHIFT_M),
}

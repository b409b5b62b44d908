"""Where surfaces end: how high and how steep, and what can be reached from there by flying."""

from __future__ import annotations

import numpy as np

from trackmaster.track.catalogue import BlockSpec, Exit, Site
from trackmaster.track.mesh import F64, TriangleMesh
from trackmaster.track.placement import OUTWARDS, local_joint
from trackmaster.units import CELL_SIZE_M

_GRAVITY_MPS2 = 25.0
_EASY_MPS, _FASTEST_MPS = 40.0, 95.0
_PER_MPS, _OUT_OF_REACH_M, _PER_METRE_TOO_HIGH = 10.0, 1500.0, 40.0
"""A gap that asks for more speed costs more, one that no car can fly over is the last resort."""

_MISSED_M = 0.5
"""Wheels may hit the edge of the far side this far below its surface."""

_INSIDE_M, _RUN_M = 0.2, 2.0
"""The slope is measured between this far inside of the end and this much further in."""

_SHORT_M, _STEP_M = 4.0, 0.1
"""A surface may end this much before its block (ramps do); the end is looked for in such steps."""


class TakeOffs:
    """Heights and slopes of surfaces where they end, measured on the triangles of their blocks."""

    def __init__(self) -> None:
        """Remember nothing yet."""
        self._known: dict[tuple[int, Exit], tuple[float, float]] = {}

    def of(self, spec: BlockSpec, way_out: Exit) -> tuple[float, float]:
        """Return the height over the exit's floor, and how much the surface climbs outwards per metre."""
        key = (id(spec), way_out)
        if key not in self._known:
            self._known[key] = self._measured(spec, way_out)
        return self._known[key]

    @staticmethod
    def _measured(spec: BlockSpec, way_out: Exit) -> tuple[float, float]:
        floor = local_joint(way_out.side, way_out.unit)
        outwards = np.array([OUTWARDS[way_out.side][0], 0.0, OUTWARDS[way_out.side][1]])
        mesh = TriangleMesh.from_patches(spec.surfaces(Site(False, frozenset())))
        inside_m = np.arange(_INSIDE_M, _INSIDE_M + _SHORT_M + _RUN_M + _STEP_M / 2, _STEP_M)
        rays = floor - np.outer(inside_m, outwards) + [0.0, CELL_SIZE_M[1], 0.0]
        heights, _ = mesh.ground_below(rays, reach_m=2.5 * CELL_SIZE_M[1])
        run = round(_RUN_M / _STEP_M)
        ends = np.flatnonzero(np.isfinite(heights[:-run]) & np.isfinite(heights[run:]))
        if not len(ends):
            return way_out.clip.surface_m, 0.0
        edge = int(ends[0])
        slope = float(heights[edge] - heights[edge + run]) / _RUN_M
        return float(heights[edge] - floor[1] + inside_m[edge] * slope), slope


def flight_cost_m(distance_m: F64, rise_m: F64, slope: float) -> F64:
    """Return what flights of a length and rise cost on top: a parabola from the take-off through the far edge."""
    spare = distance_m * slope - (rise_m - _MISSED_M)
    speed = np.sqrt(_GRAVITY_MPS2 * distance_m**2 / (2 * np.maximum(spare, 1e-6)))
    reachable = (spare > 0) & (speed <= _FASTEST_MPS)
    hard: F64 = _PER_MPS * np.maximum(speed - _EASY_MPS, 0.0)
    return np.where(reachable, hard, _OUT_OF_REACH_M + _PER_METRE_TOO_HIGH * np.maximum(-spare, 0.0))

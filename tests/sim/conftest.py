"""Hand-made tracks for the simulator: planes, arenas and gates, without any block catalogue."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from trackmaster.track import Pose, TriangleMesh, Trigger, TriggerKind

F64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SimpleTrack:
    """The part of a track that physics reads."""

    mesh: TriangleMesh
    start: Pose
    triggers: tuple[Trigger, ...] = ()
    laps: int = 1
    n_checkpoints: int = 0
    name: str = "test track"


def quad(corners: Sequence[Sequence[float]], material: int = 16) -> TriangleMesh:
    """One rectangle, corners counter-clockwise seen from outside."""
    n = np.full(2, material, np.uint8)
    triangles = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    return TriangleMesh(np.array(corners, np.float32), triangles, n, np.zeros_like(n), np.ones(2, np.bool_))


def join(meshes: Sequence[TriangleMesh]) -> TriangleMesh:
    """All triangles of several meshes."""
    offsets = np.cumsum([0] + [len(m.vertices) for m in meshes[:-1]])
    return TriangleMesh(
        np.concatenate([m.vertices for m in meshes]),
        np.concatenate([m.triangles + o for m, o in zip(meshes, offsets, strict=True)]).astype(np.int32),
        np.concatenate([m.material for m in meshes]),
        np.concatenate([m.look for m in meshes]),
        np.concatenate([m.collidable for m in meshes]),
    )


def plane(half: float, pieces: int = 1, height: float = 0.0, material: int = 16) -> TriangleMesh:
    """A horizontal square of ``pieces`` x ``pieces`` rectangles around the origin."""
    edge = np.linspace(-half, half, pieces + 1)
    parts = []
    for x0, x1 in pairwise(edge):
        for z0, z1 in pairwise(edge):
            corners = [[x0, height, z0], [x0, height, z1], [x1, height, z1], [x1, height, z0]]
            parts.append(quad(corners, material))
    return join(parts)


def pond(cells: int, level: float) -> TriangleMesh:
    """The surface of water over cells of 32 m around the origin; nothing to touch."""
    surface = plane(32.0 * cells, 2 * cells, level, material=13)
    return replace(surface, collidable=np.zeros(len(surface.triangles), np.bool_))


def walls(half: float, height: float) -> TriangleMesh:
    """Four walls that look inwards."""
    s, h = half, height
    return join(
        [
            quad([[s, 0, -s], [s, 0, s], [s, h, s], [s, h, -s]], 4),
            quad([[-s, 0, s], [-s, 0, -s], [-s, h, -s], [-s, h, s]], 4),
            quad([[s, 0, s], [-s, 0, s], [-s, h, s], [s, h, s]], 4),
            quad([[-s, 0, -s], [s, 0, -s], [s, h, -s], [-s, h, -s]], 4),
        ]
    )


def start_at(x: float = 0.0, y: float = 0.21, z: float = 0.0) -> Pose:
    """A start that looks along +z."""
    return Pose(np.array([x, y, z]), np.eye(3))


def gate(kind: TriggerKind, z: float, index: int = 0) -> Trigger:
    """A gate across +z, 12 m wide and 2 m deep, entered at ``z``."""
    respawn = Pose(np.array([0.0, 0.225, z]), np.eye(3))
    half = np.array([6.0, 3.0, 1.0])
    return Trigger(kind, index, np.array([0.0, 2.0, z + 1.0]), np.eye(3), half, respawn)


@pytest.fixture
def plane_track() -> Callable[..., SimpleTrack]:
    """Make a flat track of one material; ``half`` and ``pieces`` as in ``plane``."""

    def make(
        half: float = 4000.0, pieces: int = 1, material: int = 16, height: float = 0.0, water_m: float | None = None
    ) -> SimpleTrack:
        parts = [plane(half, pieces, height, material)] + ([] if water_m is None else [pond(20, water_m)])
        return SimpleTrack(join(parts), start_at(y=height + 0.21))

    return make


@pytest.fixture
def arena() -> SimpleTrack:
    """A floor of 120 m with a grass half, closed by walls, a ramp and a block to jump from."""
    ramp = quad([[10, 0, 10], [10, 4, 30], [30, 4, 30], [30, 0, 10]])
    block = [
        quad([[-30, 2, -30], [-30, 2, -10], [-10, 2, -10], [-10, 2, -30]], 6),
        quad([[-10, 0, -30], [-10, 2, -30], [-10, 2, -10], [-10, 0, -10]], 9),
        quad([[-30, 0, -10], [-10, 0, -10], [-10, 2, -10], [-30, 2, -10]], 9),
    ]
    grass = plane(60, 8, material=2)
    return SimpleTrack(join([grass, plane(30, 6, height=0.02), ramp, *block, walls(60, 25)]), start_at())


@pytest.fixture
def race_track() -> Callable[..., SimpleTrack]:
    """Make a straight race along +z: checkpoints at 30 m and 60 m, finish at 90 m."""

    def make(laps: int = 1) -> SimpleTrack:
        gates = (
            gate(TriggerKind.CHECKPOINT, 30.0, 0),
            gate(TriggerKind.CHECKPOINT, 60.0, 1),
            gate(TriggerKind.FINISH, 90.0, 2),
        )
        return SimpleTrack(plane(1000), start_at(), gates, laps, 2)

    return make

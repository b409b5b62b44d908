"""What a map is for a driver: surfaces, start, gates, laps and the line to follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trackmaster.gbx import plain_text
from trackmaster.track.coverage import Coverage
from trackmaster.track.errors import TrackError
from trackmaster.track.gates import arch
from trackmaster.track.ground import grass_patches
from trackmaster.track.mesh import F64, TriangleMesh
from trackmaster.track.placement import PlacedBlock, joined_sides, lips_of, place_blocks, replaced_terrain
from trackmaster.track.pose import Pose, Trigger, TriggerKind
from trackmaster.track.reference_line import ReferenceLine, line_of_ghost
from trackmaster.track.route import RouteSearch

if TYPE_CHECKING:
    from trackmaster.gbx import Block, Challenge, Ghost

MAX_LAPS = 1_000
"""The centre line of a race is as long as all its laps; no real race has more than some dozens."""

_GATE_BELOW_SURFACE_M = 1.0
"""Gates reach this far under the surface, so that a bouncing car cannot slip below them."""


@dataclass(frozen=True, eq=False)
class Track:
    """One map, ready to be driven.

    Attributes:
        uid: the map's identifier.
        name: as shown to people (formatting codes included).
        mesh: all surfaces.
        start: pose of the car's origin when the race starts.
        triggers: checkpoints first, then finishes, each in the order of the map's block list.
        laps: laps of a race; 1 for a point-to-point track.
        n_checkpoints: checkpoints that one lap asks for.
        reference_line: line of a ghost, if one was given.
        coverage: what share of the drivable blocks is known.
        challenge: the map file's content.
        blocks: the blocks with known geometry.
    """

    uid: str
    name: str
    mesh: TriangleMesh
    start: Pose
    triggers: tuple[Trigger, ...]
    laps: int
    n_checkpoints: int
    reference_line: ReferenceLine | None
    coverage: Coverage
    challenge: Challenge
    blocks: tuple[PlacedBlock, ...]

    @classmethod
    def from_challenge(cls, challenge: Challenge, *, ghost: Ghost | None = None, allow_unknown: bool = False) -> Track:
        """Build a track from a map.

        Args:
            challenge: the map.
            ghost: a finished drive on it; its path becomes the reference line.
            allow_unknown: leave drivable blocks without known geometry out instead of refusing the map.

        Raises:
            TrackError: another environment, unknown drivable blocks (named), blocks outside of the grid, no start or
                several, no finish, more than 1000 laps, more than 3 million triangles, or an unusable ghost.
        """
        shown = plain_text(challenge.name)
        if challenge.environment != "Stadium":
            raise TrackError(
                f"The map {shown!r} belongs to the environment {challenge.environment!r}; only Stadium maps "
                "have known blocks. Choose a Stadium (TrackMania Nations Forever) map."
            )
        placed, coverage = place_blocks(challenge.blocks)
        if coverage.unknown and not allow_unknown:
            raise TrackError(
                f"The map {shown!r} has {sum(coverage.unknown.values())} drivable blocks without known "
                f"geometry: {coverage.describe_unknown()}. Choose another map, or allow unknown blocks to leave them "
                "out (cars will fall where they stand)."
            )
        start = _start_pose(placed, shown)
        triggers = _triggers(placed, shown)
        return cls(
            uid=challenge.uid,
            name=challenge.name,
            mesh=_mesh(placed, challenge.blocks),
            start=start,
            triggers=triggers,
            laps=_laps(challenge),
            n_checkpoints=sum(t.kind is TriggerKind.CHECKPOINT for t in triggers),
            reference_line=None if ghost is None else line_of_ghost(ghost, map_uid=challenge.uid),
            coverage=coverage,
            challenge=challenge,
            blocks=tuple(placed),
        )

    def centre_line(self) -> F64:
        """Return points (N, 3) along the middle of the road from the start through all checkpoints to the finish.

        The cheapest way over the blocks' exits; nobody has to have driven it. Heights are those of the surface. Where
        the road ends, the line crosses open grass, or flies straight to an entry that lies ahead.

        Raises:
            TrackError: no way leads on to a gate, not even over such a jump.
        """
        return RouteSearch(self.blocks).centre_line(self.laps)


def _laps(challenge: Challenge) -> int:
    if not challenge.is_multilap:
        return 1
    if challenge.laps > MAX_LAPS:
        raise TrackError(
            f"The map {plain_text(challenge.name)!r} asks for {challenge.laps} laps, at most {MAX_LAPS} are possible. "
            "Leave it out."
        )
    return max(1, challenge.laps)


def _mesh(placed: Sequence[PlacedBlock], blocks: Sequence[Block]) -> TriangleMesh:
    joined = joined_sides(placed)
    lips = lips_of(placed, joined, blocks)
    holes = {cell for item in placed if item.spec.covers_ground and item.block.is_ground for cell in item.columns()}
    patches = grass_patches(holes)
    replaced = replaced_terrain(placed)
    for item in placed:
        if item.index in replaced:
            continue
        patches += item.patches(joined[item.index], lips[item.index])
        if item.spec.waypoint is not None:
            patches += [patch.moved(item.rotation, item.offset_m) for patch in arch(item.spec.waypoint)]
    return TriangleMesh.from_patches(patches)


def _start_pose(placed: Sequence[PlacedBlock], name: str) -> Pose:
    starts = [item for item in placed if item.spec.spawn is not None]
    if len(starts) != 1:
        found = f"{len(starts)} start blocks" if starts else "no start block"
        raise TrackError(
            f"The map {name!r} has {found}, expected exactly one. Such a map cannot be raced: leave it out."
        )
    item = starts[0]
    spawn = item.spec.spawn
    assert spawn is not None
    return Pose(item.to_world(np.array([16.0, spawn.height_m, 16.0 - spawn.behind_m])), item.rotation)


def _triggers(placed: Sequence[PlacedBlock], name: str) -> tuple[Trigger, ...]:
    triggers = [_trigger(item) for item in placed if item.spec.waypoint is not None]
    if not any(t.kind is TriggerKind.FINISH for t in triggers):
        raise TrackError(
            f"The map {name!r} has no finish block, expected at least one. Such a map cannot be raced: leave it out."
        )
    return tuple(sorted(triggers, key=lambda t: (t.kind, t.block_index)))


def _trigger(item: PlacedBlock) -> Trigger:
    gate = item.spec.waypoint
    assert gate is not None
    low, high = gate.surface_m - _GATE_BELOW_SURFACE_M, gate.surface_m + gate.height_m
    half = np.array([gate.half_width_m, (high - low) / 2, gate.plane_m])
    center = item.to_world(np.array([16.0, (low + high) / 2, 16.0]))
    respawn = Pose(item.to_world(np.array([16.0, gate.respawn_height_m, 16.0])), item.rotation)
    return Trigger(gate.kind, item.index, center, item.rotation, half, respawn)

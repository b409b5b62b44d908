"""The mesh of a track against the wheels that drove on it: what each block's surface is off by."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from trackmaster.track.contacts import Contacts, Drive, wheel_contacts
from trackmaster.track.ground import grass_patches
from trackmaster.track.mesh import F64, Patch
from trackmaster.track.placement import PlacedBlock, joined_sides, lips_of, place_blocks, replaced_terrain
from trackmaster.track.surface import Material

REACH_M = 0.5
"""A contact further from every surface than this is not explained by the mesh."""

CELL_M = 32.0


@dataclass(eq=False)
class BlockResiduals:
    """What the contacts on blocks of one name say.

    Attributes:
        family: the catalogue's group.
        residuals_m: surface minus wheel along the car's up axis, one per contact.
        other_material: contacts whose material differs from the surface's.
        drives: numbers of the drives that touched such a block.
    """

    family: str
    residuals_m: list[float] = field(default_factory=list)
    other_material: int = 0
    drives: set[int] = field(default_factory=set)

    def __len__(self) -> int:
        return len(self.residuals_m)

    def spread_m(self, percentile: float) -> float:
        """Return a percentile of the absolute residual, NaN without contacts."""
        return float(np.percentile(np.abs(self.residuals_m), percentile)) if self.residuals_m else float("nan")

    @property
    def bias_m(self) -> float:
        """Median residual: positive where the surface lies above the wheels."""
        return float(np.median(self.residuals_m)) if self.residuals_m else float("nan")

    def add(self, other: BlockResiduals) -> None:
        """Take in the contacts of another block."""
        self.residuals_m += other.residuals_m
        self.other_material += other.other_material
        self.drives |= other.drives


@dataclass(eq=False)
class FitReport:
    """Residuals by block name, and contacts that no known surface explains by the unknown blocks of their column."""

    blocks: dict[str, BlockResiduals] = field(default_factory=dict)
    unexplained: dict[str, int] = field(default_factory=dict)
    unexplained_total: int = 0

    def families(self) -> dict[str, BlockResiduals]:
        """Return the residuals summed over the blocks of each family."""
        summed: dict[str, BlockResiduals] = {}
        for found in self.blocks.values():
            summed.setdefault(found.family, BlockResiduals(found.family)).add(found)
        return summed

    def add_drive(self, number: int, drive: Drive) -> None:
        """Measure one drive against the mesh of its map."""
        contacts = wheel_contacts(drive.ghost)
        surfaces = _Surfaces(drive)
        columns: dict[tuple[int, int], set[str]] = {}
        for block in drive.challenge.blocks:
            columns.setdefault((block.x, block.z), set()).add(block.name)
        for row in range(len(contacts)):
            hit, residual = surfaces.under(contacts, row)
            if hit < 0:
                self.unexplained_total += 1
                cell = int(contacts.points_m[row, 0] // CELL_M), int(contacts.points_m[row, 2] // CELL_M)
                for name in columns.get(cell, {"(no block)"}):
                    self.unexplained[name] = self.unexplained.get(name, 0) + 1
                continue
            name, family, material = surfaces.owner(hit)
            found = self.blocks.setdefault(name, BlockResiduals(family))
            found.residuals_m.append(residual)
            found.other_material += int(material != contacts.material[row])
            found.drives.add(number)


class _Surfaces:
    """All collidable triangles of a map, by column, each with the block it belongs to."""

    def __init__(self, drive: Drive) -> None:
        placed, _ = place_blocks(drive.challenge.blocks)
        joined, replaced = joined_sides(placed), replaced_terrain(placed)
        lips = lips_of(placed, joined, drive.challenge.blocks)
        holes = {cell for item in placed if item.spec.covers_ground and item.block.is_ground for cell in item.columns()}
        owned: list[tuple[PlacedBlock | None, Patch]] = [(None, patch) for patch in grass_patches(holes)]
        for item in placed:
            if item.index not in replaced:
                owned += [(item, patch) for patch in item.patches(joined[item.index], lips[item.index])]
        owned = [(item, patch) for item, patch in owned if patch.collidable]
        self._owners = owned
        self._corners: F64 = np.concatenate([patch.vertices[patch.triangles] for _, patch in owned])
        self._patch_of = np.repeat(np.arange(len(owned)), [len(patch.triangles) for _, patch in owned])
        self._columns = self._by_column()

    def _by_column(self) -> dict[tuple[int, int], NDArray[np.int64]]:
        low = np.floor((self._corners[:, :, [0, 2]].min(axis=1) - 0.01) / CELL_M).astype(int)
        high = np.floor((self._corners[:, :, [0, 2]].max(axis=1) + 0.01) / CELL_M).astype(int)
        lists: dict[tuple[int, int], list[int]] = {}
        for number, ((x0, z0), (x1, z1)) in enumerate(zip(low, high, strict=True)):
            for x in range(x0, x1 + 1):
                for z in range(z0, z1 + 1):
                    lists.setdefault((x, z), []).append(number)
        return {cell: np.array(numbers) for cell, numbers in lists.items()}

    def under(self, contacts: Contacts, row: int) -> tuple[int, float]:
        """Return the triangle nearest to a contact along the car's up axis and how far it is above the wheel."""
        point, up = contacts.points_m[row], contacts.up[row]
        numbers = self._columns.get((int(point[0] // CELL_M), int(point[2] // CELL_M)))
        if numbers is None:
            return -1, 0.0
        distances = _along(self._corners[numbers], point, up)
        nearest = int(np.argmin(np.abs(distances)))
        if abs(distances[nearest]) > REACH_M:
            return -1, 0.0
        return int(numbers[nearest]), float(distances[nearest])

    def owner(self, triangle: int) -> tuple[str, str, Material]:
        """Return block name, family and material of a triangle."""
        item, patch = self._owners[self._patch_of[triangle]]
        return (item.block.name, item.spec.family, patch.material) if item else ("(grass)", "grass", patch.material)


def _along(corners: F64, point: F64, up: F64) -> F64:
    """Return the signed distance from ``point`` along ``up`` to each triangle that faces it, infinite off its area."""
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    edge1, edge2 = b - a, c - a
    p = np.cross(up, edge2)
    det = np.einsum("ij,ij->i", edge1, p)
    facing = det < -1e-9  # the triangle's normal points along ``up``
    safe = np.where(facing, det, 1.0)
    s = point - a
    u = np.einsum("ij,ij->i", s, p) / safe
    q = np.cross(s, edge1)
    v = (q @ up) / safe
    distance = np.einsum("ij,ij->i", edge2, q) / safe
    inside = facing & (u >= -1e-6) & (v >= -1e-6) & (u + v <= 1 + 1e-6)
    result: F64 = np.where(inside, distance, np.inf)
    return result

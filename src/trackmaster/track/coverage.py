"""Which share of a map's drivable blocks has known geometry."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from trackmaster.track.catalogue import is_scenery, lookup

if TYPE_CHECKING:
    from trackmaster.gbx import Block, Challenge


@dataclass(frozen=True)
class Coverage:
    """Counts of a map's blocks by what the catalogue knows about them.

    Attributes:
        supported: drivable block instances with geometry.
        scenery: instances of decoration without collision.
        unknown: drivable names (with variant where that matters) without geometry, and how many instances of each.
        assumed: supported instances whose shape is an assumption, not a measurement.
    """

    supported: int
    scenery: int
    unknown: Mapping[str, int] = field(default_factory=dict)
    assumed: int = 0

    @property
    def drivable(self) -> int:
        """All instances that are not scenery."""
        return self.supported + sum(self.unknown.values())

    @property
    def share(self) -> float:
        """Supported part of the drivable instances, 1.0 for a map without any."""
        return self.supported / self.drivable if self.drivable else 1.0

    @property
    def is_complete(self) -> bool:
        """Every drivable block has geometry."""
        return not self.unknown

    def describe_unknown(self, limit: int = 8) -> str:
        """Return the unknown names, most frequent first, as part of a sentence."""
        ranked = Counter(self.unknown).most_common()
        named = ", ".join(f"{name} ({count}x)" for name, count in ranked[:limit])
        return named + (f" and {len(ranked) - limit} more" if len(ranked) > limit else "")


@dataclass(frozen=True)
class CoverageRow:
    """One map of a coverage table."""

    name: str
    uid: str
    coverage: Coverage

    def cells(self) -> tuple[str, ...]:
        """Return the row as text: name, drivable and supported instances, share, unknown blocks."""
        c = self.coverage
        return (self.name, str(c.drivable), str(c.supported), f"{100 * c.share:.1f} %", c.describe_unknown(4))


def coverage(challenges: Iterable[Challenge]) -> list[CoverageRow]:
    """Return one row per map: which share of its drivable blocks has known geometry.

    Blocks outside of the grid count like the others here; only building a track refuses them.
    """
    return [CoverageRow(c.name, c.uid, count_blocks(c.blocks)) for c in challenges]


def count_blocks(blocks: Sequence[Block]) -> Coverage:
    """Count a map's blocks by what the catalogue knows about them."""
    unknown: dict[str, int] = {}
    supported = scenery = assumed = 0
    for block in blocks:
        spec = lookup(block.name, block.variant)
        if spec is not None:
            supported += 1
            assumed += spec.is_assumed
        elif is_scenery(block.name):
            scenery += 1
        else:
            unknown[block.name] = unknown.get(block.name, 0) + 1
    return Coverage(supported, scenery, unknown, assumed)


def total(rows: Iterable[CoverageRow]) -> Coverage:
    """Return the sum over several maps."""
    supported = scenery = assumed = 0
    unknown: Counter[str] = Counter()
    for row in rows:
        supported += row.coverage.supported
        scenery += row.coverage.scenery
        assumed += row.coverage.assumed
        unknown.update(row.coverage.unknown)
    return Coverage(supported, scenery, dict(unknown), assumed)

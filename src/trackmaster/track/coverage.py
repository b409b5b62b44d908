"""Which share of a map's drivable blocks has known geometry."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field


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

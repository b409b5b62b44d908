"""A block of a map."""

from typing import NamedTuple

from trackmaster.gbx.reader import FileReference

GROUND_FLAG = 0x1000
SECONDARY_FLAG = 0x10000
SKIN_FLAG = 0x8000


class BlockSkin(NamedTuple):
    """Appearance that an author gave to one block."""

    text: str
    main: FileReference
    extra: FileReference


class Block(NamedTuple):
    """One block on the map's grid of 32 x 8 x 32 m cells.

    Attributes:
        name: of the block, e.g. ``StadiumRoadMain``.
        direction: 0 to 3; a car then faces world +Z, -X, -Z, +X.
        x, y, z: cell; its corner lies at (32 x, 8 y, 32 z) metres.
        flags: as stored; see the properties.
        author: login of whoever skinned it, "" if not skinned.
        skin: its appearance, None if not skinned.
    """

    name: str
    direction: int
    x: int
    y: int
    z: int
    flags: int = 0
    author: str = ""
    skin: BlockSkin | None = None

    @property
    def variant(self) -> int:
        """Which of the block's shapes its surroundings call for (bits 0 to 5)."""
        return self.flags & 0x3F

    @property
    def sub_variant(self) -> int:
        """Which of the variant's models is placed (bits 6 to 11)."""
        return (self.flags >> 6) & 0x3F

    @property
    def is_ground(self) -> bool:
        """Whether the block stands on the ground, which changes its model."""
        return bool(self.flags & GROUND_FLAG)

    @property
    def is_secondary(self) -> bool:
        """Whether the block was put in by another one rather than by the author."""
        return bool(self.flags & SECONDARY_FLAG)

    @property
    def is_skinned(self) -> bool:
        """Whether the block carries an author and a skin."""
        return bool(self.flags & SKIN_FLAG)

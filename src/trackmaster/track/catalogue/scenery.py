"""Names of blocks that nobody drives on: drawn by nobody, hit by nobody."""

SCENERY: frozenset[str] = frozenset()

"""The sides of a single cell."""

EDGES = (
    ((32.0, 32.0), (0.0, 32.0)),
    ((0.0, 32.0), (0.0, 0.0)),
    ((0.0, 0.0), (32.0, 0.0)),
    ((32.0, 0.0), (32.0, 32.0)),
)
"""Start and end (x, z) of each side (0..3 = +z, -x, -z, +x) for a walker who has the outside on the left."""

# mypy: ignore-errors
"""Copy chosen columns out of and into a state table, for any element type."""

from typing import Any

import warp as wp

wp.set_module_options({"enable_backward": False})


@wp.kernel
def gather_columns(table: wp.array2d(dtype=Any), slots: wp.array(dtype=int), out: wp.array2d(dtype=Any)):
    """Column ``slots[k]`` of the table becomes column k."""
    row, k = wp.tid()
    out[row, k] = table[row, slots[k]]


@wp.kernel
def scatter_columns(source: wp.array2d(dtype=Any), slots: wp.array(dtype=int), table: wp.array2d(dtype=Any)):
    """Column k becomes column ``slots[k]`` of the table."""
    row, k = wp.tid()
    table[row, slots[k]] = source[row, k]


for element in (wp.float32, wp.int32, wp.uint8):
    for kernel in (gather_columns, scatter_columns):
        wp.overload(kernel, [wp.array2d(dtype=element), wp.array(dtype=wp.int32), wp.array2d(dtype=element)])

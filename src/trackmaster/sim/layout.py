"""Where every number of a car is kept: three structure-of-arrays tables, one row per scalar, one column per car.

The three tables are the *complete* state: a snapshot is a copy of columns, and whatever is not here does not exist
between ticks. The kernels address rows by the offsets below (plain integers, which Warp folds into the code).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

MAX_CP_TIMES: Final = 64
TRIGGER_WORDS: Final = 4
MAX_TRIGGERS: Final = 32 * TRIGGER_WORDS


def _offsets(fields: tuple[tuple[str, int], ...]) -> tuple[Mapping[str, slice], int]:
    rows: dict[str, slice] = {}
    start = 0
    for name, size in fields:
        rows[name] = slice(start, start + size)
        start += size
    return MappingProxyType(rows), start


FLOAT_FIELDS: Final = (
    ("position", 3), ("quaternion", 4), ("velocity", 3), ("spin", 3), ("rotation", 9),
    ("absorb", 4), ("absorb_rate", 4), ("push", 4), ("normal", 12), ("point", 12), ("axis", 12),
    ("steer", 1), ("rpm", 1), ("rpm_target", 1), ("clutch", 1), ("shift_timer", 1),
    ("force", 3), ("local_velocity", 3), ("air_spin", 2), ("turbo_factor", 1), ("gravity", 1), ("drag", 1),
    ("donut_centre", 3), ("donut_axis", 3), ("donut_radius", 1), ("donut_sign", 1),
)  # fmt: skip
INT_FIELDS: Final = (
    ("time", 1), ("gear", 1), ("engine_mode", 1), ("burn_mode", 1), ("burn_start", 1), ("burn_exit", 1),
    ("last_slip", 1), ("side_tick", 1), ("air_tick", 1), ("turbo_type", 1), ("turbo_start", 1), ("turbo_end", 1),
    ("lap", 1), ("cp_count", 1), ("race_time", 1), ("respawn_trigger", 1),
    ("taken", TRIGGER_WORDS), ("inside", TRIGGER_WORDS), ("cp_times", MAX_CP_TIMES),
)  # fmt: skip
BYTE_FIELDS: Final = (
    ("contact", 4), ("sliding", 4), ("material", 4), ("reverse", 1), ("slip_memory", 1), ("side_hit", 1),
    ("body_hit", 1), ("any_contact", 1), ("free_wheel", 1), ("finished", 1),
)  # fmt: skip

FLOAT_ROWS, N_FLOATS = _offsets(FLOAT_FIELDS)
INT_ROWS, N_INTS = _offsets(INT_FIELDS)
BYTE_ROWS, N_BYTES = _offsets(BYTE_FIELDS)

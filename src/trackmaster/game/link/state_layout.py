"""Where every known field of TMInterface's ``SimStateData`` lies, as one numpy dtype.

The blob has a fixed part of 8344 bytes and a list of checkpoints behind it. Bytes that no field names are opaque:
pointers and masks of the game, handed back unchanged. Wheels are numbered FL, FR, RR, RL.

Source: ``game_link.md`` 8, offsets from the start of the blob.
"""

from enum import IntFlag
from typing import Final

import numpy as np

FIXED_BYTES: Final = 8_344
"""Size of the part in front of the checkpoint lists."""

MIN_BLOB_BYTES: Final = FIXED_BYTES + 12
"""Smallest blob: both checkpoint lists are empty."""

WHEEL_BASE: Final = 3_816
WHEEL_BYTES: Final = 764

OPAQUE: Final = ((224, 492), (1_032, 1_648), (6_872, 7_204))
"""Stretches without any known field; the stand-in keeps what only a simulator knows in them."""

LAST_EVENT_CONTROLS: Final = ("running", "finish", "accelerate", "brake", "left", "right", "steer", "gas")
"""Order of the eight last events (field ``last_events``)."""


class Section(IntFlag):
    """Which parts of a blob are filled (field ``flags``)."""

    TIMERS = 0x01
    DYNA = 0x02
    SCENE_MOBIL = 0x04
    WHEELS = 0x08
    PLUG_SOLID = 0x10
    CMD_BUFFER_CORE = 0x20
    INPUT_STATE = 0x40
    PLAYER_INFO = 0x80


ALL_SECTIONS: Final = Section(0xFF)


def _struct(size: int, fields: list[tuple[str, int, object]]) -> np.dtype[np.void]:
    """Return a dtype of ``size`` bytes with fields at given offsets."""
    return np.dtype(
        {
            "names": [name for name, _, _ in fields],
            "offsets": [offset for _, offset, _ in fields],
            "formats": [kind for _, _, kind in fields],
            "itemsize": size,
        }
    )


BODY: Final = _struct(
    180,
    [
        ("quaternion_wxyz", 0, ("<f4", 4)),
        ("rotation", 16, ("<f4", (3, 3))),
        ("position", 52, ("<f4", 3)),
        ("linear_speed", 64, ("<f4", 3)),
        ("add_linear_speed", 76, ("<f4", 3)),
        ("angular_speed", 88, ("<f4", 3)),
        ("force", 100, ("<f4", 3)),
        ("torque", 112, ("<f4", 3)),
        ("inverse_inertia", 124, ("<f4", (3, 3))),
        ("unknown", 160, "<f4"),
        ("not_tweaked_linear_speed", 164, ("<f4", 3)),
        ("owner", 176, "<i4"),
    ],
)
"""One copy of the rigid body; columns of ``rotation`` are the car's left, up and forward axes."""

VEHICLE_STATE: Final = _struct(
    168,
    [
        ("speed_forward", 0, "<f4"),
        ("speed_sideward", 4, "<f4"),
        ("input_steer", 8, "<f4"),
        ("input_gas", 12, "<f4"),
        ("input_brake", 16, "<f4"),
        ("is_turbo", 20, "<i4"),
        ("rpm", 128, "<f4"),
        ("gearbox_state", 136, "<i4"),
    ],
)

REAL_TIME: Final = _struct(
    168,
    [
        ("damper_absorb", 0, "<f4"),
        ("field_4", 4, "<f4"),
        ("field_8", 8, "<f4"),
        ("field_12", 12, ("<f4", (3, 3))),
        ("field_48", 48, ("<f4", (3, 3))),
        ("field_84", 84, ("<f4", 3)),
        ("field_108", 108, "<f4"),
        ("has_ground_contact", 112, "<i4"),
        ("contact_material_id", 116, "<i4"),
        ("is_sliding", 120, "<i4"),
        ("relative_rotz_axis", 124, ("<f4", 3)),
        ("nb_ground_contacts", 140, "<i4"),
        ("field_144", 144, ("<f4", 3)),
    ],
)

SURFACE_HANDLER: Final = _struct(
    100,
    [("unknown", 4, ("<f4", (4, 3))), ("rotation", 52, ("<f4", (3, 3))), ("position", 88, ("<f4", 3))],
)

WHEEL: Final = _struct(
    WHEEL_BYTES,
    [
        ("steerable", 4, "<i4"),
        ("field_8", 8, "<i4"),
        ("surface_handler", 12, SURFACE_HANDLER),
        ("field_112", 112, ("<f4", (4, 3))),
        ("field_160", 160, "<i4"),
        ("field_164", 164, "<i4"),
        ("offset_from_vehicle", 168, ("<f4", 3)),
        ("real_time", 180, REAL_TIME),
        ("field_348", 348, "<i4"),
        ("contact_relative_local_distance", 352, ("<f4", 3)),
        ("prev_sync", 364, "V100"),
        ("sync", 464, "V100"),
        ("field_564", 564, "V100"),
        ("async", 664, "V100"),
    ],
)

EVENT: Final = _struct(8, [("time", 0, "<i4"), ("data", 4, "<u4")])
INPUT_ENTRY: Final = _struct(12, [("time", 0, "<i4"), ("event", 4, EVENT)])

_HEADER = [("version", 0, "<u4"), ("context_mode", 4, "<u4"), ("flags", 8, "<u4"), ("timers", 12, ("<i4", 53))]
_DYNA = [("previous", 492, BODY), ("current", 672, BODY), ("temporary", 852, BODY)]
_SCENE_MOBIL: list[tuple[str, int, object]] = [
    ("is_update_async", 1724, "<i4"),
    ("input_gas", 1728, "<f4"),
    ("input_brake", 1732, "<f4"),
    ("input_steer", 1736, "<f4"),
    ("is_light_trials_set", 1764, "<i4"),
    ("horn_limit", 1796, "<i4"),
    ("quality", 1812, "<i4"),
    ("max_linear_speed", 2384, "<f4"),
    ("gearbox_state", 2388, "<i4"),
    ("block_flags", 2392, "<i4"),
    ("prev_sync_state", 2396, VEHICLE_STATE),
    ("sync_state", 2564, VEHICLE_STATE),
    ("async_state", 2732, VEHICLE_STATE),
    ("prev_async_state", 2900, VEHICLE_STATE),
    ("max_rpm", 3084, "<f4"),
    ("braking_factor", 3104, "<f4"),
    ("clamped_rpm", 3108, "<f4"),
    ("actual_rpm", 3112, "<f4"),
    ("slide_factor", 3116, "<f4"),
    ("rear_gear", 3124, "<i4"),
    ("gear", 3128, "<i4"),
    ("has_any_lateral_contact", 3148, "<i4"),
    ("last_has_any_lateral_contact_time", 3152, "<i4"),
    ("water_forces_applied", 3156, "<i4"),
    ("turning_rate", 3160, "<f4"),
    ("turbo_boost_factor", 3172, "<f4"),
    ("last_turbo_type_change_time", 3176, "<i4"),
    ("last_turbo_time", 3180, "<i4"),
    ("turbo_type", 3184, "<i4"),
    ("roulette_value", 3192, "<f4"),
    ("is_freewheeling", 3196, "<i4"),
    ("is_sliding", 3224, "<i4"),
    ("wheel_contact_absorb_counter", 3308, "<i4"),
    ("burnout_state", 3340, "<i4"),
    ("current_local_speed", 3452, ("<f4", 3)),
    ("total_central_force_added", 3720, ("<f4", 3)),
    ("is_rubber_ball", 3764, "<i4"),
    ("saved_state", 3768, ("<f4", (4, 3))),
]
_PLAYER_INFO: list[tuple[str, int, object]] = [
    ("team", 7780, "<u4"),
    ("prev_race_time", 7884, "<i4"),
    ("race_start_time", 7888, "<u4"),
    ("race_time", 7892, "<i4"),
    ("race_best_time", 7896, "<u4"),
    ("lap_start_time", 7900, "<u4"),
    ("lap_time", 7904, "<u4"),
    ("lap_best_time", 7908, "<i4"),
    ("min_respawns", 7912, "<u4"),
    ("nb_completed", 7916, "<u4"),
    ("max_completed", 7920, "<u4"),
    ("stunts_score", 7924, "<u4"),
    ("best_stunts_score", 7928, "<u4"),
    ("cur_checkpoint", 7932, "<u4"),
    ("average_rank", 7936, "<f4"),
    ("current_race_rank", 7940, "<u4"),
    ("current_round_rank", 7944, "<u4"),
    ("current_time", 7980, "<u4"),
    ("race_state", 7992, "<u4"),
    ("ready_enum", 7996, "<u4"),
    ("round_num", 8000, "<u4"),
    ("offset_current_cp", 8004, "<f4"),
    ("cur_lap_cp_count", 8020, "<u4"),
    ("cur_cp_count", 8024, "<u4"),
    ("cur_lap", 8028, "<u4"),
    ("race_finished", 8032, "<i4"),
    ("display_speed", 8036, "<i4"),
    ("finish_not_passed", 8040, "<i4"),
    ("countdown_time", 8120, "<i4"),
]
_INPUT = [
    ("internal_input_state", 8156, (INPUT_ENTRY, 10)),
    ("last_events", 8276, (EVENT, 8)),
    ("num_respawns", 8340, "<u4"),
]

FIXED: Final = _struct(
    FIXED_BYTES,
    [*_HEADER, *_DYNA, *_SCENE_MOBIL, ("wheels", WHEEL_BASE, (WHEEL, 4)), *_PLAYER_INFO, *_INPUT],
)
"""The fixed part: ``np.frombuffer(blob, FIXED, count=1)`` is a view of all of it."""

CHECKPOINT_TIME: Final = _struct(8, [("time", 0, "<i4"), ("stunts_score", 4, "<i4")])
"""One required pass (checkpoints times laps, the finish included); time -1 is not passed."""

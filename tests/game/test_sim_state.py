"""The state blob: every field at its offset, lengths that add up, damage that is told."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackmaster.game import GameError
from trackmaster.game.link.sim_state import SimStateData, car_states
from trackmaster.game.link.state_layout import FIXED, MIN_BLOB_BYTES, OPAQUE, Section
from trackmaster.game.state import MAX_CP_TIMES

# (path of the field, offset in the blob, struct code), from the tables of the reference.
SCALARS = [
    (("version",), 0, "I"), (("context_mode",), 4, "I"), (("flags",), 8, "I"), (("timers", 1), 16, "i"),
    (("timers", 52), 220, "i"), (("current", "quaternion_wxyz", 0), 672, "f"),
    (("current", "rotation", 0, 0), 688, "f"),
    (("current", "rotation", 1, 2), 708, "f"), (("current", "position", 0), 724, "f"),
    (("current", "linear_speed", 2), 744, "f"), (("current", "add_linear_speed", 0), 748, "f"),
    (("current", "angular_speed", 0), 760, "f"), (("current", "force", 0), 772, "f"),
    (("current", "torque", 0), 784, "f"), (("current", "inverse_inertia", 0, 0), 796, "f"),
    (("current", "unknown"), 832, "f"), (("current", "not_tweaked_linear_speed", 0), 836, "f"),
    (("current", "owner"), 848, "i"), (("previous", "position", 0), 544, "f"), (("temporary", "position", 0), 904, "f"),
    (("is_update_async",), 1724, "i"), (("input_gas",), 1728, "f"), (("input_brake",), 1732, "f"),
    (("input_steer",), 1736, "f"), (("is_light_trials_set",), 1764, "i"), (("horn_limit",), 1796, "i"),
    (("quality",), 1812, "i"), (("max_linear_speed",), 2384, "f"), (("gearbox_state",), 2388, "i"),
    (("block_flags",), 2392, "i"), (("prev_sync_state", "speed_forward"), 2396, "f"),
    (("sync_state", "speed_forward"), 2564, "f"), (("sync_state", "speed_sideward"), 2568, "f"),
    (("sync_state", "is_turbo"), 2584, "i"), (("sync_state", "rpm"), 2692, "f"),
    (("sync_state", "gearbox_state"), 2700, "i"), (("async_state", "speed_forward"), 2732, "f"),
    (("prev_async_state", "speed_forward"), 2900, "f"), (("max_rpm",), 3084, "f"), (("braking_factor",), 3104, "f"),
    (("clamped_rpm",), 3108, "f"), (("actual_rpm",), 3112, "f"), (("slide_factor",), 3116, "f"),
    (("rear_gear",), 3124, "i"), (("gear",), 3128, "i"), (("has_any_lateral_contact",), 3148, "i"),
    (("last_has_any_lateral_contact_time",), 3152, "i"), (("water_forces_applied",), 3156, "i"),
    (("turning_rate",), 3160, "f"), (("turbo_boost_factor",), 3172, "f"),
    (("last_turbo_type_change_time",), 3176, "i"), (("last_turbo_time",), 3180, "i"), (("turbo_type",), 3184, "i"),
    (("roulette_value",), 3192, "f"), (("is_freewheeling",), 3196, "i"), (("is_sliding",), 3224, "i"),
    (("wheel_contact_absorb_counter",), 3308, "i"), (("burnout_state",), 3340, "i"),
    (("current_local_speed", 0), 3452, "f"), (("total_central_force_added", 0), 3720, "f"),
    (("is_rubber_ball",), 3764, "i"), (("saved_state", 3, 2), 3812, "f"),
    (("wheels", 0, "steerable"), 3820, "i"), (("wheels", 0, "surface_handler", "unknown", 0, 0), 3832, "f"),
    (("wheels", 0, "surface_handler", "rotation", 0, 0), 3880, "f"),
    (("wheels", 0, "surface_handler", "position", 0), 3916, "f"), (("wheels", 0, "field_112", 0, 0), 3928, "f"),
    (("wheels", 0, "offset_from_vehicle", 0), 3984, "f"), (("wheels", 0, "real_time", "damper_absorb"), 3996, "f"),
    (("wheels", 0, "real_time", "field_12", 0, 0), 4008, "f"),
    (("wheels", 0, "real_time", "field_48", 0, 0), 4044, "f"),
    (("wheels", 0, "real_time", "field_84", 0), 4080, "f"), (("wheels", 0, "real_time", "field_108"), 4104, "f"),
    (("wheels", 0, "real_time", "has_ground_contact"), 4108, "i"),
    (("wheels", 0, "real_time", "contact_material_id"), 4112, "i"),
    (("wheels", 0, "real_time", "is_sliding"), 4116, "i"),
    (("wheels", 0, "real_time", "relative_rotz_axis", 0), 4120, "f"),
    (("wheels", 0, "real_time", "nb_ground_contacts"), 4136, "i"),
    (("wheels", 0, "real_time", "field_144", 0), 4140, "f"), (("wheels", 0, "field_348"), 4164, "i"),
    (("wheels", 0, "contact_relative_local_distance", 0), 4168, "f"),
    (("wheels", 1, "real_time", "damper_absorb"), 4760, "f"), (("wheels", 2, "real_time", "is_sliding"), 5644, "i"),
    (("wheels", 3, "real_time", "contact_material_id"), 6404, "i"),
    (("team",), 7780, "I"), (("prev_race_time",), 7884, "i"), (("race_start_time",), 7888, "I"),
    (("race_time",), 7892, "i"), (("race_best_time",), 7896, "I"), (("lap_start_time",), 7900, "I"),
    (("lap_time",), 7904, "I"), (("lap_best_time",), 7908, "i"), (("min_respawns",), 7912, "I"),
    (("nb_completed",), 7916, "I"), (("max_completed",), 7920, "I"), (("stunts_score",), 7924, "I"),
    (("best_stunts_score",), 7928, "I"), (("cur_checkpoint",), 7932, "I"), (("average_rank",), 7936, "f"),
    (("current_race_rank",), 7940, "I"), (("current_round_rank",), 7944, "I"), (("current_time",), 7980, "I"),
    (("race_state",), 7992, "I"), (("ready_enum",), 7996, "I"), (("round_num",), 8000, "I"),
    (("offset_current_cp",), 8004, "f"), (("cur_lap_cp_count",), 8020, "I"), (("cur_cp_count",), 8024, "I"),
    (("cur_lap",), 8028, "I"), (("race_finished",), 8032, "i"), (("display_speed",), 8036, "i"),
    (("finish_not_passed",), 8040, "i"), (("countdown_time",), 8120, "i"),
    (("internal_input_state", 0, "time"), 8156, "i"), (("internal_input_state", 9, "event", "data"), 8272, "I"),
    (("last_events", 0, "time"), 8276, "i"), (("last_events", 1, "time"), 8284, "i"),
    (("last_events", 7, "data"), 8336, "I"), (("num_respawns",), 8340, "I"),
]  # fmt: skip


def field_at(state: SimStateData, path: tuple[str | int, ...]) -> object:
    value: object = state
    for step in path:
        value = value[step]  # type: ignore[index]
    return value


@pytest.mark.parametrize(("path", "offset", "code"), SCALARS, ids=[".".join(map(str, path)) for path, _, _ in SCALARS])
def test_a_marker_at_every_offset_is_read_as_its_field(path: tuple[str | int, ...], offset: int, code: str) -> None:
    blob = bytearray(MIN_BLOB_BYTES)
    struct.pack_into(f"<{code}", blob, offset, 77)
    state = SimStateData(blob)
    assert field_at(state, path) == 77
    written = SimStateData(bytearray(MIN_BLOB_BYTES))
    field_at(written, path[:-1])[path[-1]] = 77  # type: ignore[index]
    assert written.to_bytes() == bytes(blob), "the way back changes these bytes and no others"


def test_the_fixed_part_and_whole_blobs_have_the_lengths_of_the_format() -> None:
    assert FIXED.itemsize == 8_344
    for n, m in ((0, 0), (1, 1), (5, 15), (64, 640)):
        state = SimStateData.blank(n, m)
        assert len(state) == 8_356 + 4 * n + 8 * m
        assert len(state.cp_states) == n
        assert state.cp_times["time"].tolist() == [-1] * m
        raw = state.to_bytes()
        assert struct.unpack_from("<I", raw, 8_348) == (n,)
        assert struct.unpack_from("<I", raw, 8_352 + 4 * n) == (m,)


def test_opaque_bytes_belong_to_no_field() -> None:
    named = np.zeros(FIXED.itemsize, bool)
    for kind, offset in (item[:2] for item in FIXED.fields.values()):
        named[offset : offset + kind.itemsize] = True
    for start, stop in OPAQUE:
        assert not named[start:stop].any()


def test_edits_go_into_the_blob_and_bytes_of_the_game_cannot_be_edited() -> None:
    state = SimStateData.blank(1, 1)
    state["race_time"] = 1_234
    state["current"]["position"] = (1, 2, 3)
    state.cp_times["time"][0] = 1_230
    again = SimStateData(state.to_bytes())
    assert again.race_time_ms == 1_234
    assert again["current"]["position"].tolist() == [1, 2, 3]
    assert again.cp_times_ms == (1_230,)
    with pytest.raises(ValueError, match="read-only"):
        again["race_time"] = 5
    assert again.without_finish().cp_times_ms == ()
    assert again.cp_times_ms == (1_230,), "the original is left alone"


def test_a_map_without_passes_cannot_lose_its_finish() -> None:
    with pytest.raises(GameError, match="counts no passes"):
        SimStateData.blank().without_finish()


@pytest.mark.parametrize("size", [0, 4, 8_343, 8_355])
def test_a_short_blob_is_refused(size: int) -> None:
    with pytest.raises(GameError, match="at least 8356 bytes"):
        SimStateData(bytes(size))


@given(cut=st.integers(1, 60), tail=st.binary(max_size=8))
def test_a_blob_of_another_length_than_its_lists_is_refused(cut: int, tail: bytes) -> None:
    whole = SimStateData.blank(3, 6).to_bytes()
    for damaged in (whole[:-cut], whole + tail + b"x"):
        with pytest.raises(GameError):
            SimStateData(damaged)


@given(tail=st.binary(max_size=80))
def test_junk_is_a_state_of_consistent_length_or_refused(tail: bytes) -> None:
    junk = bytes(8_344) + tail
    try:
        state = SimStateData(junk)
    except GameError:
        return
    assert len(junk) == 8_356 + 4 * len(state.cp_states) + 8 * len(state.cp_times)


def test_a_list_longer_than_any_map_is_refused_before_it_is_read() -> None:
    blob = bytearray(MIN_BLOB_BYTES)
    blob[8_348:8_352] = b"\xff\xff\xff\x7f"
    with pytest.raises(GameError, match="no map has more"):
        SimStateData(blob)


def test_a_car_is_read_from_many_blobs_at_once() -> None:
    states = []
    for k in range(3):
        state = SimStateData.blank(2, 2)
        state["race_time"] = 10 * k
        state["current"]["rotation"] = np.eye(3) * (k + 1)
        state["wheels"]["real_time"]["contact_material_id"] = 0x7_0000 | (k + 2)
        state["turbo_boost_factor"], state["sync_state"]["is_turbo"] = 1.5, k == 1
        states.append(state)
    states[2].cp_times["time"] = (5, 20)
    states[2]["cur_cp_count"], states[2]["race_finished"] = 2, 1
    cars = car_states(states)
    assert cars.time_ms.tolist() == [0, 10, 20]
    assert cars.rotation[2].tolist() == (np.eye(3) * 3).tolist()
    assert cars.wheel_material[1].tolist() == [3, 3, 3, 3]
    assert cars.turbo.tolist() == [0, 1.5, 0]
    assert cars.cp_times_ms.shape == (3, MAX_CP_TIMES)
    assert cars.cp_times_ms[2, :3].tolist() == [5, 20, -1]
    assert cars.finished.tolist() == [False, False, True]
    assert cars.race_time_ms.tolist() == [-1, -1, 20]
    assert cars.position_m.dtype == np.float32


def test_a_blob_without_the_sections_of_a_car_is_refused() -> None:
    state = SimStateData.blank()
    state["flags"] = int(Section.DYNA | Section.TIMERS)
    assert state.has(Section.DYNA)
    assert not state.has(Section.WHEELS)
    with pytest.raises(GameError, match="holds only the sections 0x03"):
        state.car_states()

"""Events, commands, ticks and labels: the one rule, checked against a slow restatement of it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trackmaster import gbx
from trackmaster.gbx import limits
from trackmaster.gbx.events import EVENT_DTYPE

EXAMPLES = settings(max_examples=300, deadline=None)
NAMES = ("_FakeIsRaceRunning", "Accelerate", "Brake", "SteerLeft", "SteerRight", "Steer", "Gas", "Respawn", "Horn")
DIGITAL = {"Accelerate", "Brake", "SteerLeft", "SteerRight", "Respawn", "Horn", "_FakeIsRaceRunning"}
DURATION_MS = 400


def events(*rows: tuple[int, str, int], names: tuple[str, ...] = NAMES) -> gbx.ControlEvents:
    return gbx.ControlEvents(
        np.array([t for t, _, _ in rows], np.int64),
        np.array([names.index(n) for _, n, _ in rows], np.uint8),
        np.array([v & 0xFFFFFFFF for _, _, v in rows], np.uint32),
        names,
    )


@st.composite
def recorded(draw: st.DrawFn) -> gbx.ControlEvents:
    rows = []
    for _ in range(draw(st.integers(0, 14))):
        name = draw(st.sampled_from(NAMES[1:]))
        time_ms = draw(st.integers(-3, 42)) * 10
        if name == "Respawn":
            time_ms += draw(st.integers(0, 9))
        value = draw(st.integers(0, 1)) if name in DIGITAL else draw(st.integers(-65_536, 65_536)) & 0xFFFFFF
        rows.append((time_ms, name, value))
    return events(*sorted(rows, key=lambda row: row[0]))


def test_script_time_is_one_tick_before_the_first_tick_that_starts_no_earlier() -> None:
    rows = [(10, "Accelerate", 1), (11, "Brake", 1), (120, "SteerLeft", 1), (125, "Respawn", 1), (130, "Respawn", 0),
            (140, "Respawn", 1)]  # fmt: skip
    assert [(c.time_ms, c.control.name) for c in gbx.commands_from_events(events(*rows))] == [
        (0, "ACCELERATE"),
        (10, "BRAKE"),
        (110, "LEFT"),
        (120, "RESPAWN"),
        (130, "RESPAWN"),
        (130, "RESPAWN"),
    ]


def test_what_is_held_at_the_start_counts_and_the_rest_before_it_does_not() -> None:
    rows = [(-2_468, "Respawn", 0), (-500, "Brake", 1), (-400, "Brake", 0), (-300, "Accelerate", 1),
            (-200, "Steer", -20_000), (-100, "Respawn", 1), (300, "Respawn", 0)]  # fmt: skip
    found = gbx.commands_from_events(events(*rows))
    assert found == [(0, gbx.Control.ACCELERATE, 1), (0, gbx.Control.STEER, 20_000)]


@pytest.mark.parametrize(
    ("name", "stored", "control", "value"),
    [
        ("Steer", 0xFFCC14, "STEER", 13_292),
        ("Steer", 0x010000, "STEER", -65_536),
        ("Steer", 0xFF0000, "STEER", 65_536),
        ("Steer", 0x200000, "STEER", -65_536),
        ("Gas", 0x800000, "GAS", -65_536),
        ("Gas", 0x010000, "GAS", 65_536),
        ("Gas", 0xFF0000, "GAS", -65_536),
        ("SteerLeft", 128, "LEFT", 1),
        ("AccelerateReal", 0x10000, "ACCELERATE", 1),
        ("BrakeReal", 0, "BRAKE", 0),
    ],
)
def test_stored_values_become_commands(name: str, stored: int, control: str, value: int) -> None:
    (command,) = gbx.commands_from_events(events((10, name, stored), names=(name,)))
    assert (command.control.name, command.value) == (control, value)


def test_partly_pressed_pedals_fakes_and_horn_are_no_commands() -> None:
    names = ("AccelerateReal", "_FakeFinishLine", "Horn")
    assert gbx.commands_from_events(events(*[(10, n, 0x8000) for n in names], names=names)) == []


def test_axes_turn_round_where_the_file_says_so() -> None:
    names = ("Steer", "Gas", "_FakeDontInverseAxis")
    found = gbx.commands_from_events(events((10, "Steer", 500), (20, "Gas", 600), names=names))
    assert [c.value for c in found] == [500, -600]


def test_file_times_lose_their_offset_and_tminterface_its_shift() -> None:
    for shift in (0, 65_535):
        rows = np.array([(100_000 + shift, 0, 1), (100_010 + shift, 1, 1)], EVENT_DTYPE)
        found = gbx.ControlEvents.from_rows(rows, NAMES)
        assert found.time_ms.tolist() == [0, 10]
        assert (found.shift_ms, found.is_tminterface) == (shift, shift > 0)
        assert np.array_equal(found.to_rows(), rows)


def test_device_is_a_pad_as_soon_as_an_axis_moves() -> None:
    assert events((10, "SteerLeft", 1)).device == "keyboard"
    assert events((10, "SteerLeft", 1), (20, "Steer", 1)).device == "pad"


def test_respawn_presses_count_between_start_and_finish() -> None:
    rows = [(-10, "Respawn", 1), (0, "Respawn", 1), (55, "Respawn", 1), (60, "Respawn", 0), (500, "Respawn", 128)]
    assert events(*rows).respawn_presses() == 2
    assert events(*rows).respawn_presses(100) == 1


def slow_timeline(found: gbx.ControlEvents, duration_ms: int) -> list[tuple[object, ...]]:
    """The rule restated tick by tick: what is held, who has the say, what the car obeys, and the label."""
    commands = gbx.commands_from_events(found)
    rows = []
    for tick_ms in range(0, duration_ms + 1, 10):
        held = dict.fromkeys(gbx.Control, 0)
        last: dict[str, tuple[int, set[str]]] = {}
        presses = 0
        for time_ms, control, value in commands:
            if time_ms > tick_ms:
                break
            held[control] = value
            if control is gbx.Control.RESPAWN:
                presses += bool(value) and time_ms == tick_ms
                continue
            axis = "steer" if control.name in ("LEFT", "RIGHT", "STEER") else "gas"
            kind = "axis" if control.name in ("STEER", "GAS") else "keys"
            before = last.get(axis, (-1, set()))
            last[axis] = (time_ms, {kind} | (before[1] if before[0] == time_ms else set()))
        say = {axis: kinds for axis, (_, kinds) in last.items()}
        left, right, up, down = (held[gbx.Control[n]] for n in ("LEFT", "RIGHT", "ACCELERATE", "BRAKE"))
        steer_axis = "axis" in say.get("steer", ()) and (
            "keys" not in say["steer"] or (not left and not right and abs(held[gbx.Control.STEER]) > 655)
        )
        gas_axis = "axis" in say.get("gas", ()) and ("keys" not in say["gas"] or (not up and not down))
        steer = held[gbx.Control.STEER] / 65_536 if steer_axis else -1.0 if left else 1.0 if right else 0.0
        gas = held[gbx.Control.GAS] >= 19_661 if gas_axis else bool(up)
        brake = held[gbx.Control.GAS] <= -19_661 if gas_axis else bool(down)
        side = (
            (True, False) if steer <= -21_845 / 65_536 else (False, True) if steer >= 21_845 / 65_536 else (False,) * 2
        )
        label = gbx.ACTION_KEYS.index((bool(gas), bool(brake), *side))
        rows.append((steer, gas, brake, label, presses))
    return rows


@EXAMPLES
@given(found=recorded())
def test_timeline_follows_the_rule_at_every_tick(found: gbx.ControlEvents) -> None:
    timeline = gbx.InputTimeline.from_events(found, DURATION_MS)
    steer, gas, brake = timeline.effective()
    labels = timeline.action_index()
    expected = slow_timeline(found, DURATION_MS)
    assert len(timeline) == len(expected) == 41
    rows = zip(steer, gas, brake, labels, timeline.respawn_presses, strict=True)
    for tick, (got, wanted) in enumerate(zip(rows, expected, strict=True)):
        assert [float(x) for x in got] == pytest.approx([float(x) for x in wanted]), f"at {10 * tick} ms"  # type: ignore[arg-type]


@EXAMPLES
@given(found=recorded())
def test_timeline_survives_events_commands_and_script(found: gbx.ControlEvents) -> None:
    timeline = gbx.InputTimeline.from_events(found, DURATION_MS)
    assert gbx.InputTimeline.from_commands(timeline.to_commands(), DURATION_MS) == timeline
    assert gbx.InputTimeline.from_events(timeline.to_events(race_time_ms=DURATION_MS), DURATION_MS) == timeline
    assert gbx.from_script(gbx.to_script(found), DURATION_MS) == timeline
    assert gbx.from_script(gbx.to_script(timeline), DURATION_MS) == timeline


def test_left_wins_over_right_and_the_axis_is_a_switch_for_gas() -> None:
    timeline = gbx.InputTimeline.from_events(
        events(
            (10, "SteerRight", 1), (20, "SteerLeft", 1), (20, "Gas", 19_660), (30, "Gas", 19_661), (40, "Gas", -19_661)
        ),
        40,
    )
    steer, gas, brake = timeline.effective()
    assert steer.tolist() == [1, -1, -1, -1, -1]
    assert gas.tolist() == [0, 0, 1, 0, 0]
    assert brake.tolist() == [0, 0, 0, 1, 1]


def test_a_short_respawn_tap_is_still_seen() -> None:
    timeline = gbx.InputTimeline.from_events(events((101, "Respawn", 1), (102, "Respawn", 0)), 200)
    assert np.flatnonzero(timeline.keys_u8 & 16).tolist() == [10]
    assert timeline.respawn_presses.sum() == 1


def test_two_respawns_within_a_tick_both_count() -> None:
    rows = [(101, "Respawn", 1), (103, "Respawn", 0), (105, "Respawn", 1), (130, "Respawn", 0)]
    timeline = gbx.InputTimeline.from_events(events(*rows), 200)
    assert timeline.respawn_presses[10] == 2
    assert np.flatnonzero(timeline.keys_u8 & 16).tolist() == [10, 11]


def test_hundreds_of_respawns_within_a_tick_count_as_255() -> None:
    timeline = gbx.InputTimeline.from_events(events(*[(101, "Respawn", 1)] * 300), 200)
    assert timeline.respawn_presses[10] == 255
    assert gbx.InputTimeline.from_commands(timeline.to_commands(), 200) == timeline


def test_steering_beyond_the_full_way_is_written_as_the_full_way() -> None:
    found = events((10, "Steer", 0x200000), (20, "Steer", -0x200000))
    assert gbx.to_script(found).splitlines() == ["0 steer -65536", "10 steer 65536"]
    assert gbx.from_script(gbx.to_script(found), 40) == gbx.InputTimeline.from_events(found, 40)


def test_from_keys_does_not_change_with_its_argument() -> None:
    keys = np.zeros(3, np.uint8)
    timeline = gbx.InputTimeline.from_keys(keys)
    keys[1] = 1
    assert timeline.keys_u8.tolist() == [0, 0, 0]


def test_from_actions_holds_each_action_for_its_ticks() -> None:
    timeline = gbx.InputTimeline.from_actions(np.arange(12), ticks_per_action=5)
    assert timeline.action_index().tolist() == np.repeat(np.arange(12), 5).tolist()
    for index, keys in enumerate(gbx.ACTION_KEYS):
        assert [bool(gbx.ACTION_BITS[index] >> bit & 1) for bit in range(4)] == list(keys)


def test_offset_shifts_by_whole_ticks_only() -> None:
    base = events((50, "Accelerate", 1))
    shifted = gbx.InputTimeline.from_events(base, 100, offset_ms=-20)
    assert np.flatnonzero(shifted.keys_u8).min() == 2
    with pytest.raises(ValueError, match="multiple of 10"):
        gbx.InputTimeline.from_events(base, 100, offset_ms=5)
    with pytest.raises(ValueError, match="duration_ms is -10"):
        gbx.InputTimeline.from_events(base, -10)


def test_a_run_of_weeks_is_refused_before_it_is_laid_out() -> None:
    base = events((10, "Accelerate", 1))
    for duration_ms in (limits.DURATION_MS + 10, 2_000_000_000, 2**31 - 1):
        with pytest.raises(gbx.TimelineError, match=r"at most 24 can be laid out.*no real run is that long\."):
            gbx.InputTimeline.from_events(base, duration_ms)


@pytest.mark.corpus
def test_samples_of_real_ghosts_show_the_inputs_of_the_timeline(real_runs: list[tuple[str, gbx.Ghost]]) -> None:
    """The sample at s shows what the callback of s - 20 sets; where a respawn has just happened it shows nothing."""
    checked = 0
    for name, ghost in real_runs:
        if ghost.samples is None or ghost.events is None or ghost.race_time_ms is None or "TMU" in name:
            continue
        timeline = gbx.InputTimeline.from_events(ghost.events, ghost.race_time_ms)
        s = ghost.samples
        inside = (s.time_ms >= 20) & (s.time_ms <= ghost.race_time_ms)
        ticks = (s.time_ms[inside] - 20) // 10
        respawned = timeline.respawn_presses[ticks + 1] > 0
        for ours, theirs in zip(timeline.effective(), (s.steer, s.gas, s.brake), strict=True):
            error = np.abs(ours[ticks] - theirs[inside])[~respawned]
            assert error.max() <= 1 / 127, f"{name}: {int((error > 1 / 127).sum())} samples differ"
        assert timeline.respawn_presses.sum() == ghost.respawns
        assert gbx.from_script(gbx.to_script(ghost.events), ghost.race_time_ms) == timeline
        checked += 1
    assert checked >= 30

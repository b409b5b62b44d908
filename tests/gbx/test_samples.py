"""Ghost samples: every stored field against the formula of the format, written out once more by hand."""

import dataclasses
import math
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trackmaster import gbx
from trackmaster.gbx.reader import ByteReader
from trackmaster.gbx.samples import SAMPLE_BYTES, decode_samples, read_samples

FINITE = st.floats(-1e4, 1e4, width=32)


def one_sample() -> bytes:
    """A sample with a different value in each field."""
    parts = [
        struct.pack("<3f", 600.5, -3.25, 480.125),
        struct.pack("<Hhh", 20_000, -10_000, 5_000),
        struct.pack("<hbb", 3_500, -40, 25),
        struct.pack("<hbb", -500, 90, -127),
        struct.pack("<4H", 6_500, 33_000, 20_000, 0),
        struct.pack("<3H", 1, 40_000, 65_535),
        bytes([200, 255, 51, 16, 7, 127, 126, 102, 140]),
        bytes([134, 16, 127, 0, 120, 2, 255, 9]),
        bytes([0x28, 0b1100_0000, 0b1010_1001, 51]),
    ]
    return b"".join(parts)


def test_decode_follows_the_formula_of_every_field() -> None:
    raw = np.frombuffer(one_sample() * 2, np.uint8).reshape(2, SAMPLE_BYTES)
    s = decode_samples(raw)
    assert s.time_ms.tolist() == [0, 100]
    assert s.position_m[0].tolist() == [600.5, -3.25, 480.125]
    half, heading, pitch = 20_000 * math.pi / 65_535, -10_000 * math.pi / 32_767, 5_000 * math.pi / 2 / 32_767
    axis = (math.cos(heading) * math.cos(pitch), math.sin(heading) * math.cos(pitch), math.sin(pitch))
    assert s.quaternion_wxyz[0] == pytest.approx([math.cos(half), *(a * math.sin(half) for a in axis)], abs=1e-6)
    heading, pitch, speed = -40 * math.pi / 127, 25 * math.pi / 2 / 127, math.exp(3.5)
    velocity = (
        math.cos(heading) * math.cos(pitch) * speed,
        math.sin(heading) * math.cos(pitch) * speed,
        math.sin(pitch) * speed,
    )
    assert s.velocity_mps[0] == pytest.approx(velocity, rel=1e-6)
    assert s.angular_velocity_radps[0] == pytest.approx([0, 0, -math.exp(-0.5)], abs=1e-6), "pitch -127 points down"
    assert s.forward_speed_mps[0] == pytest.approx(6_500 / 65_535 * 11_000 - 1_000)
    assert s.sideways_speed_mps[0] == pytest.approx(33_000 / 65_535 * 2_000 - 1_000)
    assert s.rpm[0] == pytest.approx(20_000 * 30_000 / 65_535)
    assert s.wheel_rotation_rad[0] == pytest.approx([w / 65_535 * 1608.495 for w in (0, 1, 40_000, 65_535)], rel=1e-6)
    assert s.steer[0] == pytest.approx(200 / 255 * 2 - 1)
    assert (s.gas[0], s.brake[0]) == (pytest.approx(1.0), pytest.approx(0.2))
    assert s.body_material[0].tolist() == [16, 7]
    assert s.axes_45_46[0] == pytest.approx([127 / 255 * 2 - 1, 126 / 255 * 2 - 1])
    assert (s.byte_57[0], s.bits_59[0]) == (0x28, 2)
    assert s.turbo[0] == pytest.approx(0.4)
    assert s.front_wheel_angle_rad[0] == pytest.approx(140 / 255 * 2 * math.pi - math.pi)
    assert s.damper_m[0] == pytest.approx([d / 255 * 4 - 2 for d in (134, 127, 120, 255)], abs=1e-6)
    assert s.wheel_material[0].tolist() == [16, 0, 2, 9]
    assert s.wheel_sliding[0].tolist() == [True, True, False, False]
    assert s.wheel_contact[0].tolist() == [True, False, True, True]
    assert s.dirt[0] == pytest.approx(0.2)


def test_zero_speed_is_its_own_code() -> None:
    raw = bytearray(one_sample())
    raw[18:20] = struct.pack("<h", -32_768)
    s = decode_samples(np.frombuffer(bytes(raw), np.uint8).reshape(1, SAMPLE_BYTES))
    assert s.velocity_mps[0].tolist() == [0, 0, 0]


def test_samples_are_read_only_and_equal_by_content(ghost: gbx.Ghost) -> None:
    assert ghost.samples is not None
    with pytest.raises(ValueError, match="read-only"):
        ghost.samples.position_m[0, 0] = 1.0
    again = decode_samples(ghost.samples.raw.copy())
    assert again == ghost.samples
    changed = ghost.samples.raw.copy()
    changed[0, 0] ^= 1
    assert decode_samples(changed) != ghost.samples


@settings(max_examples=60, deadline=None)
@given(
    position=st.tuples(FINITE, FINITE, FINITE),
    angles=st.tuples(*[st.floats(-3, 3)] * 3),
    velocity=st.tuples(*[st.floats(-250, 250)] * 3),
    steer=st.floats(-1, 1),
    damper=st.floats(-2, 2),
    turn=st.floats(0, 5_000),
)
def test_make_samples_stores_states_within_the_steps_of_the_format(
    position: tuple[float, ...],
    angles: tuple[float, ...],
    velocity: tuple[float, ...],
    steer: float,
    damper: float,
    turn: float,
) -> None:
    a, b, c = angles
    about_y = np.array([[math.cos(a), 0, math.sin(a)], [0, 1, 0], [-math.sin(a), 0, math.cos(a)]])
    about_x = np.array([[1, 0, 0], [0, math.cos(b), -math.sin(b)], [0, math.sin(b), math.cos(b)]])
    about_z = np.array([[math.cos(c), -math.sin(c), 0], [math.sin(c), math.cos(c), 0], [0, 0, 1]])
    rotation = about_y @ about_x @ about_z
    s = gbx.make_samples(
        [position], rotation[None], [velocity], steer=[steer], damper_m=damper, wheel_rotation_rad=turn, gas=1.0
    )
    assert s.position_m[0].tolist() == [np.float32(p) for p in position], "positions are exact"
    assert np.abs(s.rotation[0] - rotation).max() < 3e-4, "0.01 degrees"
    speed = math.dist(velocity, (0, 0, 0))
    assert np.linalg.norm(s.velocity_mps[0]) == pytest.approx(speed, rel=6e-4, abs=1e-9)
    assert np.abs(s.velocity_mps[0] - velocity).max() < max(0.025 * speed, 1e-6), "1.4 degrees"
    local = rotation.T @ velocity
    assert s.forward_speed_mps[0] == pytest.approx(local[2], abs=0.09)
    assert s.sideways_speed_mps[0] == pytest.approx(local[0], abs=0.02)
    assert s.steer[0] == pytest.approx(steer, abs=0.004)
    assert s.damper_m[0] == pytest.approx([damper] * 4, abs=0.008)
    whole_turns = 256 * 2 * math.pi
    assert s.wheel_rotation_rad[0, 0] % whole_turns == pytest.approx(turn % whole_turns, abs=0.02)
    once_more = gbx.make_samples(s.position_m, s.quaternion_wxyz, s.velocity_mps, steer=s.steer, damper_m=s.damper_m)
    assert np.array_equal(once_more.rotation, s.rotation), "what has been stored once is stored again without loss"
    assert np.array_equal(once_more.velocity_mps, s.velocity_mps)


def test_make_samples_refuses_what_is_no_state() -> None:
    good = {"position_m": np.zeros((2, 3)), "rotation": np.tile(np.eye(3), (2, 1, 1)), "velocity_mps": np.zeros((2, 3))}
    for name, value, message in (
        ("position_m", np.zeros((2, 2)), "position_m has shape"),
        ("position_m", np.full((2, 3), np.nan), "position_m holds"),
        ("velocity_mps", np.zeros((3, 3)), "velocity_mps has shape"),
        ("velocity_mps", np.full((2, 3), np.inf), "velocity_mps holds"),
        ("rotation", np.zeros((2, 4)), "no rotation"),
        ("rotation", np.zeros((2, 2)), "rotation has shape"),
        ("rotation", "north", "rotation is no table of numbers"),
        ("position_m", [[1, 2, 3], [4, 5]], "position_m is no table of numbers"),
        ("position_m", np.full((2, 3), 1e39), "position_m holds"),
        ("velocity_mps", np.full((2, 3), 600.0), "speeds beyond 1000 m/s"),
        ("wheel_contact", np.zeros(3), "wheel_contact has shape"),
        ("wheel_sliding", np.zeros((3, 4)), "wheel_sliding has shape"),
        ("wheel_material", np.zeros(3), "wheel_material has shape"),
        ("wheel_material", 300, "wheel_material holds values from 300 to 300, expected 0 to 255"),
        ("body_material", [[0, -1]], "body_material holds values from -1 to 0"),
        ("period_ms", 0, "period_ms is 0, expected 1 to 60000"),
    ):
        with pytest.raises(gbx.WriteError, match=message):
            gbx.make_samples(**{**good, name: value})


def blob(
    count: int, *, fixed: int = 1, version: int = 9, first: int = 0, size: int = SAMPLE_BYTES, period: int = 100
) -> bytes:
    data = one_sample() * count
    head = struct.pack("<IIiiiI", 0x0A02B000, fixed, 0, period, version, len(data))
    return head + data + struct.pack("<I", count) + (struct.pack("<ii", first, size) if count > 1 else b"")


def test_read_samples_takes_both_forms_of_the_index() -> None:
    whole = read_samples(ByteReader(blob(3), "x"))
    sizes = blob(3)[:-4] + struct.pack("<3i", -1, SAMPLE_BYTES, SAMPLE_BYTES)
    assert read_samples(ByteReader(sizes, "x")) == whole
    assert read_samples(ByteReader(struct.pack("<I", 0xFFFFFFFF), "x")) is None


def test_samples_at_times_of_their_own_keep_them(ghost: gbx.Ghost) -> None:
    samples = read_samples(ByteReader(blob(3, fixed=0) + struct.pack("<4i", 3, 0, 250, 730), "x"))
    assert samples is not None
    assert samples.time_ms.tolist() == [0, 250, 730]
    assert not samples.is_fixed
    again = gbx.read(gbx.write_ghost(dataclasses.replace(ghost, samples=samples)))
    assert isinstance(again, gbx.Ghost)
    assert again.samples == samples
    even = read_samples(ByteReader(blob(3, fixed=0) + struct.pack("<4i", 3, 0, 100, 200), "x"))
    assert even is not None
    assert even.is_fixed
    assert even == read_samples(ByteReader(blob(3), "x"))


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (blob(3, version=10), "state version 10"),
        (blob(3, first=61), "does not lie at the start"),
        (blob(3, size=60), "a sample has 60 bytes"),
        (blob(3) + b"\0", "1 bytes are left over"),
        (blob(3)[:-1], "4 more bytes were expected, but 3 are left"),
        (blob(3, fixed=2), "a yes/no value is 2"),
        (blob(2).replace(struct.pack("<f", 600.5), struct.pack("<f", math.nan)), "no finite position"),
        (blob(3)[:-4] + struct.pack("<3i", -1, SAMPLE_BYTES, 60), "samples differ in size"),
        (blob(3, fixed=0) + struct.pack("<3i", 2, 0, 100), "2 sample times are announced for 3 samples"),
        (blob(3, fixed=0) + struct.pack("<4i", 3, 0, 100, 100), "not in ascending order"),
        (blob(3, fixed=0) + struct.pack("<4i", 3, -100, 0, 100), "not in ascending order"),
        (blob(3, period=0), "samples are 0 ms apart, expected 1 to 60000"),
    ],
)
def test_read_samples_refuses_another_layout_with_its_place(data: bytes, found: str) -> None:
    with pytest.raises(gbx.GbxError, match=found) as error:
        read_samples(ByteReader(data, "x.Ghost.Gbx", "ghost data"))
    assert "x.Ghost.Gbx: byte " in str(error.value)
    assert "of the ghost data" in str(error.value)


def test_samples_may_not_last_longer_than_their_times_can_count() -> None:
    slow = struct.pack("<iiii", 1, 0, 60_000, 9)
    usual = struct.pack("<iiii", 1, 0, 100, 9)
    most = 2**31 // 60_000
    last = read_samples(ByteReader(blob(most).replace(usual, slow, 1), "x"))
    assert last is not None
    assert last.time_ms[-1] == (most - 1) * 60_000
    with pytest.raises(gbx.GbxError, match=f"{most + 1} samples every 60000 ms are announced, which would last"):
        read_samples(ByteReader(blob(most + 1).replace(usual, slow, 1), "x"))

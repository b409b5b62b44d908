"""Ghost samples: the car's state every 100 ms, as arrays.

Conventions: world right-handed with +Y up; the car's own axes are X left, Y up, Z forward; wheels in the order
front left, front right, rear right, rear left. Source: the reverse-engineered sample layout of state version 9
(GBX community documentation), cross-checked against motion in the files.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trackmaster.gbx.reader import ByteReader

SAMPLE_BYTES = 61
PERIOD_MS = 100
STATE_VERSION = 9
CAR_ENTITY = 0x0A02B000
NO_ENTITY = 0xFFFFFFFF

ROW_DTYPE = np.dtype(
    [
        ("position", "<f4", 3),
        ("half_angle", "<u2"),
        ("axis", "<i2", 2),
        ("speed", "<i2"),
        ("velocity_dir", "i1", 2),
        ("spin", "<i2"),
        ("spin_dir", "i1", 2),
        ("local_speed", "<u2", 2),
        ("rpm", "<u2"),
        ("wheel_rotation", "<u2", 4),
        ("inputs", "u1", 3),
        ("body_material", "u1", 2),
        ("unknown_axes", "u1", 2),
        ("turbo", "u1"),
        ("front_wheel_angle", "u1"),
        ("wheels", "u1", (4, 2)),
        ("flags", "u1"),
        ("wheel_bits", "<u2"),
        ("dirt", "u1"),
    ]
)
"""One sample as stored."""

WHEEL_TURNS_RAD = 256 * 2 * np.pi
"""Wheel rotation wraps after this angle."""

FORWARD_RANGE_MPS, FORWARD_LOWEST_MPS = 11_000.0, -1_000.0
SIDEWAYS_RANGE_MPS, SIDEWAYS_LOWEST_MPS = 2_000.0, -1_000.0
RPM_RANGE = 30_000.0

F32 = npt.NDArray[np.float32]
U8 = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class GhostSamples:
    """The n samples of one run; sample k is the state at race time ``time_ms[k]``. All arrays are read-only.

    The sample at s shows the inputs of events with race time <= s - 10: the state after the tick that starts at s - 10.
    A respawn pressed at race time t shows in the first sample at or after t, with released inputs.

    Attributes:
        time_ms: (n,) int32, 100 ms apart, from 0.
        position_m: (n, 3) world position of the car's origin, exactly as simulated.
        quaternion_wxyz: (n, 4) unit rotation car to world (0.01 degrees).
        rotation: (n, 3, 3) the same as a matrix; its columns are the car's X (left), Y (up), Z (forward) in the world.
        velocity_mps: (n, 3) world; magnitude to 0.1 %, direction to 1.4 degrees.
        angular_velocity_radps: (n, 3) world.
        forward_speed_mps: (n,) along the car's Z, in steps of 0.168.
        sideways_speed_mps: (n,) along the car's X, + = left, in steps of 0.031.
        rpm: (n,) engine speed.
        wheel_rotation_rad: (n, 4) wraps after 256 turns.
        steer: (n,) raw steering input -1 to 1, + = right.
        gas: (n,) 0 to 1.
        brake: (n,) 0 to 1.
        turbo: (n,) turbo strength 0 to 1.
        front_wheel_angle_rad: (n,) as drawn, + = left.
        damper_m: (n, 4) suspension length.
        wheel_material: (n, 4) uint8 material id under each wheel; 0 is also written in the air.
        wheel_contact: (n, 4) bool, wheel touches the ground.
        wheel_sliding: (n, 4) bool.
        dirt: (n,) 0 to 1, drawn only.
        body_material: (n, 2) uint8, undocumented, looks like materials the body touched.
        raw: (n, 61) uint8, the samples as stored.
    """

    time_ms: npt.NDArray[np.int32]
    position_m: F32
    quaternion_wxyz: F32
    rotation: F32
    velocity_mps: F32
    angular_velocity_radps: F32
    forward_speed_mps: F32
    sideways_speed_mps: F32
    rpm: F32
    wheel_rotation_rad: F32
    steer: F32
    gas: F32
    brake: F32
    turbo: F32
    front_wheel_angle_rad: F32
    damper_m: F32
    wheel_material: U8
    wheel_contact: npt.NDArray[np.bool_]
    wheel_sliding: npt.NDArray[np.bool_]
    dirt: F32
    body_material: U8
    raw: U8

    def __len__(self) -> int:
        return len(self.time_ms)

    def __eq__(self, other: object) -> bool:
        """Equal if stored equally: every field follows from ``raw`` and the period."""
        if not isinstance(other, GhostSamples):
            return NotImplemented
        return np.array_equal(self.raw, other.raw) and np.array_equal(self.time_ms, other.time_ms)

    __hash__ = None  # type: ignore[assignment]

    @property
    def period_ms(self) -> int:
        """Time between two samples."""
        return int(self.time_ms[1] - self.time_ms[0]) if len(self) > 1 else PERIOD_MS


def read_samples(reader: ByteReader) -> GhostSamples | None:
    """Read the unpacked ghost data (the inner blob) to its last byte.

    Returns:
        The samples, or None if the ghost holds no data.

    Raises:
        GbxError: another sample layout than the TMF era's, or sizes that contradict each other.
    """
    entity = reader.u32()
    if entity == NO_ENTITY:
        reader.finish("an empty ghost")
        return None
    is_fixed = reader.boolean()
    reader.i32()
    period_ms, version = reader.i32(), reader.i32()
    if version != STATE_VERSION or not 1 <= period_ms <= 60_000:
        reader.fail(
            f"samples have state version {version} every {period_ms} ms, expected version {STATE_VERSION}",
            advice="Only ghosts of TrackMania United, United Forever and Nations Forever can be read",
            at=reader.pos - 4,
        )
    start = reader.pos
    data = reader.blob()
    count = len(data) // SAMPLE_BYTES
    _check_index(reader, count, len(data), start, is_fixed=is_fixed)
    raw = np.frombuffer(data, np.uint8).reshape(count, SAMPLE_BYTES)
    if not np.isfinite(raw.view(ROW_DTYPE)["position"]).all():
        reader.fail("a sample has no finite position", at=start)
    return decode_samples(raw, period_ms)


def _check_index(reader: ByteReader, count: int, size: int, start: int, *, is_fixed: bool) -> None:
    """Read the index behind the samples: it must describe equal samples back to back."""
    announced = reader.u32()
    if announced != count or size != count * SAMPLE_BYTES:
        reader.fail(f"{announced} samples of {SAMPLE_BYTES} bytes are announced in {size} bytes", at=start)
    if count > 0 and reader.i32() != 0:
        reader.fail("the first sample does not lie at the start of the data", at=reader.pos - 4)
    if count > 1:
        step = reader.i32()
        if step == -1:
            if set(reader.ints(count - 1)) != {SAMPLE_BYTES}:
                reader.fail(f"samples differ in size, expected {SAMPLE_BYTES} bytes each")
        elif step != SAMPLE_BYTES:
            reader.fail(f"a sample has {step} bytes, expected {SAMPLE_BYTES}", at=reader.pos - 4)
    if not is_fixed:
        reader.ints(reader.count("sample times", 4, count))
    reader.finish("the samples")


def decode_samples(raw: U8, period_ms: int = PERIOD_MS) -> GhostSamples:
    """Turn stored samples into arrays.

    Args:
        raw: (n, 61) uint8.
        period_ms: time between two samples.
    """
    rows = np.ascontiguousarray(raw).view(ROW_DTYPE)[:, 0] if len(raw) else np.zeros(0, ROW_DTYPE)
    quaternion = _decode_quaternion(rows)
    local = rows["local_speed"]
    inputs = rows["inputs"]
    wheels = rows["wheels"]
    bits = (rows["wheel_bits"][:, None] >> _WHEEL_SHIFTS) & 1  # (n, 8): sliding FL FR RR RL, contact FL FR RR RL
    flags = bits.astype(bool)
    samples = GhostSamples(
        time_ms=np.arange(len(rows), dtype=np.int32) * np.int32(period_ms),
        position_m=rows["position"].astype(np.float32),
        quaternion_wxyz=quaternion.astype(np.float32),
        rotation=quaternion_to_matrix(quaternion).astype(np.float32),
        velocity_mps=_decode_vector(rows["speed"], rows["velocity_dir"]),
        angular_velocity_radps=_decode_vector(rows["spin"], rows["spin_dir"]),
        forward_speed_mps=_scale(local[:, 0], FORWARD_RANGE_MPS / 65535, FORWARD_LOWEST_MPS),
        sideways_speed_mps=_scale(local[:, 1], SIDEWAYS_RANGE_MPS / 65535, SIDEWAYS_LOWEST_MPS),
        rpm=_scale(rows["rpm"], RPM_RANGE / 65535, 0.0),
        wheel_rotation_rad=_scale(rows["wheel_rotation"], WHEEL_TURNS_RAD / 65535, 0.0),
        steer=_scale(inputs[:, 0], 2 / 255, -1.0),
        gas=_scale(inputs[:, 1], 1 / 255, 0.0),
        brake=_scale(inputs[:, 2], 1 / 255, 0.0),
        turbo=_scale(rows["turbo"], 1 / 255, 0.0),
        front_wheel_angle_rad=_scale(rows["front_wheel_angle"], 2 * np.pi / 255, -np.pi),
        damper_m=_scale(wheels[:, :, 0], 4 / 255, -2.0),
        wheel_material=wheels[:, :, 1].copy(),
        wheel_contact=flags[:, 4:],
        wheel_sliding=flags[:, :4],
        dirt=_scale(rows["dirt"], 1 / 255, 0.0),
        body_material=rows["body_material"].copy(),
        raw=np.ascontiguousarray(raw).reshape(-1, SAMPLE_BYTES),
    )
    for array in vars(samples).values():
        array.setflags(write=False)
    return samples


_WHEEL_SHIFTS = np.array([6, 8, 10, 12, 7, 9, 11, 13], np.uint16)
_I8_DIRECTIONS = np.arange(-128, 128)
_HEADING_COS, _HEADING_SIN = np.cos(_I8_DIRECTIONS * np.pi / 127), np.sin(_I8_DIRECTIONS * np.pi / 127)
_PITCH_COS, _PITCH_SIN = np.cos(_I8_DIRECTIONS * np.pi / 254), np.sin(_I8_DIRECTIONS * np.pi / 254)


def _scale(stored: npt.NDArray[np.integer], factor: float, lowest: float) -> F32:
    return (stored * np.float64(factor) + lowest).astype(np.float32)


def _decode_quaternion(rows: npt.NDArray[np.void]) -> npt.NDArray[np.float64]:
    """Return (n, 4) w, x, y, z from half the rotation angle and the axis as heading and pitch."""
    half = rows["half_angle"] * (np.pi / 65535)
    heading = rows["axis"][:, 0] * (np.pi / 32767)
    pitch = rows["axis"][:, 1] * (np.pi / 2 / 32767)
    sine = np.sin(half)
    flat = sine * np.cos(pitch)
    return np.stack([np.cos(half), flat * np.cos(heading), flat * np.sin(heading), sine * np.sin(pitch)], axis=1)


def _decode_vector(magnitude: npt.NDArray[np.int16], direction: npt.NDArray[np.int8]) -> F32:
    """Return (n, 3) from a logarithmic magnitude (-32768 = 0) and heading and pitch in 8 bits each."""
    length = np.where(magnitude == -32768, 0.0, np.exp(magnitude / 1000.0))
    index = direction.astype(np.intp) + 128
    heading, pitch = index[:, 0], index[:, 1]
    flat = length * _PITCH_COS[pitch]
    out = np.empty((len(length), 3), np.float32)
    out[:, 0], out[:, 1], out[:, 2] = (
        flat * _HEADING_COS[heading],
        flat * _HEADING_SIN[heading],
        length * _PITCH_SIN[pitch],
    )
    return out


def quaternion_to_matrix(quaternion: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return (n, 3, 3) rotation matrices of (n, 4) unit quaternions w, x, y, z."""
    w, x, y, z = quaternion.T
    out = np.empty((len(quaternion), 3, 3))
    xx, yy, zz = 2 * x * x, 2 * y * y, 2 * z * z
    xy, xz, yz = 2 * x * y, 2 * x * z, 2 * y * z
    wx, wy, wz = 2 * w * x, 2 * w * y, 2 * w * z
    out[:, 0, 0], out[:, 0, 1], out[:, 0, 2] = 1 - yy - zz, xy - wz, xz + wy
    out[:, 1, 0], out[:, 1, 1], out[:, 1, 2] = xy + wz, 1 - xx - zz, yz - wx
    out[:, 2, 0], out[:, 2, 1], out[:, 2, 2] = xz - wy, yz + wx, 1 - xx - yy
    return out

"""Ghost samples: the car's state every 100 ms, as arrays.

Conventions: world right-handed with +Y up; the car's own axes are X left, Y up, Z forward; wheels in the order
front left, front right, rear right, rear left. Source: the reverse-engineered sample layout of state version 9
(GBX community documentation), cross-checked against motion in the files.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from trackmaster.gbx.reader import ByteReader

SAMPLE_BYTES = 61
PERIOD_MS = 100
LONGEST_PERIOD_MS = 60_000
STATE_VERSION = 9
CAR_ENTITY = 0x0A02B000
NO_ENTITY = 0xFFFFFFFF

ROW_DTYPE = np.dtype(
    [
        ("position", "<f4", 3),
        ("half_angle", "<u2"),
        ("axis", "<i2", 2),
        ("motion", [("size", "<i2"), ("heading", "u1"), ("pitch", "u1")], 2),
        ("words", "<u2", 7),
        ("inputs", "u1", 3),
        ("body_material", "u1", 2),
        ("axes_45_46", "u1", 2),
        ("turbo", "u1"),
        ("front_wheel_angle", "u1"),
        ("wheels", "u1", (4, 2)),
        ("byte_57", "u1"),
        ("wheel_bits", "<u2"),
        ("dirt", "u1"),
    ]
)
"""One sample as stored; ``words`` are forward speed, sideways speed, rpm and the rotation of four wheels.

``motion`` is velocity and angular velocity; the angles are signed, but bytes without a sign can look up tables.
"""

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
        time_ms: (n,) int32, ascending; 100 ms apart from 0 in all files of the era that were seen.
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
        body_material: (n, 2) uint8, bytes 43 and 44, undocumented, look like materials the body touched.
        axes_45_46: (n, 2) -1 to 1, bytes 45 and 46, undocumented, 0 at rest.
        byte_57: (n,) uint8, undocumented, differs between machines.
        bits_59: (n,) uint8, 0 to 3: bits 6 and 7 of byte 59, undocumented.
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
    axes_45_46: F32
    byte_57: U8
    bits_59: U8
    raw: U8

    def __len__(self) -> int:
        return len(self.time_ms)

    def __eq__(self, other: object) -> bool:
        """Equal if stored equally: every field follows from ``raw`` and the times."""
        if not isinstance(other, GhostSamples):
            return NotImplemented
        return np.array_equal(self.raw, other.raw) and np.array_equal(self.time_ms, other.time_ms)

    __hash__ = None  # type: ignore[assignment]

    @property
    def period_ms(self) -> int:
        """Time between two samples."""
        return int(self.time_ms[1] - self.time_ms[0]) if len(self) > 1 else PERIOD_MS

    @property
    def is_fixed(self) -> bool:
        """Whether the samples are ``period_ms`` apart, from 0 on."""
        return np.array_equal(self.time_ms, np.arange(len(self)) * self.period_ms)


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
    if version != STATE_VERSION:
        reader.fail(
            f"samples have state version {version}, expected version {STATE_VERSION}",
            advice="Only ghosts of TrackMania United, United Forever and Nations Forever can be read",
            at=reader.pos - 4,
        )
    if not 1 <= period_ms <= LONGEST_PERIOD_MS:
        found = f"samples are {period_ms} ms apart, expected 1 to {LONGEST_PERIOD_MS}"
        reader.fail(found, at=reader.pos - 8)
    start = reader.pos
    data = reader.blob()
    count = len(data) // SAMPLE_BYTES
    _check_index(reader, count, len(data), start)
    time_ms = None if is_fixed else _times(reader, count)
    reader.finish("the samples")
    if count * period_ms >= 1 << 31:
        reader.fail(f"{count} samples every {period_ms} ms are announced, which would last for weeks", at=start)
    raw = np.frombuffer(data, np.uint8).reshape(count, SAMPLE_BYTES)
    if not np.isfinite(raw.view(ROW_DTYPE)["position"]).all():
        reader.fail("a sample has no finite position", at=start)
    return decode_samples(raw, period_ms, time_ms)


def _check_index(reader: ByteReader, count: int, size: int, start: int) -> None:
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


def _times(reader: ByteReader, count: int) -> npt.NDArray[np.int32]:
    """Read the times of samples that are not equally far apart."""
    start = reader.pos
    announced = reader.u32()
    if announced != count:
        reader.fail(f"{announced} sample times are announced for {count} samples", at=start)
    time_ms = np.frombuffer(reader.take(4 * count), "<i4")
    if count and (time_ms[0] < 0 or (time_ms[1:] <= time_ms[:-1]).any()):
        reader.fail("the times of the samples are not in ascending order", at=start + 4)
    return time_ms.astype(np.int32)


def decode_samples(raw: U8, period_ms: int = PERIOD_MS, time_ms: npt.NDArray[np.int32] | None = None) -> GhostSamples:
    """Turn stored samples into arrays.

    Args:
        raw: (n, 61) uint8.
        period_ms: time between two samples.
        time_ms: (n,) of each sample where they are not equally far apart.
    """
    raw = np.ascontiguousarray(raw).reshape(-1, SAMPLE_BYTES)
    rows = raw.view(ROW_DTYPE)[:, 0] if len(raw) else np.zeros(0, ROW_DTYPE)
    quaternion = _decode_quaternion(rows)
    velocity, spin = _decode_vectors(rows["motion"])
    words = (rows["words"] * _WORD_STEP + _WORD_LOWEST).astype(np.float32)  # (n, 7)
    octets = _OCTET_VALUES.take(raw.T[_OCTET_COLUMNS] + _OCTET_TABLES)  # (12, n)
    flags = (rows["wheel_bits"][:, None] & _WHEEL_BITS) != 0  # (n, 8): sliding FL FR RR RL, contact FL FR RR RL
    if time_ms is None:
        time_ms = np.arange(len(rows), dtype=np.int32) * np.int32(period_ms)
    fields: dict[str, npt.NDArray[Any]] = {
        "time_ms": time_ms,
        "position_m": rows["position"].astype(np.float32),
        "quaternion_wxyz": quaternion.T.astype(np.float32, order="C"),
        "rotation": quaternion_to_matrix(quaternion, np.float32),
        "velocity_mps": velocity,
        "angular_velocity_radps": spin,
        "forward_speed_mps": words[:, 0].copy(),
        "sideways_speed_mps": words[:, 1].copy(),
        "rpm": words[:, 2].copy(),
        "wheel_rotation_rad": words[:, 3:].copy(),
        "steer": octets[0],
        "gas": octets[1],
        "brake": octets[2],
        "turbo": octets[3],
        "front_wheel_angle_rad": octets[4],
        "damper_m": octets[6:10].T.copy(),
        "wheel_material": rows["wheels"][:, :, 1].copy(),
        "wheel_contact": flags[:, 4:],
        "wheel_sliding": flags[:, :4],
        "dirt": octets[5],
        "body_material": rows["body_material"].copy(),
        "axes_45_46": octets[10:].T.copy(),
        "byte_57": rows["byte_57"].copy(),
        "bits_59": (rows["wheel_bits"] >> 14).astype(np.uint8),
        "raw": raw,
    }
    for array in fields.values():
        array.setflags(write=False)
    samples = object.__new__(GhostSamples)  # setting 25 fields of a frozen record one by one takes far longer
    vars(samples).update(fields)
    return samples


_WHEEL_BITS = np.uint16(1) << np.array([6, 8, 10, 12, 7, 9, 11, 13], np.uint16)
_WORD_STEP = np.array([FORWARD_RANGE_MPS, SIDEWAYS_RANGE_MPS, RPM_RANGE, *[WHEEL_TURNS_RAD] * 4]) / 65535
_WORD_LOWEST = np.array([FORWARD_LOWEST_MPS, SIDEWAYS_LOWEST_MPS, 0.0, 0.0, 0.0, 0.0, 0.0])

# What each of the 256 values of a byte stands for: looking up is several times faster than scaling.
_OCTET = np.arange(256) / 255
_SHARE, _STEER = _OCTET, _OCTET * 2 - 1
_WHEEL_ANGLE, _DAMPER = _OCTET * 2 * np.pi - np.pi, _OCTET * 4 - 2
_OCTET_COLUMNS = np.array([40, 41, 42, 47, 48, 60, 49, 51, 53, 55, 45, 46])
_OCTET_MEANINGS = [_STEER, _SHARE, _SHARE, _SHARE, _WHEEL_ANGLE, _SHARE, *[_DAMPER] * 4, *[_STEER] * 2]
_OCTET_VALUES = np.array(_OCTET_MEANINGS, np.float32).ravel()
_OCTET_TABLES = np.arange(12)[:, None] * 256
_SIGNED = np.arange(256, dtype=np.uint8).view(np.int8).astype(np.float64)
_HEADING_COS, _HEADING_SIN = np.cos(_SIGNED * np.pi / 127), np.sin(_SIGNED * np.pi / 127)
_PITCH_COS, _PITCH_SIN = np.cos(_SIGNED * np.pi / 254), np.sin(_SIGNED * np.pi / 254)


def _decode_quaternion(rows: npt.NDArray[np.void]) -> npt.NDArray[np.float64]:
    """Return (4, n) w, x, y, z from half the rotation angle and the axis as heading and pitch."""
    angles = np.empty((3, len(rows)))
    np.multiply(rows["half_angle"], np.pi / 65535, out=angles[0])
    np.multiply(rows["axis"].T, _AXIS_STEP, out=angles[1:])
    cosine, sine = np.cos(angles), np.sin(angles)
    flat = sine[0] * cosine[2]
    out = np.empty((4, len(rows)))
    out[0] = cosine[0]
    np.multiply(flat, cosine[1], out=out[1])
    np.multiply(flat, sine[1], out=out[2])
    np.multiply(sine[0], sine[2], out=out[3])
    return out


_AXIS_STEP = np.array([[np.pi / 32767], [np.pi / 2 / 32767]])


def _decode_vectors(motion: npt.NDArray[np.void]) -> F32:
    """Return (2, n, 3) from logarithmic magnitudes (-32768 = 0) and heading and pitch in 8 bits each.

    Args:
        motion: (n, 2) velocity and angular velocity as stored.
    """
    columns = motion.T
    size, heading, pitch = columns["size"], columns["heading"], columns["pitch"]
    length = np.exp(size / 1000.0)
    length[size == -32768] = 0.0
    flat = length * _PITCH_COS.take(pitch)
    out = np.empty((*length.shape, 3), np.float32)
    out[:, :, 0] = flat * _HEADING_COS.take(heading)
    out[:, :, 1] = flat * _HEADING_SIN.take(heading)
    out[:, :, 2] = length * _PITCH_SIN.take(pitch)
    return out


def quaternion_to_matrix(
    quaternion: npt.NDArray[np.float64], dtype: type[np.float32 | np.float64] = np.float64
) -> npt.NDArray[Any]:
    """Return (n, 3, 3) rotation matrices of (4, n) unit quaternions w, x, y, z."""
    products = ((quaternion[1:] * 2)[:, None] * quaternion).reshape(12, -1)  # 2x, 2y, 2z times w, x, y, z
    (wx, wy, wz), (xx, yy, zz), (xy, xz, yz) = products[::4], products[1::5], products[[2, 3, 7]]
    out = np.empty((9, quaternion.shape[1]))
    np.subtract(1 - yy, zz, out=out[0])
    np.subtract(xy, wz, out=out[1])
    np.add(xz, wy, out=out[2])
    np.add(xy, wz, out=out[3])
    np.subtract(1 - xx, zz, out=out[4])
    np.subtract(yz, wx, out=out[5])
    np.subtract(xz, wy, out=out[6])
    np.add(yz, wx, out=out[7])
    np.subtract(1 - xx, yy, out=out[8])
    return out.T.astype(dtype, order="C").reshape(-1, 3, 3)

"""From arrays to ghost samples: how a run of ours is stored so that any reader of ghosts can show it."""

from typing import Any

import numpy as np
import numpy.typing as npt

from trackmaster.gbx.errors import WriteError
from trackmaster.gbx.samples import (
    FORWARD_LOWEST_MPS,
    FORWARD_RANGE_MPS,
    LONGEST_PERIOD_MS,
    PERIOD_MS,
    ROW_DTYPE,
    RPM_RANGE,
    SAMPLE_BYTES,
    SIDEWAYS_LOWEST_MPS,
    SIDEWAYS_RANGE_MPS,
    WHEEL_TURNS_RAD,
    GhostSamples,
    decode_samples,
    quaternion_to_matrix,
)

Floats = npt.NDArray[np.float64]

UNKNOWN_AXIS_AT_REST = 127
NO_SPEED = -32768
FASTEST_MPS = 1_000.0


def make_samples(
    position_m: npt.ArrayLike,
    rotation: npt.ArrayLike,
    velocity_mps: npt.ArrayLike,
    angular_velocity_radps: npt.ArrayLike = 0.0,
    *,
    rpm: npt.ArrayLike = 0.0,
    wheel_rotation_rad: npt.ArrayLike = 0.0,
    steer: npt.ArrayLike = 0.0,
    gas: npt.ArrayLike = 0.0,
    brake: npt.ArrayLike = 0.0,
    turbo: npt.ArrayLike = 0.0,
    front_wheel_angle_rad: npt.ArrayLike = 0.0,
    damper_m: npt.ArrayLike = 0.0,
    wheel_material: npt.ArrayLike = 0,
    wheel_contact: npt.ArrayLike = False,
    wheel_sliding: npt.ArrayLike = False,
    dirt: npt.ArrayLike = 0.0,
    body_material: npt.ArrayLike = 0,
    period_ms: int = PERIOD_MS,
) -> GhostSamples:
    """Return the samples a file can hold of these states: rounded as stored, so that reading gives equal fields.

    Positions are kept exactly (as float32). Forward and sideways speed follow from velocity and rotation. Scalars are
    spread over all samples and wheels.

    Args:
        position_m: (n, 3) at race times 0, ``period_ms``, 2 ``period_ms`` ...
        rotation: (n, 3, 3) matrices whose columns are the car's axes, or (n, 4) unit quaternions w, x, y, z.
        velocity_mps: (n, 3) world.
        angular_velocity_radps: (n, 3) world.
        rpm: (n,).
        wheel_rotation_rad: (n, 4) of any size; wraps after 256 turns.
        steer: (n,) -1 to 1, + = right, as set by inputs at or before each sample minus 10 ms.
        gas: (n,) 0 to 1.
        brake: (n,) 0 to 1.
        turbo: (n,) 0 to 1.
        front_wheel_angle_rad: (n,) + = left.
        damper_m: (n, 4) -2 to 2.
        wheel_material: (n, 4) material ids.
        wheel_contact: (n, 4).
        wheel_sliding: (n, 4).
        dirt: (n,) 0 to 1.
        body_material: (n, 2) undocumented bytes.
        period_ms: time between two samples; the game uses 100.

    Raises:
        WriteError: shapes that do not fit, a value that is no number, a speed beyond 1 000 m/s, a material beyond
            255, or a period that no file can hold.
    """
    rows = _moving_rows(position_m, rotation, velocity_mps, angular_velocity_radps)
    if not 1 <= period_ms <= LONGEST_PERIOD_MS:
        raise WriteError(f"period_ms is {period_ms}, expected 1 to {LONGEST_PERIOD_MS}")
    count = len(rows)
    rows["words"][:, 2] = _stored(_column("rpm", rpm, (count,)), RPM_RANGE / 65535, 0.0, 65535)
    turns = _column("wheel_rotation_rad", wheel_rotation_rad, (count, 4)) % WHEEL_TURNS_RAD
    rows["words"][:, 3:] = _stored(turns, WHEEL_TURNS_RAD / 65535, 0.0, 65535)
    rows["inputs"][:, 0] = _stored(_column("steer", steer, (count,)), 2 / 255, -1.0, 255)
    rows["inputs"][:, 1] = _stored(_column("gas", gas, (count,)), 1 / 255, 0.0, 255)
    rows["inputs"][:, 2] = _stored(_column("brake", brake, (count,)), 1 / 255, 0.0, 255)
    rows["body_material"] = _octets("body_material", body_material, (count, 2))
    rows["axes_45_46"] = UNKNOWN_AXIS_AT_REST
    rows["turbo"] = _stored(_column("turbo", turbo, (count,)), 1 / 255, 0.0, 255)
    angle = _column("front_wheel_angle_rad", front_wheel_angle_rad, (count,))
    rows["front_wheel_angle"] = _stored(angle, 2 * np.pi / 255, -np.pi, 255)
    rows["wheels"][:, :, 0] = _stored(_column("damper_m", damper_m, (count, 4)), 4 / 255, -2.0, 255)
    rows["wheels"][:, :, 1] = _octets("wheel_material", wheel_material, (count, 4))
    sliding = _column("wheel_sliding", wheel_sliding, (count, 4)) != 0
    rows["wheel_bits"] = _wheel_bits(sliding, _column("wheel_contact", wheel_contact, (count, 4)) != 0)
    rows["dirt"] = _stored(_column("dirt", dirt, (count,)), 1 / 255, 0.0, 255)
    return decode_samples(rows.view(np.uint8).reshape(count, SAMPLE_BYTES), period_ms)


def _moving_rows(
    position_m: npt.ArrayLike,
    rotation: npt.ArrayLike,
    velocity_mps: npt.ArrayLike,
    angular_velocity_radps: npt.ArrayLike,
) -> npt.NDArray[Any]:
    """Return rows that hold pose and motion; all else in them is zero."""
    with np.errstate(over="ignore"):  # what overflows is refused below
        position = _table("position_m", position_m).astype(np.float32)
    if position.ndim != 2 or position.shape[1] != 3:
        raise WriteError(f"position_m has shape {position.shape}, expected (n, 3)")
    count = len(position)
    quaternion = _quaternions(_table("rotation", rotation), count)
    velocity = _column("velocity_mps", velocity_mps, (count, 3))
    spin = _column("angular_velocity_radps", angular_velocity_radps, (count, 3))
    if not np.isfinite(position).all():
        raise WriteError("position_m holds values that are no numbers; the run diverged")
    if count and np.linalg.norm(velocity, axis=1).max() > FASTEST_MPS:
        raise WriteError(f"velocity_mps holds speeds beyond {FASTEST_MPS:.0f} m/s, which no file can hold")
    rows = np.zeros(count, ROW_DTYPE)
    rows["position"] = position
    _encode_rotation(rows, quaternion)
    for column, vectors in enumerate((velocity, spin)):
        _encode_vector(rows["motion"][:, column], vectors)
    local = np.einsum("nij,ni->nj", quaternion_to_matrix(quaternion.T), velocity)
    rows["words"][:, 0] = _stored(local[:, 2], FORWARD_RANGE_MPS / 65535, FORWARD_LOWEST_MPS, 65535)
    rows["words"][:, 1] = _stored(local[:, 0], SIDEWAYS_RANGE_MPS / 65535, SIDEWAYS_LOWEST_MPS, 65535)
    return rows


def _table(name: str, values: npt.ArrayLike) -> Floats:
    try:
        return np.asarray(values, np.float64)
    except (TypeError, ValueError):
        raise WriteError(f"{name} is no table of numbers; give an array or nested lists of equal lengths") from None


def _column(name: str, values: npt.ArrayLike, shape: tuple[int, ...]) -> Floats:
    array = _table(name, values)
    try:
        array = np.broadcast_to(array, shape)
    except ValueError:
        raise WriteError(f"{name} has shape {array.shape}, expected {shape}") from None
    if not np.isfinite(array).all():
        raise WriteError(f"{name} holds values that are no numbers; the run diverged")
    return array


def _octets(name: str, values: npt.ArrayLike, shape: tuple[int, ...]) -> Floats:
    array = _column(name, values, shape)
    if array.size and not 0 <= array.min() <= array.max() <= 255:
        raise WriteError(f"{name} holds values from {array.min():g} to {array.max():g}, expected 0 to 255")
    return array


def _quaternions(rotation: Floats, count: int) -> Floats:
    if rotation.shape == (count, 4):
        quaternion = rotation
    elif rotation.shape == (count, 3, 3):
        quaternion = matrix_to_quaternion(rotation)
    else:
        raise WriteError(f"rotation has shape {rotation.shape}, expected ({count}, 4) or ({count}, 3, 3)")
    length = np.linalg.norm(quaternion, axis=1, keepdims=True)
    if not (np.abs(length - 1) < 0.01).all():
        raise WriteError("rotation holds something that is no rotation (a quaternion must have length 1)")
    unit: Floats = quaternion / length
    return unit


def matrix_to_quaternion(matrix: Floats) -> Floats:
    """Return (n, 4) unit quaternions w, x, y, z with w >= 0 of (n, 3, 3) rotation matrices.

    Built from the largest of the four components, so that no rotation loses digits.
    """
    m = matrix
    trace = m[:, 0, 0] + m[:, 1, 1] + m[:, 2, 2]
    squares = np.stack([trace, *(2 * m[:, i, i] - trace for i in range(3))], axis=1)  # 4 q_i^2 - 1
    products = np.empty((len(m), 4, 4))
    for i in range(4):
        products[:, i, i] = squares[:, i] + 1
    for axis in range(3):
        j, k = (axis + 1) % 3, (axis + 2) % 3
        products[:, 0, axis + 1] = products[:, axis + 1, 0] = m[:, k, j] - m[:, j, k]
        products[:, j + 1, k + 1] = products[:, k + 1, j + 1] = m[:, j, k] + m[:, k, j]
    row = products[np.arange(len(m)), squares.argmax(axis=1)]
    quaternion = row / np.linalg.norm(row, axis=1, keepdims=True)
    signed: Floats = quaternion * np.where(quaternion[:, :1] < 0, -1.0, 1.0)
    return signed


def _encode_rotation(rows: npt.NDArray[np.void], quaternion: Floats) -> None:
    """Store half the rotation angle (0 to half a turn: the sign of w is kept) and the axis as heading and pitch."""
    axis = quaternion[:, 1:]
    sine = np.linalg.norm(axis, axis=1)
    rows["half_angle"] = np.rint(np.arctan2(sine, quaternion[:, 0]) * (65535 / np.pi))
    heading, pitch = _directions(axis)
    rows["axis"][:, 0] = np.rint(heading * (32767 / np.pi))
    rows["axis"][:, 1] = np.rint(pitch * (32767 / (np.pi / 2)))


def _directions(vectors: Floats) -> tuple[Floats, Floats]:
    flat = np.hypot(vectors[:, 0], vectors[:, 1])
    return np.arctan2(vectors[:, 1], vectors[:, 0]), np.arctan2(vectors[:, 2], flat)


def _encode_vector(motion: npt.NDArray[np.void], vectors: Floats) -> None:
    length = np.linalg.norm(vectors, axis=1)
    with np.errstate(divide="ignore"):
        motion["size"] = np.where(length > 0, np.clip(np.rint(1000 * np.log(length)), -32767, 32767), NO_SPEED)
    heading, pitch = _directions(vectors)
    motion["heading"] = np.rint(heading * (127 / np.pi)).astype(np.int8).view(np.uint8)
    motion["pitch"] = np.rint(pitch * (254 / np.pi)).astype(np.int8).view(np.uint8)


def _stored(values: Floats, factor: float, lowest: float, highest: int) -> Floats:
    """Return the stored number whose decoded value is nearest; what lies outside is held at the end of the range."""
    stored: Floats = np.clip(np.rint((values - lowest) / factor), 0, highest)
    return stored


def _wheel_bits(sliding: npt.NDArray[np.bool_], contact: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint16]:
    slides, touches = sliding.astype(np.uint16), contact.astype(np.uint16)
    bits = np.zeros(len(sliding), np.uint16)
    for wheel in range(4):
        bits |= slides[:, wheel] << np.uint16(6 + 2 * wheel)
        bits |= touches[:, wheel] << np.uint16(7 + 2 * wheel)
    return bits

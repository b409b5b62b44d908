"""Simulated cars as state blobs of the game and back, bit for bit.

Known fields stand at the game's offsets. What only the simulator knows (its complete tables, the camera, held keys)
lies in stretches that are opaque in the game's blobs, so that a blob is complete by itself: it can be stored, sent to
another process, edited in its known fields and handed back.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from trackmaster.game.fleet import CarSnapshot
from trackmaster.game.link.sim_state import SimStateData
from trackmaster.game.link.state_layout import OPAQUE
from trackmaster.game.state import CarState, GameError
from trackmaster.sim import WorldState, layout
from trackmaster.sim.camera import CameraState
from trackmaster.sim.rotation import quaternion_from_matrix
from trackmaster.units import MPS_TO_KMPH

VERSION: Final = 1
_HEAD: Final = struct.Struct("<4sHHI")
_MAGIC: Final = b"TMSI"
_RACE: Final = struct.Struct("<8siiBBiiBB3f")
_PARTS: Final = (("floats", layout.N_FLOATS, "<f4"), ("ints", layout.N_INTS, "<i4"), ("bytes", layout.N_BYTES, "<u1"))
_CAMERA: Final = (
    ("ramps", (1, 6), "<f8"), ("stretch_m", (1,), "<f8"), ("stretch_rate_mps", (1,), "<f8"), ("axes", (1, 2, 3), "<f8"),
    ("car_axes", (1, 2, 3), "<f8"), ("gear", (1,), "<i8"), ("gear_time_s", (1,), "<f8"), ("is_fresh", (1,), "?"),
)  # fmt: skip
_NEVER_MS: Final = -1


@dataclass(frozen=True, slots=True)
class RaceMoment:
    """Where a race stands besides the car: what the simulator's tables do not hold."""

    time_ms: int
    """Callback time; negative in the countdown, running on after the finish."""
    is_finish_hidden: bool = False
    """The line was crossed in this tick and will be reported in the next one."""
    is_finish_reported: bool = False
    controls: tuple[int, int, int, bool, bool] = (0, 0, 0, False, False)
    """Held keys and axes (``gbx.ControlState.row``)."""
    respawns: int = 0


@dataclass(frozen=True, slots=True)
class RacePlan:
    """What a race on a map asks for."""

    uid: str
    n_checkpoints: int
    laps: int

    @property
    def n_passes(self) -> int:
        """Passes that a whole race asks for, the finishes of its laps included."""
        return (self.n_checkpoints + 1) * self.laps

    @property
    def mark(self) -> bytes:
        """8 bytes that tell maps apart."""
        raw = self.uid.encode("utf-8", "surrogatepass")
        return struct.pack("<II", zlib.crc32(raw), zlib.adler32(raw))


def encode_state(snapshot: CarSnapshot, car: CarState, plan: RacePlan, moment: RaceMoment) -> SimStateData:
    """Return the blob of one simulated car.

    Args:
        snapshot: the complete state.
        car: the same car as a game shows it.
        plan: of the race.
        moment: where it stands.
    """
    state = SimStateData.blank(n_states=plan.n_checkpoints + 1, n_times=plan.n_passes)
    state["version"], state["context_mode"] = 2, 1
    _write_body(state, car, snapshot.world)
    _write_vehicle(state, car, snapshot)
    _write_wheels(state, car)
    _write_race(state, car, plan, moment)
    _write_private(state, _pack(snapshot, plan, moment))
    return state


def decode_state(state: SimStateData, plan: RacePlan) -> tuple[CarSnapshot, RaceMoment]:
    """Return the car and the moment in a blob, its known fields as they stand there now.

    Raises:
        GameError: the blob comes from elsewhere (a real game, another map) or was damaged.
    """
    snapshot, moment = _unpack(_read_private(state), plan)
    world = snapshot.world
    floats = world.floats
    body = state["current"]
    if not np.array_equal(_rows(floats, "rotation").reshape(3, 3), body["rotation"]):
        _rows(floats, "rotation")[:] = body["rotation"].reshape(9)
        _rows(floats, "quaternion")[:] = quaternion_from_matrix(body["rotation"])
    _rows(floats, "position")[:] = body["position"]
    _rows(floats, "velocity")[:] = body["linear_speed"]
    _rows(floats, "spin")[:] = body["angular_speed"]
    is_taken_back = len(state.cp_times) and int(state.cp_times["time"][-1]) < 0
    if moment.is_finish_reported and is_taken_back:
        _take_finish_back(world, plan)
        moment = replace(moment, is_finish_reported=False)
    return snapshot, moment


def _take_finish_back(world: WorldState, plan: RacePlan) -> None:
    """Undo the last pass: the car stands in the finish gate, which counts again once it was left and entered anew."""
    _rows(world.ints, "cp_count")[0] -= 1
    _rows(world.ints, "lap")[0] -= 1
    _rows(world.ints, "race_time")[0] = _NEVER_MS
    _rows(world.bytes, "finished")[0] = 0
    taken = _rows(world.ints, "taken")
    for gate in range(plan.n_checkpoints):
        taken[gate >> 5] |= np.uint32(1 << (gate & 31)).view(np.int32)


def _rows(table: NDArray[Any], name: str) -> NDArray[Any]:
    """Return the rows of one quantity of the only car, a view."""
    for rows in (layout.FLOAT_ROWS, layout.INT_ROWS, layout.BYTE_ROWS):
        if name in rows:
            return table[rows[name], 0]
    raise KeyError(name)


def _write_body(state: SimStateData, car: CarState, world: WorldState) -> None:
    body = state["current"]
    body["quaternion_wxyz"] = _rows(world.floats, "quaternion")
    body["rotation"] = car.rotation
    body["position"] = car.position_m
    body["linear_speed"] = car.velocity_mps
    body["not_tweaked_linear_speed"] = car.velocity_mps
    body["angular_speed"] = car.angular_velocity_radps
    body["force"] = _rows(world.floats, "force")
    for copy in ("previous", "temporary"):
        state[copy] = body


def _write_vehicle(state: SimStateData, car: CarState, snapshot: CarSnapshot) -> None:
    steer, gas, brake = snapshot.inputs
    local = car.rotation.T @ car.velocity_mps
    state["input_steer"], state["input_gas"], state["input_brake"] = steer, gas, brake
    state["max_linear_speed"] = 1_000.0 / MPS_TO_KMPH
    state["gearbox_state"] = car.gearbox_state
    sync = state["sync_state"]
    sync["speed_forward"], sync["speed_sideward"] = local[2], local[0]
    sync["input_steer"], sync["input_gas"], sync["input_brake"] = steer, gas, brake
    sync["is_turbo"] = car.turbo > 0
    sync["rpm"] = car.rpm
    sync["gearbox_state"] = car.gearbox_state
    for copy in ("prev_sync_state", "async_state", "prev_async_state"):
        state[copy] = sync
    state["clamped_rpm"] = state["actual_rpm"] = car.rpm
    state["gear"] = car.gear
    state["has_any_lateral_contact"] = car.lateral_contact
    state["turbo_boost_factor"] = car.turbo
    state["turbo_type"] = _rows(snapshot.world.ints, "turbo_type")[0]
    state["is_freewheeling"] = car.is_freewheeling
    state["is_sliding"] = bool(car.wheel_sliding.any())
    state["current_local_speed"] = local


def _write_wheels(state: SimStateData, car: CarState) -> None:
    wheels = state["wheels"]
    wheels["steerable"] = (1, 1, 0, 0)
    real_time = wheels["real_time"]
    real_time["damper_absorb"] = car.damper_m
    real_time["has_ground_contact"] = car.wheel_contact
    real_time["contact_material_id"] = car.wheel_material
    real_time["is_sliding"] = car.wheel_sliding
    real_time["nb_ground_contacts"] = car.wheel_contact


def _write_race(state: SimStateData, car: CarState, plan: RacePlan, moment: RaceMoment) -> None:
    """Player info and gate times; a finish that is not reported yet did not happen yet."""
    hidden = int(moment.is_finish_hidden)
    count = car.cp_count - hidden
    is_finished = car.finished and not hidden
    race_time = car.race_time_ms if is_finished else moment.time_ms
    timers = state["timers"]
    timers[1] = moment.time_ms
    state["race_time"] = race_time
    state["prev_race_time"] = race_time - 10
    state["current_time"] = max(moment.time_ms, 0)
    state["cur_cp_count"] = count
    state["cur_lap_cp_count"] = count % (plan.n_checkpoints + 1)
    state["cur_lap"] = count // (plan.n_checkpoints + 1)
    state["race_finished"] = is_finished
    state["display_speed"] = int(abs(float(car.rotation[:, 2] @ car.velocity_mps)) * MPS_TO_KMPH)
    state["finish_not_passed"] = not is_finished
    state["countdown_time"] = max(-moment.time_ms, 0)
    state["num_respawns"] = moment.respawns
    known = min(count, len(car.cp_times_ms), plan.n_passes)
    times = state.cp_times["time"]
    times[:known] = car.cp_times_ms[:known]
    times[known:count] = moment.time_ms  # the simulator keeps 64 of them
    if is_finished:
        times[-1] = car.race_time_ms
    state.cp_states[: min(count, len(state.cp_states))] = 1


def _pack(snapshot: CarSnapshot, plan: RacePlan, moment: RaceMoment) -> bytes:
    race = _RACE.pack(
        plan.mark,
        moment.time_ms,
        moment.respawns,
        moment.is_finish_hidden,
        moment.is_finish_reported,
        moment.controls[1],
        moment.controls[2],
        moment.controls[0],
        moment.controls[3] | moment.controls[4] << 1,
        *snapshot.inputs,
    )
    tables = [np.ascontiguousarray(getattr(snapshot.world, name), kind).tobytes() for name, _, kind in _PARTS]
    camera = [np.ascontiguousarray(getattr(snapshot.camera, name), kind).tobytes() for name, _, kind in _CAMERA]
    return b"".join([race, *tables, *camera])


def _unpack(content: bytes, plan: RacePlan) -> tuple[CarSnapshot, RaceMoment]:
    values = _RACE.unpack_from(content)
    if values[0] != plan.mark:
        raise GameError("the state was taken on another map: restore states on the map on which they were taken.")
    at = _RACE.size
    tables: dict[str, NDArray[Any]] = {}
    for name, rows, kind in _PARTS:
        tables[name] = np.frombuffer(content, kind, rows, at).reshape(rows, 1).copy()
        at += tables[name].nbytes
    camera: dict[str, NDArray[Any]] = {}
    for name, shape, kind in _CAMERA:
        camera[name] = np.frombuffer(content, kind, int(np.prod(shape)), at).reshape(shape).copy()
        at += camera[name].nbytes
    snapshot = CarSnapshot(WorldState(**tables), CameraState(**camera), values[9:12], plan.uid)
    controls = (values[7], values[5], values[6], bool(values[8] & 1), bool(values[8] & 2))
    return snapshot, RaceMoment(values[1], bool(values[3]), bool(values[4]), controls, values[2])


def _write_private(state: SimStateData, content: bytes) -> None:
    packed = _HEAD.pack(_MAGIC, VERSION, len(content), zlib.crc32(content)) + content
    at = 0
    for piece in _opaque(state):
        part = packed[at : at + len(piece)]
        piece[: len(part)] = part
        at += len(part)
    if at < len(packed):
        raise GameError(f"the simulator's state has {len(packed)} bytes, a blob has room for {at}.")


def _read_private(state: SimStateData) -> bytes:
    packed = b"".join(bytes(piece) for piece in _opaque(state))
    magic, version, size, check = _HEAD.unpack_from(packed)
    content = packed[_HEAD.size : _HEAD.size + size]
    if magic != _MAGIC or version != VERSION or len(content) != size or zlib.crc32(content) != check:
        raise GameError(
            "the state was not taken from this simulator (a real game's, another version's, or damaged): take a new "
            "one at the start of the race."
        )
    return content


def _opaque(state: SimStateData) -> Iterator[memoryview]:
    return (state.memory[start:stop] for start, stop in OPAQUE)

"""Chunks of a ghost (class 0x03092000): who drove, when, and with which inputs."""

import zlib
from dataclasses import dataclass

import numpy as np

from trackmaster.gbx import limits
from trackmaster.gbx.classes import GHOST
from trackmaster.gbx.events import EVENT_DTYPE, ControlEvents
from trackmaster.gbx.nodes import BodyReader, NodeType
from trackmaster.gbx.reader import NO_IDENT, ByteReader, FileReference, Ident
from trackmaster.gbx.samples import GhostSamples, read_samples

MAX_CONTROLS = 256
"""An event names its control by one byte."""


@dataclass(slots=True)
class GhostNode:
    """A ghost while it is being read; fields are those of ``Ghost``."""

    class_id: int
    samples: GhostSamples | None = None
    race_time_ms: int = -1
    respawns: int = 0
    stunt_score: int = 0
    light_trail_colour: tuple[float, ...] = (1.0, 0.0, 0.0)
    cp_times_ms: tuple[int, ...] = ()
    cp_stunt_scores: tuple[int, ...] = ()
    uid: str = ""
    login: str = ""
    map_uid: str = ""
    nickname: str = ""
    vehicle: Ident = NO_IDENT
    skin_files: tuple[FileReference, ...] = ()
    avatar: str = ""
    version: int = 0
    inputs_duration_ms: int = 0
    events: ControlEvents | None = None
    game_version: str = ""
    game_checksum: int = 0
    os_kind: int = 0
    cpu_kind: int = 0
    race_settings: str = ""
    seed: int = 0


def _samples(r: BodyReader, node: GhostNode) -> None:
    start = r.pos
    size, packed = r.u32(), r.blob()
    if size > r.budget.ghost_bytes or size > limits.ZLIB_RATIO * len(packed):
        r.fail(f"ghost data of {len(packed)} bytes announce to unpack to {size}, which is too much", at=start)
    r.budget.ghost_bytes -= size
    _count_recording(r, start)
    unpacker = zlib.decompressobj()
    try:
        data = unpacker.decompress(packed, size + 1)
    except zlib.error as error:
        r.fail(f"the ghost data cannot be unpacked ({error})", at=start)
    if len(data) != size or not unpacker.eof or unpacker.unused_data:
        r.fail(f"the ghost data do not unpack to the announced {size} bytes", at=start)
    node.samples = read_samples(ByteReader(data, r.file, "ghost data"))


def _count_recording(r: BodyReader, start: int) -> None:
    r.budget.recordings -= 1
    if r.budget.recordings < 0:
        r.fail(f"the ghosts have more than {limits.RECORDINGS} blobs of samples and lists of inputs in all", at=start)


def _race_time(r: BodyReader, node: GhostNode) -> None:
    node.race_time_ms = r.i32()


def _respawns(r: BodyReader, node: GhostNode) -> None:
    node.respawns = r.i32()


def _colour(r: BodyReader, node: GhostNode) -> None:
    node.light_trail_colour = r.floats(3)


def _stunt_score(r: BodyReader, node: GhostNode) -> None:
    node.stunt_score = r.i32()


def _cp_times(r: BodyReader, node: GhostNode) -> None:
    flat = r.ints(2 * r.records("checkpoint times", 8))
    node.cp_times_ms, node.cp_stunt_scores = flat[::2], flat[1::2]


def _number(r: BodyReader, _node: GhostNode) -> None:
    r.i32()


def _vehicle_tmu(r: BodyReader, node: GhostNode) -> None:
    node.vehicle = r.ident()
    skin = r.string()
    node.skin_files = (FileReference(skin, version=1),) if skin else ()
    r.ints(4)
    node.nickname = r.string()


def _uid(r: BodyReader, node: GhostNode) -> None:
    node.uid = r.id()


def _login(r: BodyReader, node: GhostNode) -> None:
    node.login = r.string()


def _map_uid(r: BodyReader, node: GhostNode) -> None:
    node.map_uid = r.id()


def _security_key(r: BodyReader, _node: GhostNode) -> None:
    r.skip(20)


def _two_numbers(r: BodyReader, _node: GhostNode) -> None:
    r.ints(2)


def _version(r: BodyReader, node: GhostNode) -> None:
    node.version = r.i32()


def _nickname_id(r: BodyReader, _node: GhostNode) -> None:
    r.id()


def _driver(r: BodyReader, node: GhostNode) -> None:
    node.skin_files = tuple(r.file_reference() for _ in range(r.records("skin files", 5)))
    node.nickname = r.string()
    node.avatar = r.string()


def _vehicle(r: BodyReader, node: GhostNode) -> None:
    node.vehicle = r.ident()


def _inputs(r: BodyReader, node: GhostNode) -> None:
    node.inputs_duration_ms = r.u32()
    if node.inputs_duration_ms == 0:
        return
    _count_recording(r, r.pos)
    r.u32()
    names = tuple(r.id() for _ in range(r.count("control names", 4, MAX_CONTROLS)))
    count = r.u32()
    r.u32()
    start = r.pos
    r.budget.events -= count
    if r.budget.events < 0:
        r.fail(f"with {count} input events more than {limits.EVENTS} are announced in all", at=start - 8)
    rows = np.frombuffer(r.take(count * EVENT_DTYPE.itemsize), EVENT_DTYPE)
    if count and int(rows["control"].max()) >= len(names):
        r.fail(f"an input event uses control {int(rows['control'].max())} of {len(names)}", at=start)
    node.events = ControlEvents.from_rows(rows, names)
    node.game_version = r.string()
    node.game_checksum = r.u32()
    node.os_kind, node.cpu_kind = r.i32(), r.i32()
    node.race_settings = r.string()


def _inputs_with_seed(r: BodyReader, node: GhostNode) -> None:
    _inputs(r, node)
    if node.inputs_duration_ms:
        node.seed = r.u32()


GHOST_TYPE = NodeType(
    GhostNode,
    {
        0x0303F005: _samples,
        GHOST + 0x05: _race_time,
        GHOST + 0x08: _respawns,
        GHOST + 0x09: _colour,
        GHOST + 0x0A: _stunt_score,
        GHOST + 0x0B: _cp_times,
        GHOST + 0x0C: _number,
        GHOST + 0x0D: _vehicle_tmu,
        GHOST + 0x0E: _uid,
        GHOST + 0x0F: _login,
        GHOST + 0x10: _map_uid,
        GHOST + 0x11: _inputs,
        GHOST + 0x12: _security_key,
        GHOST + 0x13: _two_numbers,
        GHOST + 0x14: _version,
        GHOST + 0x15: _nickname_id,
        GHOST + 0x17: _driver,
        GHOST + 0x18: _vehicle,
        GHOST + 0x19: _inputs_with_seed,
    },
)

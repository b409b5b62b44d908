"""Writing ghosts and replays: runs of ours become files that the game's tools and other readers open."""

import re
import struct
import zlib
from collections.abc import Sequence

from trackmaster.gbx.classes import GHOST, MOTION_GHOST, REPLAY
from trackmaster.gbx.errors import WriteError
from trackmaster.gbx.models import Ghost
from trackmaster.gbx.read_back import read_back
from trackmaster.gbx.reader import UID_ID, Ident
from trackmaster.gbx.reading import read_challenge
from trackmaster.gbx.samples import CAR_ENTITY, NO_ENTITY, PERIOD_MS, SAMPLE_BYTES, STATE_VERSION, GhostSamples
from trackmaster.gbx.writer import DEFAULT_GAME_VERSION, ByteWriter, HeaderPart, attribute, pack_file

GHOST_VERSION = 7
REPLAY_HEADER_VERSION = 7
ZLIB_LEVEL = 9
_VERSION_NUMBER = re.compile(r"\d+\.\d+\.\d+(?:\.\d+)?")


def write_ghost(ghost: Ghost, *, compress: bool = True) -> bytes:
    """Return a .Ghost.Gbx file.

    Args:
        ghost: the run.
        compress: pack the body by LZO as the game does, or store it.

    Raises:
        WriteError: inputs or numbers that a file cannot hold.
    """
    body = ByteWriter()
    _ghost_chunks(body, ghost)
    return read_back(pack_file(GHOST, (), body, compress=compress))


def write_replay(
    challenge_bytes: bytes, ghosts: Ghost | Sequence[Ghost], *, game_version: str = "", compress: bool = True
) -> bytes:
    """Return a .Replay.Gbx file with its map inside.

    The header repeats time, driver and respawns of the first ghost. The game's own signature of a run cannot be made
    outside of it, so an online server will not accept the file; everything that reads replays will.

    Args:
        challenge_bytes: the complete .Challenge.Gbx file that was driven.
        ghosts: the run, or several with the main one first.
        game_version: of the program named in the header; if not given, the number in the first ghost's own
            ``game_version``, or that of TMNF.
        compress: pack the body by LZO as the game does, or store it.

    Raises:
        GbxError: ``challenge_bytes`` is no map.
        WriteError: no ghost, or inputs or numbers that a file cannot hold.
    """
    runs = [ghosts] if isinstance(ghosts, Ghost) else list(ghosts)
    if not runs:
        raise WriteError("a replay needs at least one ghost, none was given")
    challenge = read_challenge(challenge_bytes, name="the map of the replay to be written")
    body = ByteWriter()
    body.chunk(REPLAY + 0x02)
    body.blob(challenge_bytes)
    body.skippable_i32(REPLAY + 0x07, -1)
    body.chunk(REPLAY + 0x14)
    body.list_head(len(runs))
    for ghost in runs:
        body.begin_node(GHOST)
        _ghost_chunks(body, ghost)
    body.u32(0, 0)
    body.chunk(REPLAY + 0x15)
    body.no_node()
    body.end_node()
    ident = Ident(challenge.uid, challenge.environment, challenge.author)
    return read_back(pack_file(REPLAY, _replay_header(ident, runs[0], game_version), body, compress=compress))


def _replay_header(ident: Ident, ghost: Ghost, game_version: str) -> tuple[HeaderPart, HeaderPart]:
    is_finished = ghost.race_time_ms is not None
    summary = ByteWriter()
    summary.u32(REPLAY_HEADER_VERSION)
    summary.ident(ident, is_own=True)
    summary.i32(_ms(ghost.race_time_ms))
    summary.string(ghost.nickname if is_finished else "")
    summary.string(ghost.login if is_finished else "")
    number = _VERSION_NUMBER.search(ghost.game_version)
    version = game_version or (number.group() if number else DEFAULT_GAME_VERSION)
    xml = (
        f'<header type="replay" version="TMr.7" exever={attribute(version)}><challenge uid={attribute(ident.id)}/>'
        f'<times best="{_ms(ghost.race_time_ms)}" respawns="{ghost.respawns}" stuntscore="{ghost.stunt_score}" '
        f'validable="{int(is_finished and ghost.events is not None)}"/></header>'
    )
    text = ByteWriter()
    text.string(xml)
    return HeaderPart(REPLAY, bytes(summary.out)), HeaderPart(REPLAY + 1, bytes(text.out), is_heavy=True)


def _ms(time_ms: int | None) -> int:
    return -1 if time_ms is None else time_ms


def _ghost_chunks(body: ByteWriter, ghost: Ghost) -> None:
    """Write the chunks of a ghost in the order of the game."""
    data = _ghost_data(ghost.samples)
    body.chunk(MOTION_GHOST + 0x05)
    body.u32(len(data))
    body.blob(zlib.compress(data, ZLIB_LEVEL))
    body.skippable_i32(GHOST + 0x05, _ms(ghost.race_time_ms))
    body.skippable_i32(GHOST + 0x08, ghost.respawns)
    colour = ByteWriter()
    colour.f32(*ghost.light_trail_colour)
    body.skippable(GHOST + 0x09, colour)
    body.skippable_i32(GHOST + 0x0A, ghost.stunt_score)
    scores = ghost.cp_stunt_scores or (0,) * len(ghost.cp_times_ms)
    if len(scores) != len(ghost.cp_times_ms):
        raise WriteError(
            f"the ghost has {len(ghost.cp_times_ms)} checkpoint times and {len(scores)} stunt scores; give one per time"
        )
    if len(ghost.light_trail_colour) != 3:
        raise WriteError(f"the light trail's colour is {ghost.light_trail_colour}, expected red, green and blue")
    pairs = [value for pair in zip(ghost.cp_times_ms, scores, strict=True) for value in pair]
    body.skippable_i32(GHOST + 0x0B, len(ghost.cp_times_ms), *pairs)
    body.chunk(GHOST + 0x0C)
    body.u32(0)
    body.chunk(GHOST + 0x0E)
    body.id(ghost.uid, UID_ID)
    body.chunk(GHOST + 0x0F)
    body.string(ghost.login)
    body.chunk(GHOST + 0x10)
    body.id("")
    body.chunk(GHOST + 0x12)
    body.raw(bytes(20))
    body.skippable_i32(GHOST + 0x13, 0, 0)
    body.skippable_i32(GHOST + 0x14, GHOST_VERSION)
    body.chunk(GHOST + 0x15)
    body.id(ghost.nickname)
    _driver(body, ghost)
    body.chunk(GHOST + 0x18)
    body.ident(ghost.vehicle._replace(id=ghost.car))
    _inputs(body, ghost)
    body.end_node()


def _driver(body: ByteWriter, ghost: Ghost) -> None:
    driver = ByteWriter()
    driver.u32(len(ghost.skin_files))
    for reference in ghost.skin_files:
        driver.file_reference(reference)
    driver.string(ghost.nickname)
    driver.string(ghost.avatar)
    body.skippable(GHOST + 0x17, driver)


def _inputs(body: ByteWriter, ghost: Ghost) -> None:
    events = ghost.events
    body.chunk(GHOST + 0x19)
    if events is None:
        body.u32(0)
        return
    try:
        rows = events.to_rows()
    except ValueError as error:
        raise WriteError(f"the inputs cannot be written: {error}") from error
    # Nothing may follow a duration of 0, so the inputs of a run that was broken off last until the last of them.
    last_ms = max(1, int(events.time_ms.max(initial=0)))
    body.u32(ghost.inputs_duration_ms or ghost.race_time_ms or last_ms, 0, len(events.names))
    for name in events.names:
        body.id(name)
    body.u32(len(rows), 0)
    body.raw(rows.tobytes())
    body.string(ghost.game_version)
    body.u32(ghost.game_checksum)
    body.i32(0, 0)
    body.string(ghost.race_settings)
    body.u32(0)


def _ghost_data(samples: GhostSamples | None) -> bytes:
    """Return the inner blob with the samples as stored."""
    if samples is None:
        return struct.pack("<I", NO_ENTITY)
    count, is_fixed = len(samples), samples.is_fixed
    period_ms = samples.period_ms if is_fixed else PERIOD_MS
    head = struct.pack("<IIiii", CAR_ENTITY, is_fixed, 0, period_ms, STATE_VERSION)
    tail = struct.pack("<I", count)
    tail += struct.pack("<i", 0) if count > 0 else b""
    tail += struct.pack("<i", SAMPLE_BYTES) if count > 1 else b""
    if not is_fixed:
        tail += struct.pack(f"<I{count}i", count, *samples.time_ms.tolist())
    return head + struct.pack("<I", count * SAMPLE_BYTES) + samples.raw.tobytes() + tail

"""Writing maps: tracks of our own design become .Challenge.Gbx files."""

import base64
import hashlib
import zlib
from pathlib import PureWindowsPath

from trackmaster.gbx.block import SKIN_FLAG, Block, BlockSkin
from trackmaster.gbx.classes import BLOCK_SKIN, CHALLENGE, COLLECTOR_LIST, PARAMETERS
from trackmaster.gbx.errors import WriteError
from trackmaster.gbx.headers import COMMENTS_END, COMMENTS_START, THUMBNAIL_END, THUMBNAIL_START
from trackmaster.gbx.models import MODES, NO_TIPS, Challenge, ChallengeHeader, Medals
from trackmaster.gbx.nodes_challenge import CAMERA_BYTES
from trackmaster.gbx.read_back import read_back
from trackmaster.gbx.reader import UID_ID, FileReference, Ident
from trackmaster.gbx.writer import DEFAULT_GAME_VERSION, ByteWriter, HeaderPart, attribute, pack_file

DECORATION_AUTHOR = "Nadeo"
NO_FILE = FileReference("")
UID_LENGTH = 27
I32_MAX = 2**31 - 1


def make_uid(seed: str) -> str:
    """Return a map uid of the game's form (27 letters, digits and underscores) that follows from ``seed`` alone."""
    digest = hashlib.sha256(seed.encode("utf-8")).digest()
    return base64.b64encode(digest, altchars=b"__").decode("ascii")[:UID_LENGTH]


def write_challenge(challenge: Challenge, *, compress: bool = True) -> bytes:
    """Return a .Challenge.Gbx file; equal maps give equal bytes.

    Args:
        challenge: the map; name, uid, blocks and medals suffice.
        compress: pack the body by LZO as the game does, or store it.

    Raises:
        WriteError: the map has clips, a password or TMUnlimiter data, which would be lost, or a value that does not
            fit.
    """
    _check(challenge)
    header = challenge.header or ChallengeHeader()
    version = header.game_version or DEFAULT_GAME_VERSION
    parts = (
        HeaderPart(CHALLENGE + 2, _times(challenge, header)),
        HeaderPart(CHALLENGE + 3, _names(challenge, header)),
        HeaderPart(CHALLENGE + 4, (6).to_bytes(4, "little")),
        HeaderPart(CHALLENGE + 5, _xml(challenge, header, version), is_heavy=True),
        HeaderPart(CHALLENGE + 7, _picture(challenge, header), is_heavy=True),
    )
    return read_back(pack_file(CHALLENGE, parts, _body(challenge), compress=compress))


def _check(challenge: Challenge) -> None:
    clips = (challenge.intro_clip, challenge.ingame_clips, challenge.endrace_clips, challenge.ambient_clip)
    if any(clip is not None for clip in clips):
        raise WriteError(f"map {challenge.name!r} has MediaTracker clips, which are not written; take them out first, "
                         "or keep the original file")  # fmt: skip
    if challenge.is_unlimiter:
        raise WriteError(
            f"map {challenge.name!r} needs TMUnlimiter, whose data are not written; keep the original file"
        )
    if challenge.has_password:
        raise WriteError(
            f"map {challenge.name!r} is protected by a password, which is not known and would be lost; keep the "
            "original file"
        )
    if not challenge.uid or not challenge.name:
        raise WriteError("a map needs a uid and a name; make_uid() makes one from any text")
    _check_numbers(challenge)
    for block in challenge.blocks:
        if not 0 <= block.direction <= 3 or not all(0 <= c <= 255 for c in block[2:5]) or not block.name:
            raise WriteError(f"block {block.name!r} at {block[2:5]} facing {block.direction} does not fit into a map "
                             "(cells 0 to 255, directions 0 to 3)")  # fmt: skip
        if not 0 <= block.flags < 1 << 32 or ((block.skin or block.author) and not block.flags & SKIN_FLAG):
            raise WriteError(
                f"block {block.name!r} has flags {block.flags:#x}; bit 0x8000 must be set as it is skinned"
            )


def _check_numbers(challenge: Challenge) -> None:
    """Make sure that every number of a map fits its place in the file.

    Raises:
        WriteError: one does not; it is named.
    """
    header = challenge.header or ChallengeHeader()
    medals = challenge.medals
    natural: dict[str, int | None] = {
        "bronze time": medals.bronze_ms, "silver time": medals.silver_ms, "gold time": medals.gold_ms,
        "author time": medals.author_ms, "number of laps": challenge.laps, "mode": challenge.mode,
    }  # fmt: skip
    for what, number in natural.items():
        _check_range(challenge, what, number, 0, I32_MAX)
    for what, number in {"cost": header.cost, "time limit": challenge.time_limit_ms,
                         "author score": challenge.author_score}.items():  # fmt: skip
        _check_range(challenge, what, number, -I32_MAX - 1, I32_MAX)
    for number in (header.kind, challenge.kind):
        _check_range(challenge, "kind", number, 0, 255)
    if len(challenge.size) != 3 or any(len(cell) != 3 for cell in challenge.cp_cells):
        raise WriteError(f"map {challenge.name!r}: the size and the checkpoints' cells need three numbers each")
    for number in challenge.size:
        _check_range(challenge, "size", number, 1, I32_MAX)
    for number in (c for cell in challenge.cp_cells for c in cell):
        _check_range(challenge, "cell of a checkpoint", number, -I32_MAX - 1, I32_MAX)
    if challenge.picture_camera is not None and len(challenge.picture_camera) != CAMERA_BYTES:
        raise WriteError(f"map {challenge.name!r}: the picture's camera has {len(challenge.picture_camera)} bytes, "
                         f"expected {CAMERA_BYTES}")  # fmt: skip
    if len(challenge.tips) != len(NO_TIPS):
        raise WriteError(f"map {challenge.name!r} has {len(challenge.tips)} tips, a file holds four; empty ones count")


def _check_range(challenge: Challenge, what: str, number: int | None, low: int, high: int) -> None:
    if number is not None and not low <= number <= high:
        raise WriteError(
            f"map {challenge.name!r}: its {what} is {number}, which does not fit into a file; choose {low} to {high}"
        )


def _ms(medals: Medals) -> tuple[int, int, int, int]:
    times = (medals.bronze_ms, medals.silver_ms, medals.gold_ms, medals.author_ms)
    bronze, silver, gold, author = (-1 if time is None else time for time in times)
    return bronze, silver, gold, author


def _ident(challenge: Challenge) -> Ident:
    return Ident(challenge.uid, challenge.environment, challenge.author)


def _times(challenge: Challenge, header: ChallengeHeader) -> bytes:
    out = ByteWriter()
    out.u8(11)
    out.u32(int(header.is_locked))
    out.i32(*_ms(challenge.medals), header.cost)
    out.u32(int(challenge.is_multilap), challenge.mode, 0)
    out.i32(challenge.author_score)
    out.u32(0)
    return bytes(out.out)


def _names(challenge: Challenge, header: ChallengeHeader) -> bytes:
    out = ByteWriter()
    out.u8(5)
    out.ident(_ident(challenge), is_own=True)
    out.string(challenge.name)
    out.u8(challenge.kind if challenge.header is None else header.kind)
    out.u32(0)
    out.string("")
    out.ident(_decoration(challenge))
    out.raw(bytes(32))
    return bytes(out.out)


def _decoration(challenge: Challenge) -> Ident:
    return Ident(challenge.mood, challenge.environment, DECORATION_AUTHOR)


def _xml(challenge: Challenge, header: ChallengeHeader, version: str) -> bytes:
    bronze, silver, gold, author = _ms(challenge.medals)
    laps = challenge.laps if challenge.is_multilap else 0
    kind = MODES[challenge.mode].capitalize() if 0 <= challenge.mode < len(MODES) else MODES[0].capitalize()
    mod = f" mod={attribute(PureWindowsPath(challenge.mod.path).stem)}" if challenge.mod else ""
    out = ByteWriter()
    out.string(
        f'<header type="challenge" version="TMc.6" exever={attribute(version)}>'
        f"<ident uid={attribute(challenge.uid)} name={attribute(challenge.name)} author={attribute(challenge.author)}/>"
        f"<desc envir={attribute(challenge.environment)} mood={attribute(challenge.mood)} type={attribute(kind)} "
        f'nblaps="{laps}" price="{header.cost}"{mod} /><times bronze="{bronze}" silver="{silver}" gold="{gold}" '
        f'authortime="{author}" authorscore="{challenge.author_score}"/>'
        f"<deps>{_dependencies(challenge)}</deps></header>"
    )
    return bytes(out.out)


def _dependencies(challenge: Challenge) -> str:
    """Return the XML elements of the files that the map asks for, each once: those of its blocks in their order first.

    This is what a server or the game fetches before the map is loaded.
    """
    skins = (skin for skin in (block.skin for block in challenge.blocks) if skin is not None)
    wanted = [reference for skin in skins for reference in (skin.main, skin.extra)]
    wanted += [reference for reference in (challenge.mod, challenge.music) if reference is not None]
    files = dict.fromkeys((reference.path, reference.url) for reference in wanted if reference.path)
    return "".join(f"<dep file={attribute(path)}{f' url={attribute(url)}' if url else ''}/>" for path, url in files)


def _picture(challenge: Challenge, header: ChallengeHeader) -> bytes:
    picture = header.thumbnail_jpeg or b""
    out = ByteWriter()
    out.u32(1, len(picture))
    out.raw(THUMBNAIL_START + picture + THUMBNAIL_END + COMMENTS_START)
    out.string(challenge.comments)
    out.raw(COMMENTS_END)
    return bytes(out.out)


def _body(challenge: Challenge) -> ByteWriter:
    """Write the chunks of a map in the order of the game."""
    out = ByteWriter()
    out.chunk(CHALLENGE + 0x0D)
    out.ident(challenge.vehicle)
    out.chunk(CHALLENGE + 0x11)
    _contents(out, challenge)
    cells = [c for cell in challenge.cp_cells for c in cell]
    out.skippable_i32(CHALLENGE + 0x17, len(challenge.cp_cells), *cells)
    out.skippable_i32(CHALLENGE + 0x18, int(challenge.is_multilap), challenge.laps)
    mod = ByteWriter()
    mod.file_reference(challenge.mod or NO_FILE)
    out.skippable(CHALLENGE + 0x19, mod)
    out.skippable_i32(CHALLENGE + 0x1C, challenge.mode)
    _blocks(out, challenge)
    out.chunk(CHALLENGE + 0x21)
    out.no_node(3)
    out.chunk(CHALLENGE + 0x22)
    out.u32(1)
    out.chunk(CHALLENGE + 0x24)
    out.file_reference(challenge.music or NO_FILE)
    out.chunk(CHALLENGE + 0x25)
    out.f32(0.0, 0.0, 0.0, 0.0)
    out.chunk(CHALLENGE + 0x26)
    out.no_node()
    out.chunk(CHALLENGE + 0x28)
    out.u32(int(challenge.picture_camera is not None))
    out.raw(challenge.picture_camera or b"")
    out.string(challenge.comments)
    password = ByteWriter()
    password.raw(bytes(16))
    password.u32(password_checksum(bytes(16), challenge.uid))
    out.skippable(CHALLENGE + 0x29, password)
    out.chunk(CHALLENGE + 0x2A)
    out.u32(int(challenge.is_simple_editor))
    out.end_node()
    return out


def password_checksum(password_hash: bytes, uid: str) -> int:
    """Return the checksum that ties a map's (empty) password to its uid; seen on all unprotected maps of TMF."""
    return zlib.crc32(f"0x{password_hash.hex()}???{uid}".encode())


def _contents(out: ByteWriter, challenge: Challenge) -> None:
    out.begin_node(COLLECTOR_LIST)
    out.chunk(COLLECTOR_LIST)
    out.u32(len(challenge.inventory))
    for ident, count in challenge.inventory:
        out.ident(ident)
        out.i32(count)
    out.end_node()
    out.begin_node(PARAMETERS)
    out.chunk(PARAMETERS + 1)
    for tip in challenge.tips:
        out.string(tip)
    out.chunk(PARAMETERS + 4)
    out.i32(*_ms(challenge.medals))
    out.u32(0)
    out.chunk(PARAMETERS + 8)
    out.i32(challenge.time_limit_ms, challenge.author_score)
    out.end_node()
    out.u32(challenge.kind)


def _blocks(out: ByteWriter, challenge: Challenge) -> None:
    out.chunk(CHALLENGE + 0x1F)
    out.ident(_ident(challenge), is_own=True)
    out.string(challenge.name)
    out.ident(_decoration(challenge))
    out.i32(*challenge.size)
    out.u32(int(challenge.header is not None and challenge.header.is_locked), 1, len(challenge.blocks))
    for block in challenge.blocks:
        _block(out, block)


def _block(out: ByteWriter, block: Block) -> None:
    out.id(block.name)
    out.raw(bytes((block.direction, block.x, block.y, block.z)))
    out.u32(block.flags)
    if block.flags & SKIN_FLAG:
        out.id(block.author, UID_ID)
        _skin(out, block.skin)


def _skin(out: ByteWriter, skin: BlockSkin | None) -> None:
    if skin is None:
        out.no_node()
        return
    out.begin_node(BLOCK_SKIN)
    out.chunk(BLOCK_SKIN + 2)
    out.string(skin.text)
    out.file_reference(skin.main)
    out.file_reference(skin.extra)
    out.end_node()

"""Is a file what was asked for? Runs in worker processes: a hostile file costs one of them, not the download."""

import errno
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from trackmaster import gbx
from trackmaster.files import atomic_write_bytes
from trackmaster.units import format_race_time

SMALLEST_FILE_BYTES = 1_000
MAGIC = b"GBX"
PAGE = "html_page"
"""The reason of what is no file at all: the exchange says something to people, which may pass."""


@dataclass(frozen=True, slots=True)
class CheckJob:
    """A file to be judged, and where it goes if it is right.

    Attributes:
        body: the file; None to judge the one that lies at ``target`` already.
        target: its final place; None to keep it nowhere.
        incoming: folder for unfinished files.
        is_map: whether a map was asked for, else a replay.
        uid: of the map; empty where the exchange does not tell.
        time_ms: race time of a replay; None where it is not known.
        is_full: read the whole file, not only its header.
    """

    body: bytes | None
    target: Path | None
    incoming: Path
    is_map: bool
    uid: str
    time_ms: int | None = None
    is_full: bool = True


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a file is.

    Attributes:
        sha256: of its bytes.
        size: in bytes.
        reason: a short name for what is wrong; empty if it is right.
        detail: a sentence about it.
        map_uid, device, is_tminterface, respawns, login: of a replay, as its file says; None where it does not.
    """

    sha256: str
    size: int
    reason: str = ""
    detail: str = ""
    map_uid: str | None = None
    device: str | None = None
    is_tminterface: bool | None = None
    respawns: int | None = None
    login: str | None = None

    @property
    def facts(self) -> dict[str, object]:
        """Columns of the catalogue about a replay."""
        return {
            "bytes": self.size, "sha256": self.sha256, "map_uid": self.map_uid, "device": self.device,
            "is_tminterface": self.is_tminterface, "file_respawns": self.respawns, "login": self.login,
        }  # fmt: skip


def check(job: CheckJob) -> CheckResult:
    """Judge a file; if it is right, put it into its place in one step.

    Raises:
        OSError: it could not be written.
    """
    body = job.body if job.body is not None else (job.target or job.incoming).read_bytes()
    result = _judge(job, body)
    if job.body is not None and job.target is not None and not result.reason:
        job.target.parent.mkdir(parents=True, exist_ok=True)
        part = job.incoming / f"{result.sha256[:20]}-{os.getpid()}-{os.urandom(4).hex()}.part"
        part.write_bytes(body)
        _move(part, job.target)
    return result


def _move(part: Path, target: Path) -> None:
    """Give a whole file its name in one step, also where that is on another disk (maps have a folder of their own)."""
    try:
        part.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        atomic_write_bytes(target, part.read_bytes())
        part.unlink()


def _judge(job: CheckJob, body: bytes) -> CheckResult:
    sha256, size = hashlib.sha256(body).hexdigest(), len(body)
    reason, detail = _glance(body)
    if reason:
        return CheckResult(sha256, size, reason, detail)
    try:
        return _look(job, body, sha256)
    except gbx.GbxError as error:
        return CheckResult(sha256, size, "damaged", str(error))
    except Exception as error:
        return CheckResult(sha256, size, "unreadable", f"our reader failed on it ({type(error).__name__}: {error})")


def _glance(body: bytes) -> tuple[str, str]:
    if body[:3] != MAGIC:
        start = body[:24]
        if body.lstrip()[:1] == b"<":
            return PAGE, f"a page came instead of the file; it begins with {start!r}"
        return "not_gbx", f"it begins with {start!r}, expected b'GBX'"
    if len(body) < SMALLEST_FILE_BYTES:
        return "too_small", f"it has {len(body)} bytes, the smallest real files have more than {SMALLEST_FILE_BYTES}"
    return "", ""


def _look(job: CheckJob, body: bytes, sha256: str) -> CheckResult:
    header = gbx.read_header(body, name="the file")
    if isinstance(header, gbx.ChallengeHeader) != job.is_map:
        wanted, found = ("map", "replay") if job.is_map else ("replay", "map")
        return CheckResult(sha256, len(body), "wrong_class", f"a {wanted} was asked for, the file is a {found}")
    if isinstance(header, gbx.ChallengeHeader):
        uid = gbx.read_challenge(body, name="the map").uid if job.is_full else header.uid
        reason, detail = _compare(job, uid, None)
        return CheckResult(sha256, len(body), reason, detail, map_uid=uid)
    uid, time_ms, respawns = header.map_uid, header.race_time_ms, header.respawns
    reason, detail = _compare(job, uid, time_ms)
    if reason or not job.is_full:
        return CheckResult(sha256, len(body), reason, detail, uid, respawns=respawns, login=header.login)
    replay = gbx.read_replay(body, name="the replay")
    if replay.challenge is None:
        return CheckResult(sha256, len(body), "no_map", "the replay has no map inside", uid)
    reason, detail = _compare(job, replay.challenge.uid, replay.race_time_ms)
    events = replay.ghost.events if replay.ghost is not None else None
    return CheckResult(
        sha256, len(body), reason, detail, replay.challenge.uid,
        device=events.device if events is not None else None,
        is_tminterface=events.is_tminterface if events is not None else None,
        respawns=max(replay.respawns, int(replay.has_respawn)) if replay.respawns >= 0 else respawns,
        login=replay.login,
    )  # fmt: skip


def _compare(job: CheckJob, uid: str, time_ms: int | None) -> tuple[str, str]:
    if job.uid and uid != job.uid:
        return "other_map", f"the map inside has uid {uid!r}, expected {job.uid!r} (another version of the map, say)"
    if job.time_ms is not None and time_ms != job.time_ms:
        found, wanted = format_race_time(time_ms), format_race_time(job.time_ms)
        return "other_time", f"the run took {found}, the exchange lists it with {wanted}"
    return "", ""


@dataclass(frozen=True, slots=True)
class ExtractJob:
    """A replay whose map is wanted as a file of its own."""

    replay: Path
    target: Path
    incoming: Path
    uid: str


def extract_map(job: ExtractJob) -> CheckResult:
    """Write the map inside a replay as a file, byte for byte as it lies there.

    Raises:
        OSError: it could not be read or written.
    """
    try:
        content = gbx.read_replay(job.replay).challenge_bytes
    except gbx.GbxError as error:
        return CheckResult("", 0, "damaged", str(error))
    if content is None:
        return CheckResult("", 0, "no_map", f"{job.replay.name}: the replay has no map inside")
    return check(CheckJob(content, job.target, job.incoming, is_map=True, uid=job.uid, is_full=False))

"""``trackmaster replays status``: how far a folder of replays is, what failed and why, and how long it still takes."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import Row

from trackmaster.files import sha256_of
from trackmaster.replays import catalogue as states
from trackmaster.replays.catalogue import Catalogue, catalogue_path
from trackmaster.replays.config import StatusConfig
from trackmaster.replays.errors import CatalogueError
from trackmaster.replays.files import QUARANTINE, set_aside
from trackmaster.replays.index_file import write_indexes
from trackmaster.replays.locks import folder_lock

STATES = (states.DONE, states.WANTED, states.FAILED, states.REJECTED, states.GONE)
_WORDS = {
    states.DONE: "verified on disk", states.WANTED: "still to fetch", states.FAILED: "to try again",
    states.REJECTED: "rejected", states.GONE: "deleted on the exchange", states.LISTED: "listed",
    states.NEW: "not listed yet", states.ADOPTED: "finished by an older run",
}  # fmt: skip


@dataclass(frozen=True)
class LastRun:
    """The newest run: when it was last seen at work, and how fast it was."""

    seconds: float
    requests: int
    received_bytes: int
    files: int
    tracks_left: int
    is_ended: bool

    @property
    def files_per_s(self) -> float:
        """Files that it fetched per second of its life; 0 if it fetched none."""
        return self.files / self.seconds if self.seconds > 0 else 0.0


@dataclass(frozen=True)
class Status:
    """What a catalogue says.

    Attributes:
        tracks, replays, maps: counts by state.
        reasons: of everything that is not there, by short name.
        size_bytes: of all verified replays.
        run: the newest one; None before the first.
        seconds_left: estimate at the speed of the newest run; None where it fetched nothing.
    """

    tracks: Counter[str]
    replays: Counter[str]
    maps: Counter[str]
    reasons: Counter[str]
    size_bytes: int
    run: LastRun | None

    @property
    def seconds_left(self) -> float | None:
        """How long the rest takes at the speed of the newest run."""
        if self.run is None or not self.run.files_per_s:
            return None
        listed = self.tracks[states.LISTED]
        per_track = sum(self.replays.values()) / listed if listed else 0.0
        left = self.replays[states.WANTED] + self.replays[states.FAILED] + per_track * self.run.tracks_left
        return left / self.run.files_per_s


def status_of(catalogue: Catalogue) -> Status:
    """Return the counts of a catalogue."""
    tracks, replays, maps = (_by_state(catalogue, table) for table in ("tracks", "replays", "maps"))
    reasons: Counter[str] = Counter()
    for table in ("tracks", "replays", "maps"):
        sql = f"SELECT reason, COUNT(*) n FROM {table} WHERE state IN (?,?,?) GROUP BY reason"  # noqa: S608
        for row in catalogue.read(sql, (states.GONE, states.REJECTED, states.FAILED)):
            reasons[row["reason"].partition(":")[0] or "unknown"] += row["n"]
    size = catalogue.one("SELECT COALESCE(SUM(bytes), 0) n FROM replays WHERE state = ?", (states.DONE,))
    return Status(tracks, replays, maps, reasons, int(size["n"]) if size is not None else 0, _last_run(catalogue))


def _by_state(catalogue: Catalogue, table: str) -> Counter[str]:
    rows = catalogue.read(f"SELECT state, COUNT(*) n FROM {table} GROUP BY state")  # noqa: S608
    return Counter({row["state"]: row["n"] for row in rows})


def _last_run(catalogue: Catalogue) -> LastRun | None:
    row = catalogue.one("SELECT * FROM runs WHERE tracks_total > 0 ORDER BY run_id DESC LIMIT 1")
    if row is None:
        return None
    return LastRun(
        row["seen_at"] - row["started_at"], row["requests"], row["received_bytes"], row["replays_done"],
        max(0, row["tracks_total"] - row["tracks_done"]), row["ended_at"] is not None,
    )  # fmt: skip


def run_status(config: StatusConfig) -> int:
    """Print the status; return 0, or 2 when ``--check`` found wrong or missing files."""
    path = config.catalogue or catalogue_path(config.replays_dir)
    wrong = check_files(path, config.replays_dir, config.tracks_dir) if config.check else 0
    with Catalogue(path, writable=False) as catalogue:
        status = status_of(catalogue)
        for line in _lines(status, config.replays_dir):
            print(line)
        for line in _failed_items(catalogue, config.failures):
            print(line)
    return 2 if wrong else 0


def _lines(status: Status, replays_dir: Path) -> list[str]:
    lines = [f"{replays_dir}: {status.size_bytes / 1e6:.1f} MB of replays"]
    for name, counts in (("tracks", status.tracks), ("replays", status.replays), ("maps", status.maps)):
        parts = [f"{count} {_WORDS.get(state, state)}" for state, count in counts.most_common()]
        lines.append(f"  {name + ':':<9}{', '.join(parts) or 'none'}")
    for reason, count in status.reasons.most_common():
        lines.append(f"  {count:6d} x {reason}")
    run = status.run
    if run is not None:
        how = "ended" if run.is_ended else "is at work, or was killed,"
        lines.append(
            f"  the newest download {how} after {run.seconds:.0f} s: {run.files} files ({run.files_per_s:.2f}/s), "
            f"{run.requests} requests, {run.received_bytes / 1e6:.1f} MB"
        )
        left_s = status.seconds_left
        lines.append(f"  time left at that speed: {_duration(left_s) if left_s is not None else 'unknown'}")
    return lines


def _duration(seconds: float) -> str:
    if seconds < 0.5:
        return "none, everything is there or settled"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _failed_items(catalogue: Catalogue, limit: int) -> list[str]:
    rows = catalogue.read(
        "SELECT 'replay' kind, replay_id id, reason FROM replays WHERE state IN (?,?) UNION ALL"
        " SELECT 'track', track_id, reason FROM tracks WHERE state = ? LIMIT ?",
        (states.FAILED, states.REJECTED, states.FAILED, limit),
    )
    return [f"  {row['kind']} {row['id']}: {row['reason']}" for row in rows]


def check_files(path: Path, replays_dir: Path, tracks_dir: Path) -> int:
    """Compare all files of a catalogue with their sums; what is wrong or missing is wanted again.

    A wrong file is moved into quarantine, so that the next run fetches it whatever it still looks like.

    Returns:
        How many are.

    Raises:
        CatalogueError: there is no catalogue, it cannot be used, or a run is at work.
    """
    if not path.is_file():
        raise CatalogueError(f"{path}: there is no catalogue. Download first: 'trackmaster replays download'.")
    with folder_lock(replays_dir, path, purpose="'replays status --check'"), Catalogue(path) as catalogue:
        wrong = 0
        for row in _done(catalogue, "SELECT replay_id id, path, sha256 FROM replays WHERE state = ?"):
            what = _what_is_wrong(replays_dir / row["path"], row["sha256"], replays_dir / QUARANTINE)
            if what:
                catalogue.set_replay(row["id"], states.WANTED, f"on_disk: the file {what}")
                wrong += 1
        maps = _done(catalogue, "SELECT track_id id, path, sha256 FROM maps WHERE state = ?")
        if maps and not tracks_dir.is_dir():
            print(f"{tracks_dir}: there is no such folder, so {len(maps)} maps are not checked (--tracks-dir).")
            maps = []
        for row in maps:
            what = _what_is_wrong(tracks_dir / row["path"], row["sha256"], replays_dir / QUARANTINE)
            if what:
                catalogue.set_map(row["id"], states.WANTED, f"on_disk: the file {what}")
                wrong += 1
        write_indexes(catalogue, replays_dir)
    print(f"{wrong} files are wrong or missing." if wrong else "All files are as they were verified.")
    return wrong


def _done(catalogue: Catalogue, sql: str) -> list[Row]:
    return list(catalogue.read(sql, (states.DONE,)))


def _what_is_wrong(file: Path, sha256: str, quarantine: Path) -> str:
    """Return what is wrong with a file, and say so; empty if it is as it was verified."""
    if not file.is_file():
        print(f"{file} is missing; the next run fetches it again.")
        return "is missing"
    found = sha256_of(file)
    if found == sha256:
        return ""
    kept = set_aside(file, quarantine, found)
    print(f"{file} has changed since it was verified; it is now {kept}, and the next run fetches it again.")
    return "has changed since it was verified"

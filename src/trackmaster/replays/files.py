"""One file from the exchange to its place: fetched, verified, kept or refused, and never in between."""

import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from trackmaster.files import safe_name
from trackmaster.replays import catalogue as states
from trackmaster.replays.checking import PAGE, CheckJob, CheckResult, ExtractJob, check, extract_map
from trackmaster.replays.client import ExchangeClient
from trackmaster.replays.errors import FetchError, GoneError, RejectedError, WrongFileError
from trackmaster.replays.pool import WorkPool
from trackmaster.replays.tasks import FileTask, MapTask
from trackmaster.replays.transport import Response

log = logging.getLogger(__name__)

INCOMING = ".incoming"
QUARANTINE = ".quarantine"


@dataclass(frozen=True)
class Outcome:
    """What became of a file; ``facts`` are columns of the catalogue."""

    state: str
    reason: str = ""
    facts: Mapping[str, object] = field(default_factory=dict)
    is_adopted: bool = False


def set_aside(file: Path, quarantine: Path, sha256: str) -> Path:
    """Move a file that is not what its name says into quarantine; return where it is now.

    Raises:
        OSError: it could not be moved.
    """
    target = quarantine / f"{file.name}-{sha256[:12]}.found"
    quarantine.mkdir(parents=True, exist_ok=True)
    shutil.move(file, target)  # the folder of maps may be on another disk
    return target


class FileFetcher:
    """Fetches files into a folder of replays.

    Args:
        client: talks to the exchange.
        pool: checks files.
        replays_dir: with the folders for unfinished and refused files.
        max_bytes: largest file.
        is_full: verify whole files, not only their headers.
    """

    def __init__(
        self, client: ExchangeClient, pool: WorkPool, replays_dir: Path, *, max_bytes: int, is_full: bool
    ) -> None:
        self._client = client
        self._pool = pool
        self._incoming = replays_dir / INCOMING
        self._quarantine = replays_dir / QUARANTINE
        self._max_bytes = max_bytes
        self._is_full = is_full
        # What a run that was killed left half written.
        shutil.rmtree(self._incoming, ignore_errors=True)
        self._incoming.mkdir(parents=True, exist_ok=True)

    def close(self) -> None:
        """Remove the folder for unfinished files."""
        shutil.rmtree(self._incoming, ignore_errors=True)

    async def fetch(self, task: FileTask) -> Outcome:
        """Fetch a file unless it is there already; return what became of it.

        Raises:
            ExchangeError: the exchange cannot be used.
            OSError: the file cannot be written.
        """
        last = _LastRefusal()

        async def accept(response: Response) -> CheckResult:
            result = await self._pool.run(check, self._job(task, response.body))
            if not result.reason:
                return result
            may_pass = last.is_new(result, response.body)
            if result.reason == PAGE:
                raise FetchError(result.reason, result.detail)
            error = WrongFileError if may_pass else RejectedError
            raise error(result.reason, result.detail)

        fetch = self._client.track_file if task.is_map else self._client.replay_file
        try:
            adopted = await self._adopt(task)
            if adopted is not None:
                return Outcome(states.DONE, "", adopted.facts, is_adopted=True)
            result = await fetch(task.item_id, accept, max_bytes=self._max_bytes)
        except GoneError as error:
            return Outcome(states.GONE, error.reason)
        except FetchError as error:
            self._keep(task, last, error)
            state = states.REJECTED if isinstance(error, RejectedError) else states.FAILED
            return Outcome(state, f"{error.reason}: {error.detail}")
        return Outcome(states.DONE, "", result.facts)

    def _job(self, task: FileTask, body: bytes | None) -> CheckJob:
        return CheckJob(body, task.target, self._incoming, task.is_map, task.uid, task.time_ms, self._is_full)

    async def _adopt(self, task: FileTask) -> CheckResult | None:
        """Return what the file is that lies at the right place already; move a wrong one out of the way."""
        if not task.target.is_file():
            return None
        result = await self._pool.run(check, self._job(task, None))
        if not result.reason:
            return result
        target = set_aside(task.target, self._quarantine, result.sha256)
        why = result.detail.rstrip(".")
        log.warning("%s was not what its name says (%s); it was moved to %s.", task.target, why, target)
        return None

    def _keep(self, task: FileTask, last: "_LastRefusal", error: FetchError) -> None:
        """Put a refused file into quarantine, under a name that is ours, with the reason beside it."""
        kind = "track" if task.is_map else "replay"
        log.warning("%s %d: %s.", kind, task.item_id, error.detail.rstrip("."))
        if last.body is None or last.reason == PAGE:
            return
        self._quarantine.mkdir(parents=True, exist_ok=True)
        stem = f"{kind}_{task.item_id}_{safe_name(last.reason, max_length=40)}"
        (self._quarantine / f"{stem}.bin").write_bytes(last.body)
        (self._quarantine / f"{stem}.txt").write_text(f"{last.detail}\n", encoding="utf-8")

    async def extract(self, task: MapTask) -> tuple[str, str, dict[str, object]]:
        """Write the map inside a replay as a file, unless it is there.

        Another map in its place, an older version say, is moved out of the way.

        Returns:
            State, reason, and facts for the catalogue.
        """
        place = FileTask(
            task.index, task.track_id, task.track_id, is_map=True, uid=task.uid, time_ms=None, target=task.target
        )
        job = ExtractJob(task.replay, task.target, self._incoming, task.uid)
        try:
            result = await self._adopt(place)
            if result is None:
                result = await self._pool.run(extract_map, job)
        except FetchError as error:
            return states.FAILED, f"{error.reason}: {error.detail}", {}
        if result.reason:
            return states.REJECTED, f"{result.reason}: {result.detail}", {}
        facts = {"bytes": result.size, "sha256": result.sha256, "uid": result.map_uid}
        return states.DONE, "", facts | {"path": task.target.name, "source": "replay"}


class _LastRefusal:
    """The last wrong answer for an item: the same one twice means that the exchange really has it."""

    def __init__(self) -> None:
        self.body: bytes | None = None
        self.reason = self.detail = ""
        self._sha256 = ""

    def is_new(self, result: CheckResult, body: bytes) -> bool:
        """Remember a wrong file; return whether it differs from the one before."""
        is_same = result.sha256 == self._sha256
        self.body, self.reason, self.detail, self._sha256 = body, result.reason, result.detail, result.sha256
        return not is_same

"""Jobs side by side, each on a core of its own; a job is done as a whole or not at all."""

import contextlib
import json
import os
import queue
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import psutil

from trackmaster.config import PREFIXES
from trackmaster.errors import ConfigError
from trackmaster.experiments.matrix import Command, Job
from trackmaster.experiments.program import program
from trackmaster.files import atomic_write_text
from trackmaster.progress import progress

ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
LAST_LINES = 5
_SAME_PROCESS_S = 1.0
_KILL_TIMEOUT_S = 10.0
_KILL_POLL_S = 0.01

Say = Callable[[str], None]


@dataclass(frozen=True)
class Failure:
    """A job that ended with an error."""

    job: Job
    reason: str


def is_done(job: Job) -> bool:
    """Return whether a job was done before.

    Raises:
        ConfigError: it was done with other settings.
    """
    if not job.mark.is_file():
        return False
    try:
        found = json.loads(job.mark.read_text(encoding="utf-8"))
        fingerprint = found["fingerprint"]
    except (ValueError, TypeError, KeyError):
        return False  # a damaged mark only costs the time to do the job again
    if fingerprint != job.fingerprint:
        raise ConfigError(
            f"{job.mark.parent.parent}: {job.name} was finished there with other settings, frames or encoders. Name "
            "another --output-dir, or move that folder away."
        )
    return True


def refuse_other_settings(jobs: Iterable[Job]) -> None:
    """Look at all jobs of an experiment before the first one begins, so that no table ever mixes two settings.

    Raises:
        ConfigError: one was done before with other settings.
    """
    for job in jobs:
        is_done(job)


class CorePool:
    """Runs jobs on some cores and remembers which processes are at work, for the case that it is killed.

    Args:
        cores: one job at a time on each; None leaves the choice of the core to the system.
        record: file with the processes at work.
        say: takes a line about every job.
        use_tqdm: draw a progress bar on a terminal.
    """

    def __init__(self, cores: Sequence[int | None], record: Path, *, say: Say, use_tqdm: bool) -> None:
        self._cores, self._record, self._say, self._use_tqdm = tuple(cores), record, say, use_tqdm
        self._lock = threading.Lock()
        self._active: dict[int, subprocess.Popen[bytes]] = {}
        self._stopping = False

    def run(self, jobs: Sequence[Job], *, desc: str) -> list[Failure]:
        """Do what is not done yet; a job that fails does not stop the others.

        Raises:
            ConfigError: one was done before with other settings; nothing was begun then.
            KeyboardInterrupt: Ctrl+C; whatever was at work is ended and will be done anew.
        """
        kill_leftovers(self._record)
        self._stopping = False
        todo = [job for job in jobs if not is_done(job)]
        if len(todo) < len(jobs):
            self._say(f"{desc}: {len(jobs) - len(todo)} of {len(jobs)} are there from an earlier call.")
        if not todo:
            return []
        free: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        for core in self._cores:
            free.put(core)
        failures: list[Failure] = []
        threads = ThreadPoolExecutor(len(self._cores), initializer=_pin_thread, initargs=(free,))
        try:
            futures = [threads.submit(self._do, job) for job in todo]
            for future in progress(as_completed(futures), desc=desc, total=len(todo), enabled=self._use_tqdm):
                failure = future.result()
                if failure is not None:
                    failures.append(failure)
                    self._say(f"{failure.job.name} failed: {failure.reason}")
        finally:
            self._stop()
            threads.shutdown(wait=True, cancel_futures=True)
        return failures

    def _do(self, job: Job) -> Failure | None:
        """Do all commands of a job, from nothing."""
        for path in job.leavings:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        job.log.parent.mkdir(parents=True, exist_ok=True)
        core = getattr(_OF_THREAD, "core", None)
        self._say(f"{job.name}: begins" + ("" if core is None else f" on core {core}"))
        started, cpu_s = time.monotonic(), 0.0
        load_before, made_by = _load(), program()
        with job.log.open("wb") as log:
            for command in job.commands:
                code, used_s = self._call(command, log)
                cpu_s += used_s
                if code != 0:
                    return None if self._stopping else Failure(job, f"exit code {code}; {_last_lines(job.log)}")
        wall_s = time.monotonic() - started
        mark = {
            "fingerprint": job.fingerprint, "program": made_by,
            "wall_s": round(wall_s, 3), "cpu_s": round(cpu_s, 3), "core": core,
            "load": [load_before, _load()], "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "commands": [list(command) for command in job.commands],
        }  # fmt: skip
        atomic_write_text(job.mark, json.dumps(mark, indent=1))
        self._say(f"{job.name}: done in {wall_s / 60:.1f} min")
        return None

    def _call(self, command: Command, log: IO[bytes]) -> tuple[int, float]:
        """Run a command to its end; return its exit code and the processor time it took with all of its workers."""
        with self._lock:
            if self._stopping:
                return -1, 0.0
            # A session of its own: Ctrl+C is for us, who then end the run as a whole.
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=_environment(),
                start_new_session=True,
            )  # fmt: skip
            self._active[process.pid] = process
            self._note()
        try:
            return _wait(process)
        finally:
            with self._lock:
                del self._active[process.pid]
                self._note()

    def _note(self) -> None:
        rows = []
        for pid in self._active:
            with contextlib.suppress(psutil.NoSuchProcess):
                rows.append({"pid": pid, "created": psutil.Process(pid).create_time()})
        atomic_write_text(self._record, json.dumps(rows))

    def _stop(self) -> None:
        with self._lock:
            self._stopping = True
            active = list(self._active)
        for pid in active:
            _kill_tree(pid)


def choose_cores(parallel: int) -> list[int | None]:
    """Return the cores to use, one per job at a time; None where the system cannot pin.

    Raises:
        ConfigError: there are fewer cores than that.
    """
    if not hasattr(os, "sched_setaffinity"):
        return [None] * parallel
    cores = sorted(os.sched_getaffinity(0))
    if parallel > len(cores):
        raise ConfigError(
            f"--parallel {parallel}: this process may use {len(cores)} cores, and runs that share a core tell nothing "
            "about minutes. Use fewer at a time."
        )
    return list(cores[:parallel])


def kill_leftovers(record: Path) -> None:
    """End what a killed call left running: it would write into the folders of the runs that begin anew."""
    try:
        rows = json.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return
    for row in rows:
        with contextlib.suppress(psutil.NoSuchProcess):
            if abs(psutil.Process(int(row["pid"])).create_time() - float(row["created"])) < _SAME_PROCESS_S:
                _kill_tree(int(row["pid"]))


_OF_THREAD = threading.local()


def _pin_thread(free: "queue.SimpleQueue[int | None]") -> None:
    """Keep this thread, and every process it starts, on a core."""
    _OF_THREAD.core = free.get()
    if _OF_THREAD.core is not None:
        os.sched_setaffinity(0, {_OF_THREAD.core})


def _environment() -> dict[str, str]:
    """Return our environment with one thread per process and without settings that would beat those of the plan."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(PREFIXES)}
    return kept | dict.fromkeys(ONE_THREAD, "1")


def _wait(process: "subprocess.Popen[bytes]") -> tuple[int, float]:
    if not hasattr(os, "wait4"):
        return process.wait(), 0.0
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage.ru_utime + usage.ru_stime


def _kill_tree(pid: int) -> None:
    """Kill a process with its children, and come back when none of them can write any more."""
    with contextlib.suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        victims = [*root.children(recursive=True), root]
        for process in victims:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        # The signal is only on its way then: a process at work on another core runs on for a moment.
        deadline = time.monotonic() + _KILL_TIMEOUT_S
        while not all(map(_has_ended, victims)) and time.monotonic() < deadline:
            time.sleep(_KILL_POLL_S)


def _has_ended(process: psutil.Process) -> bool:
    """Return whether a process is gone, or a zombie that whoever started it has not looked at yet."""
    try:
        return not process.is_running() or process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.NoSuchProcess:
        return True


def _load() -> float | None:
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def _last_lines(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    found = " / ".join(line.strip() for line in lines[-LAST_LINES:] if line.strip())
    return f"{log} ends with: {found}" if found else f"{log} is empty"

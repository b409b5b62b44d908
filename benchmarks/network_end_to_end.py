"""Train over the network with every role in a process of its own, and count what came of it.

    python -m benchmarks.network_end_to_end [--algorithm sac iqn] [--link direct slow ray] [--workers 4]

``direct`` is one server, one trainer and the workers over TLS on loopback, started by the commands of the
documentation. ``slow`` is the same with a relay of ours between them that delays every segment by 50 ms and holds 1 %
back for 200 ms more (``slow_link.py``). ``ray`` is the trainer with ``--ray-workers`` workers on a Ray of this machine.

SAC drives ``config_sac.yaml`` (the state of the car, bundled track ``table_top``), IQN ``config_quick.yaml`` (pictures,
``first_steps``), both until 95 % of the deterministic attempts of an evaluation finish or the frames are used up. One
row per run: frames, minutes, evaluated finishes and progress before the first update and at the best evaluation, chunks
on the server, CPU seconds of each role. The program fails unless every process ends well, what was counted on the way
agrees, and the agent drives better than it began.
"""

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.slow_link import SlowLink

from trackmaster.distributed.link.client import LinkClient
from trackmaster.distributed.security.join_string import parse_join
from trackmaster.distributed.security.server_keys import ServerKeys
from trackmaster.distributed.wire.messages import Message, Stat
from trackmaster.rl.evaluation.log import EVALUATIONS_FILE, LoggedEvaluation, read_evaluations

CONFIGS = Path(__file__).resolve().parent.parent / "config_files" / "rl"
RUN = "e2e"
COMMON = ("--run-name", RUN, "--evaluation.stop-at-finish-rate", "0.95")
PRESETS = {"sac": "config_sac.yaml", "iqn": "config_quick.yaml"}
CARS, AHEAD = {"sac": 16, "iqn": 32}, {"sac": 4, "iqn": 8}
"""Cars of the preset and chunks that wait for its learner, both shared out among the workers: cars change their weights
between episodes, and what waits is old, so that more of both would drive a larger part of the run with old weights."""
MOST_FRAMES = {"sac": 60_000, "iqn": 60_000}
PATIENCE_S = 60.0


class Role:
    """A program in a process of its own, with its output in a file and its CPU time at the end."""

    def __init__(self, name: str, words: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        self.name, self.cpu_s, self._log = name, 0.0, folder / f"{name}.log"
        with self._log.open("w") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-u", "-m", "trackmaster", *words], stdout=output, stderr=subprocess.STDOUT,
                cwd=folder, env={**os.environ, **environment},
            )  # fmt: skip

    @property
    def output(self) -> str:
        """What it has said so far."""
        return self._log.read_text()

    def find(self, pattern: str, patience_s: float = PATIENCE_S) -> str:
        """Return what a pattern's group matches in the output, as soon as it stands there."""
        deadline = time.monotonic() + patience_s
        while not (found := re.search(pattern, self.output)):
            if self._has_ended() or time.monotonic() > deadline:
                raise SystemExit(f"{self.name} never said {pattern!r}:\n{self.output}")
            time.sleep(0.1)
        return found.group(1)

    def wait(self, patience_s: float) -> int:
        """Return the exit status; whoever does not end in time is killed."""
        deadline = time.monotonic() + patience_s
        while not self._has_ended():
            if time.monotonic() > deadline:
                self.kill()
                raise SystemExit(f"{self.name} did not end within {patience_s:.0f} s:\n{self.output[-3000:]}")
            time.sleep(0.2)
        return self._process.returncode

    def interrupt(self) -> None:
        """Ask it to end as Ctrl+C does."""
        self._process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """End it now, if it has not ended."""
        if not self._has_ended():
            self._process.kill()
            while not self._has_ended():
                time.sleep(0.05)

    def _has_ended(self) -> bool:
        if self._process.returncode is None:
            pid, status, usage = os.wait4(self._process.pid, os.WNOHANG)
            if pid:
                self._process.returncode = os.waitstatus_to_exitcode(status)
                self.cpu_s = usage.ru_utime + usage.ru_stime
        return self._process.returncode is not None


class Observer(LinkClient):
    """Reads the server's numbers."""

    def __init__(self, join: str) -> None:
        self.numbers: dict[str, float] = {}
        super().__init__(parse_join(join), "observer", say=_nobody)
        self.start()

    def _hear(self, message: Message) -> None:
        if isinstance(message, Stat):
            self.numbers = {**self.numbers, **message.numbers}


@dataclass(frozen=True)
class Outcome:
    """What came of one run."""

    algorithm: str
    link: str
    seconds: float
    frames: int
    updates: int
    before: LoggedEvaluation
    best: LoggedEvaluation
    cpu_s: dict[str, float]
    server: dict[str, float]
    """Numbers of the server; empty on Ray."""
    driven: int
    """Decisions that the workers say they drove; 0 on Ray."""

    def row(self) -> str:
        """Return the outcome as a row of a Markdown table."""
        pairs = (("chunks", "delivered"), ("dropped", "duplicates"), ("segments", "held"))
        counted = [" / ".join(f"{self.server[n]:.0f}" if n in self.server else "-" for n in pair) for pair in pairs]
        cpu = ", ".join(f"{name} {seconds:.0f}" for name, seconds in self.cpu_s.items())
        cells = [
            self.algorithm, self.link, f"{self.frames}", f"{self.updates}", f"{self.seconds / 60:.1f}",
            _driving(self.before), f"{_driving(self.best)} after {self.best.env_steps}",
            *counted, f"{self.driven or '-'}", cpu,
        ]  # fmt: skip
        return f"| {' | '.join(cells)} |"

    def problems(self) -> list[str]:
        """Return what does not agree."""
        found = []
        if _rank(self.best) <= _rank(self.before):
            found.append("the agent never drove better than before its first update")
        if not self.updates:
            found.append("nothing was learned from")
        if not self.server:
            return found
        waiting = self.server["chunks"] - self.server["delivered"]
        for is_wrong, sentence in (
            (self.frames > self.server["steps"], "the trainer counts more decisions than the server passed on"),
            (self.server["steps"] > self.driven, "the server counts more decisions than the workers drove"),
            (self.server["duplicates"] > 0, "chunks came twice although no connection was cut"),
            (self.server["dropped"] > 0, "a worker gave up chunks although it was to wait"),
            (self.server["refused_frames"] > 0, "the server refused frames"),
            (waiting < 0, "more chunks left the server than came"),
        ):
            found += [sentence] if is_wrong else []
        return found


TITLES = (
    "algorithm", "link", "frames trained", "updates", "minutes", "before", "best evaluation", "chunks came / passed on",
    "given up / double", "segments / held back", "decisions driven", "CPU in s",
)  # fmt: skip
HEADER = f"| {' | '.join(TITLES)} |\n|{'---|' * len(TITLES)}"


def _driving(found: LoggedEvaluation) -> str:
    finished = sum(time_ms is not None for time_ms in found.race_time_ms)
    return f"{finished} of {len(found.race_time_ms)}, {sum(found.progress_m) / len(found.progress_m):.0f} m"


def _rank(found: LoggedEvaluation) -> tuple[float, float, float]:
    """Finishes, then progress, then how early: an untrained network may finish by holding the accelerator."""
    times = [time_ms for time_ms in found.race_time_ms if time_ms is not None]
    return float(len(times)), sum(found.progress_m), -sum(times)


@contextlib.contextmanager
def running(roles: list[Role]) -> Iterator[None]:
    """Whatever happens, nothing stays behind."""
    try:
        yield
    finally:
        for role in roles:
            role.kill()


def run_over_network(
    algorithm: str, link: str, flags: Sequence[str], n_workers: int, folder: Path, patience_s: float
) -> Outcome:
    """Train over TLS; ``slow`` puts the delaying relay between server and everybody else."""
    keys = ServerKeys(folder / "keys")
    keys.create("127.0.0.1", 6666)
    environment = {"TRACKMASTER_HOME": str(folder / "home"), "OMP_NUM_THREADS": "1"}
    roles: list[Role] = []

    def start(name: str, *words: str, **more: str) -> Role:
        roles.append(Role(name, words, folder, {**environment, **more}))
        return roles[-1]

    with contextlib.ExitStack() as stack:
        stack.enter_context(running(roles))
        server = start("server", "server", "--keys", str(folder / "keys"), "--host", "127.0.0.1", "--port", "0")
        port = int(server.find(r"port (\d+) \(TLS 1.3\)"))
        joins = keys.joins(host="127.0.0.1", port=port)
        observer = stack.enter_context(Observer(joins["observer-1"]))
        observer.wait_connected(PATIENCE_S)
        if link == "slow":
            slow = stack.enter_context(SlowLink(port))
            joins = keys.joins(host="127.0.0.1", port=slow.port)
        started = time.monotonic()
        workers = [
            start(f"worker{n}", "train", "worker", TRAIN_WORKER_JOIN=joins["worker-1"]) for n in range(n_workers)
        ]
        words = ("train", *flags, "--performance.transport", "websocket")
        trainer = start("trainer", *words, TRAIN_NETWORK__JOIN=joins["trainer-1"])
        _end_well(trainer, patience_s)
        seconds = time.monotonic() - started
        for worker in workers:
            _end_well(worker, PATIENCE_S)
        driven = sum(int(worker.find(r"drove (\d+) decisions")) for worker in workers)
        while observer.numbers.get("workers", 1.0):
            time.sleep(0.1)
        numbers = dict(observer.numbers)
        if link == "slow":
            numbers |= {"segments": slow.segments, "held": slow.held}
        server.interrupt()
        _end_well(server, PATIENCE_S)
        cpu = {"trainer": trainer.cpu_s, "workers": sum(w.cpu_s for w in workers), "server": server.cpu_s}
    return _outcome(algorithm, link, folder, seconds, cpu, server=numbers, driven=driven)


def run_on_ray(algorithm: str, flags: Sequence[str], n_workers: int, folder: Path, patience_s: float) -> Outcome:
    """Train with Ray's workers; Ray's own processes are not the trainer's children, so their CPU time is not known."""
    workers = ("--performance.transport", "ray", "--performance.gpu-collectors-count", str(n_workers))
    trainer = Role("trainer", ("train", *flags, *workers), folder, {"OMP_NUM_THREADS": "1"})
    started = time.monotonic()
    with running([trainer]):
        _end_well(trainer, patience_s)
    return _outcome(algorithm, "ray", folder, time.monotonic() - started, {"trainer": trainer.cpu_s})


def _end_well(role: Role, patience_s: float) -> None:
    if status := role.wait(patience_s):
        raise SystemExit(f"{role.name} ended with status {status}:\n{role.output[-3000:]}")


def _outcome(
    algorithm: str, link: str, folder: Path, seconds: float, cpu_s: dict[str, float], *,
    server: dict[str, float] | None = None, driven: int = 0,
) -> Outcome:  # fmt: skip
    run_dir = folder / "save" / RUN
    stats = json.loads((run_dir / "accumulated_stats.json").read_text())
    evaluations = read_evaluations(run_dir / EVALUATIONS_FILE)
    return Outcome(
        algorithm, link, seconds, stats["cumul_number_frames_played"], stats["cumul_number_batches_done"],
        evaluations[0], max(evaluations, key=_rank), cpu_s, server or {}, driven,
    )  # fmt: skip


def run(algorithm: str, link: str, options: argparse.Namespace, folder: Path) -> Outcome:
    frames = options.max_frames or MOST_FRAMES[algorithm]
    n_workers = options.ray_workers if link == "ray" else options.workers
    shares = (
        "--environment.n-envs", str(max(1, CARS[algorithm] // n_workers)),
        "--performance.max-rollout-queue-size", str(max(1, AHEAD[algorithm] // n_workers)),
    )  # fmt: skip
    flags = (
        "--config",
        str(CONFIGS / PRESETS[algorithm]),
        *COMMON,
        *shares,
        "--training.max-frames",
        str(frames),
        *options.flags,
    )
    patience_s = options.patience_minutes * 60
    if link == "ray":
        return run_on_ray(algorithm, flags, n_workers, folder, patience_s)
    return run_over_network(algorithm, link, flags, n_workers, folder, patience_s)


def _nobody(line: str) -> None:
    """Lines for people go nowhere."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--algorithm", nargs="+", choices=list(PRESETS), default=list(PRESETS))
    parser.add_argument("--link", nargs="+", choices=["direct", "slow", "ray"], default=["direct", "slow", "ray"])
    parser.add_argument("--workers", type=int, default=4, help="over the network")
    parser.add_argument("--ray-workers", type=int, default=2)
    parser.add_argument("--max-frames", type=int, help="other than the algorithm's own")
    parser.add_argument("--patience-minutes", type=float, default=30.0, help="of one run")
    parser.add_argument("--keep", type=Path, help="folder for logs and runs; they are removed when left out")
    parser.add_argument("flags", nargs="*", help="more flags for 'trackmaster train', after --")
    options = parser.parse_args()
    failed = False
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it, and so would ours
    print(HEADER, flush=True)
    for algorithm in options.algorithm:
        for link in options.link:
            with tempfile.TemporaryDirectory() as scratch:
                folder = options.keep / f"{algorithm}_{link}" if options.keep else Path(scratch)
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir(parents=True)
                outcome = run(algorithm, link, options, folder.resolve())
            print(outcome.row(), flush=True)
            for problem in outcome.problems():
                failed = True
                print(f"{algorithm} {link}: {problem}", file=sys.stderr)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())

"""Kill server, trainer and workers at random moments, cut their link, fill a disk, and count what arrived in the end.

    python -m benchmarks.network_under_fire [--kills 20] [--cuts 20] [--full-disks 5] [--seed 0]

A durable server, one trainer and two workers with spools run as processes of their own over TLS. Between the server and
the others lies a link that delays every segment and holds 1 % back for longer (``slow_link.py``). Each role is killed
(SIGKILL) as often as asked for, at moments drawn from a seed, and started again; the link is cut; the trainer's disk
refuses to write for a while, and every other time the trainer is killed before there is room again. The trainer writes
down every chunk it has taken before it confirms it; each worker writes down every chunk that its end has accepted. At
the end the two lists must be the same: nothing doubled, nothing lost, nothing invented.
"""

import argparse
import errno
import multiprocessing
import os
import random
import signal
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from benchmarks.slow_link import SlowLink

from trackmaster.distributed.link.client import LinkOptions
from trackmaster.distributed.link.spool import Spool
from trackmaster.distributed.link.trainer_end import WebSocketTrainerEnd
from trackmaster.distributed.link.worker_end import WebSocketWorkerEnd
from trackmaster.distributed.relay.server import RelayOptions, RelayServer
from trackmaster.distributed.security.join_string import parse_join
from trackmaster.distributed.security.server_keys import ServerKeys
from trackmaster.distributed.wire import link_spec
from trackmaster.rl.samples.chunk import Chunk, ColumnSpec

PRELOADED = [f"trackmaster.distributed.{name}" for name in ("relay.server", "link.trainer_end", "link.worker_end")]
SPEC = {"floats": ColumnSpec((16,), "<f4"), "reward": ColumnSpec((), "<f4")}
DESCRIBED = link_spec.describe(SPEC)
QUICK = LinkOptions(shortest_wait_s=0.02, longest_wait_s=0.1, silence_s=30.0, flush_s=0.5)
WORKERS = 2
GROWTH = (1, 40)
"""Chunks that arrive between two kills."""
PATIENCE_S = 120.0
AHEAD = 100
"""Chunks that a worker may be ahead; it keeps the lists short."""
PAUSE_S = 0.002
DELAY_S = 0.05
KILLED_WHILE_FULL = 0.5


@dataclass(frozen=True)
class Report:
    """What came of a run under fire."""

    kills: dict[str, int]
    cuts: int
    full_disks: int
    refused: int
    """Attempts of the trainer to save that its disk refused."""
    accepted: int
    """Chunks that a worker's end had accepted."""
    arrived: int
    doubled: int
    lost: int
    invented: int
    """Arrived without being noted as accepted: the worker was killed between the two, at most one per kill."""


class Ground:
    """Files and the port that all roles share."""

    def __init__(self, folder: Path, port: int, link_port: int) -> None:
        self.folder, self.port, self._link_port = folder, port, link_port
        self.taken = folder / "taken.txt"
        self.full = folder / "full"
        """Exists while the trainer's disk is full."""
        self.refused = folder / "refused.txt"

    def accepted(self, number: int) -> Path:
        """Return where a worker notes what its end has accepted."""
        return self.folder / f"accepted{number}.txt"

    def join(self, role: str) -> str:
        """Return the join string of a role."""
        return ServerKeys(self.folder / "keys").joins(host="127.0.0.1", port=self._link_port)[f"{role}-1"]


def run_server(ground: Ground) -> None:
    _ignore_interrupts()
    options = RelayOptions(
        host="127.0.0.1", port=ground.port, keys=ground.folder / "keys", durable=ground.folder / "journal"
    )
    RelayServer(options, say=_nobody).run()


def run_trainer(ground: Ground) -> None:
    _ignore_interrupts()
    marks: dict[str, int] = {}
    for session, seq in read_list(ground.taken):
        marks[session] = max(seq, marks.get(session, -1))
    end = WebSocketTrainerEnd(
        parse_join(ground.join("trainer")), SPEC, spec=DESCRIBED, acknowledge="saved", marks=marks, options=QUICK,
        say=_nobody,
    )  # fmt: skip
    unsaved: list[Chunk] = []
    with ground.taken.open("a") as file, ground.refused.open("a") as refused:
        while True:
            unsaved += end.recv_chunks(0.1)
            try:
                save(ground, file, unsaved)
            except OSError as error:  # not saved, so not confirmed, and tried again
                refused.write(f"{error}\n")
                refused.flush()
                continue
            unsaved.clear()
            end.confirm()


def save(ground: Ground, file: TextIO, chunks: list[Chunk]) -> None:
    if chunks and ground.full.exists():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    file.write("".join(f"{c.session} {c.seq}\n" for c in chunks))
    file.flush()
    os.fsync(file.fileno())


def run_worker(ground: Ground, number: int, stop: Any) -> None:
    _ignore_interrupts()
    end = WebSocketWorkerEnd(
        parse_join(ground.join("worker")), spec=DESCRIBED, worker_id=number, options=QUICK, say=_nobody,
        spool=Spool(ground.folder / f"spool{number}"),
    )  # fmt: skip
    rng = np.random.default_rng(number)
    seq = 0
    with ground.accepted(number).open("a") as file:
        while not stop.is_set():
            columns = {"floats": rng.random((20, 16), np.float32), "reward": rng.random(20, np.float32)}
            end.send_chunk(Chunk("", seq, number, seq // 5, 19 * (seq % 5), 0, 0, columns, end_of_episode=seq % 5 == 4))
            file.write(f"{end.session.hex()} {seq}\n")
            file.flush()
            seq += 1
            while end.waiting_chunks > AHEAD:
                time.sleep(PAUSE_S)
    while end.waiting_chunks:
        time.sleep(PAUSE_S)
    end.close()


def read_list(path: Path) -> list[tuple[str, int]]:
    """Return what was written down; a line that a kill cut off counts as not written."""
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    return [(session, int(seq)) for session, _, seq in (line.partition(" ") for line in lines) if len(session) == 32]


def run_under_fire(
    folder: Path, kills_per_role: int, seed: int, *, cuts: int = 0, full_disks: int = 0, delay_s: float = 0.0
) -> Report:
    """Run the roles, do to them what is asked for, and count."""
    ServerKeys(folder / "keys").create("127.0.0.1", 6666)
    port = _free_port()
    with SlowLink(port, delay_s=delay_s, held_share=0.01 if delay_s else 0.0, seed=seed) as link:
        ground = Ground(folder, port, link.port)
        order = [role for role in ("server", "trainer", "worker") for _ in range(kills_per_role)]
        order += ["link"] * cuts + ["disk"] * full_disks
        rng = random.Random(seed)
        rng.shuffle(order)
        _play(ground, link, order, rng)
        return _report(ground, Counter(order))


def _play(ground: Ground, link: SlowLink, order: list[str], rng: random.Random) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)  # or every life would import torch anew
    stop = context.Event()
    starts = {
        "server": lambda: _start(context, run_server, ground),
        "trainer": lambda: _start(context, run_trainer, ground),
        **{f"worker {n}": lambda n=n: _start(context, run_worker, ground, n, stop) for n in range(WORKERS)},
    }
    running = {name: start() for name, start in starts.items()}

    def kill(name: str) -> None:
        os.kill(running[name].pid or 0, signal.SIGKILL)
        running[name].join()
        running[name] = starts[name]()

    try:
        for role in order:
            _wait_for_growth(ground.taken, rng.randint(*GROWTH))
            if role == "link":
                link.cut()
            elif role == "disk":
                ground.full.touch()
                _wait_for_growth(ground.refused, 1)
                if rng.random() < KILLED_WHILE_FULL:
                    kill("trainer")
                ground.full.unlink()
            else:
                kill(f"worker {rng.randrange(WORKERS)}" if role == "worker" else role)
        stop.set()
        _wait_for(lambda: all(running[f"worker {n}"].exitcode is not None for n in range(WORKERS)), "the workers' end")
    finally:
        for process in running.values():
            process.kill()
            process.join()


def _report(ground: Ground, events: Counter[str]) -> Report:
    arrived = read_list(ground.taken)
    accepted = [item for number in range(WORKERS) for item in read_list(ground.accepted(number))]
    return Report(
        {role: events[role] for role in ("server", "trainer", "worker")}, events["link"], events["disk"],
        _count(ground.refused), len(accepted), len(arrived), len(arrived) - len(set(arrived)),
        len(set(accepted) - set(arrived)), len(set(arrived) - set(accepted)),
    )  # fmt: skip


def _start(context: ForkServerContext, role: Any, *args: Any) -> BaseProcess:
    process = context.Process(target=role, args=args, daemon=True)
    process.start()
    return process


def _count(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def _wait_for_growth(path: Path, lines: int) -> None:
    goal = _count(path) + lines
    _wait_for(lambda: _count(path) >= goal, f"{path.name} stands at {_count(path)} lines")


def _wait_for(holds: Any, what: str) -> None:
    deadline, tick = time.monotonic() + PATIENCE_S, threading.Event()
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing moved any more: {what}")
        tick.wait(0.005)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _ignore_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _nobody(line: str) -> None:
    """Lines for people go nowhere."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20, help="per role")
    parser.add_argument("--cuts", type=int, default=20, help="of the link")
    parser.add_argument("--full-disks", type=int, default=5, help="of the trainer")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        report = run_under_fire(
            Path(folder), options.kills, options.seed, cuts=options.cuts, full_disks=options.full_disks, delay_s=DELAY_S
        )
    print(f"{report} in {time.monotonic() - started:.0f} s")
    return int(bool(report.doubled or report.lost or report.invented > report.kills["worker"]))


if __name__ == "__main__":
    sys.exit(main())

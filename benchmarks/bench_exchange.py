"""How fast downloads are with all limits off, what they cost, and that neither depends on how much there is to do.

    python benchmarks/bench_exchange.py [--latency-ms 50] [--items 1000 10000] [--workers 1 2 4 8 16 32 64 128 256]

Everything is fetched over HTTP from a stand-in in a process of its own on this machine, which takes its share of the
cores; the replays are filled up to 39 kB, the median of real ones. Per number of workers: replays and tracks per second
between the first and the last request that the stand-in saw, the ratio to one worker, processor seconds of the download
per 1 000 replays (its checking processes included), and the memory of its largest process. Then the same for growing
numbers of items, whose memory must stay flat, and headers filtered per second.

The real exchange must never be asked like this: the defaults are two files a second.
"""

import argparse
import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from trackmaster.replays.facts import replay_facts, spread

REPLAYS_PER_TRACK = 10
MEDIAN_BYTES = 39_000
FLAT_WITHIN = 1.25
"""Largest ratio of peak memory between the most and the fewest items that counts as flat."""
MIN_HEADERS_PER_S = 2_000
LINEAR_WITHIN = 0.6
"""Smallest share of perfect scaling up to four workers."""


@dataclass
class Run:
    """One download, measured."""

    replays: int
    seconds: float
    cpu_s: float
    peak_mb: float

    @property
    def replays_per_s(self) -> float:
        """Replays per second, from the first to the last request."""
        return self.replays / self.seconds


@contextlib.contextmanager
def standin(folder: Path, tracks: int, latency_ms: float) -> Iterator[str]:
    """Run a stand-in; yield its address."""
    command = [
        sys.executable, "-m", "trackmaster", "exchange", "standin", "--port", "0", "--crowd", str(tracks),
        "--crowd-replays", str(REPLAYS_PER_TRACK), "--crowd-bytes", str(MEDIAN_BYTES), "--latency-ms", str(latency_ms),
        "--log", str(folder / "log.jsonl"),
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        found = re.search(r"http://[\d.]+:\d+", process.stdout.readline())
        assert found, "the stand-in did not start"
        try:
            yield found.group()
        finally:
            process.terminate()


def download(folder: Path, tracks: int, workers: int, latency_ms: float) -> Run:
    """Download everything that a stand-in with so many tracks shows."""
    with standin(folder, tracks, latency_ms) as url:
        (folder / "ids.txt").write_text("".join(f"{1000 + n}\n" for n in range(tracks)), encoding="utf-8")
        command = [
            sys.executable, "-m", "trackmaster", "replays", "download", "--track-ids", "ids.txt", "--replays-dir",
            "replays", "--rate", "0", "--workers", str(workers), "--jobs", "2", "--url", url, "--contact", "benchmark",
        ]  # fmt: skip
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, "the download failed"
    times = [json.loads(line)["at_s"] for line in (folder / "log.jsonl").open(encoding="utf-8")]
    done = sum(1 for _ in (folder / "replays").glob("*/*.gbx"))
    assert done == tracks * REPLAYS_PER_TRACK, f"{done} replays on disk"
    seconds = max(times) - min(times) + latency_ms / 1000
    return Run(done, seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def in_new_folder(tracks: int, workers: int, latency_ms: float) -> Run:
    """Download into a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        return download(Path(folder), tracks, workers, latency_ms)


def scaling(workers: list[int], latency_ms: float) -> bool:
    """Print speed over workers; return whether the first ones scale."""
    print(f"{latency_ms:g} ms latency, {REPLAYS_PER_TRACK} replays a track")
    print("workers  replays/s  tracks/s  ratio  CPU s/1000  peak MB")
    speed: dict[int, float] = {}
    for count in workers:
        run = in_new_folder(min(max(12, 6 * count), 300), count, latency_ms)
        speed[count] = run.replays_per_s
        print(
            f"{count:7d}  {run.replays_per_s:9.1f}  {run.replays_per_s / REPLAYS_PER_TRACK:8.1f}  "
            f"{run.replays_per_s / speed[workers[0]]:5.1f}  {1000 * run.cpu_s / run.replays:10.2f}  {run.peak_mb:7.0f}",
            flush=True,
        )
    first = workers[0]
    return all(speed[n] / speed[first] >= LINEAR_WITHIN * n / first for n in workers if first <= n <= 4 * first)


def memory(items: list[int], latency_ms: float) -> bool:
    """Print memory over the number of items; return whether it is flat."""
    print("items    replays/s  CPU s/1000  peak MB")
    peaks = []
    for count in items:
        run = in_new_folder(max(1, count // REPLAYS_PER_TRACK), 64, latency_ms)
        peaks.append(run.peak_mb)
        print(
            f"{run.replays:7d}  {run.replays_per_s:9.1f}  {1000 * run.cpu_s / run.replays:10.2f}  {run.peak_mb:7.0f}",
            flush=True,
        )
    return max(peaks) <= FLAT_WITHIN * peaks[0]


def headers(count: int) -> tuple[float, float]:
    """Return replays that the respawn filter reads per second of wall time, and per second of two whole cores."""
    with tempfile.TemporaryDirectory() as folder:
        download(Path(folder), 100, 64, 0.0)
        files = sorted(Path(folder).glob("replays/*/*.gbx"))
        paths = (files * -(-count // len(files)))[:count]
        started, before = time.perf_counter(), _cpu_s()
        found = list(spread(replay_facts, paths, 2))
        seconds, cpu_s = time.perf_counter() - started, _cpu_s() - before
        assert all(facts.respawns == 0 for facts in found), "fast and wrong is no result"
    return count / seconds, 2 * count / cpu_s


def _cpu_s() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def main() -> int:
    """Run everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--latency-ms", type=float, default=50.0)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32, 64, 128, 256])
    parser.add_argument("--items", type=int, nargs="+", default=[1_000, 10_000])
    parser.add_argument("--headers", type=int, default=20_000)
    arguments = parser.parse_args()
    is_linear = scaling(arguments.workers, arguments.latency_ms) if arguments.workers != [0] else True
    is_flat = memory(arguments.items, arguments.latency_ms)
    wall_per_s, per_s = headers(arguments.headers)
    print(
        f"respawn filter: {wall_per_s:.0f} replays/s from headers in 2 processes, {per_s:.0f} with two cores to itself "
        f"(wanted: {MIN_HEADERS_PER_S})"
    )
    print(f"linear in workers at first: {is_linear}; memory flat: {is_flat}")
    return 0 if is_linear and is_flat and per_s >= MIN_HEADERS_PER_S else 1


if __name__ == "__main__":
    sys.exit(main())

"""A download that is killed again and again while the exchange misbehaves: is everything there in the end?

    python benchmarks/exchange_under_fire.py [--tracks 2000] [--replays 10] [--kills 50] [--fault-rate 0.1]

A stand-in shows made-up tracks, with 50 ms latency and faults of every kind, deleted items and lists that change among
them. A download of all of them is killed (SIGKILL) at random moments, started again, and runs to its end. Then every
file is read again: each replay that could be had must be on disk, with the uid and the time that were listed, once, and
the catalogue must have a reason for each that could not.
"""

import argparse
import collections
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from trackmaster import gbx
from trackmaster.files import sha256_of
from trackmaster.replays.catalogue import Catalogue, catalogue_path
from trackmaster.replays.index_file import INDEX_NAME
from trackmaster.replays.standin.crowd import crowd_exhibit
from trackmaster.replays.standin.faults import FaultPlan
from trackmaster.replays.standin.server import StandIn

SEED = 11
LOG = "standin.jsonl"


@dataclass
class Verdict:
    """What was found on disk and in the catalogue."""

    available: int
    on_disk: int
    missing: int
    wrong: int
    foreign: int
    duplicates: int
    unexplained: int
    deleted: int
    maps: int
    maps_expected: int
    kills: int
    repeats: int
    in_flight: int
    seconds: float

    @property
    def is_good(self) -> bool:
        """Whether nothing is lost, wrong, double, or without a reason."""
        losses = self.missing + self.wrong + self.foreign + self.duplicates + self.unexplained
        is_frugal = self.repeats <= self.in_flight * (self.kills + 1)
        return losses == 0 and self.on_disk == self.available and self.maps == self.maps_expected and is_frugal


def run_under_fire(
    folder: Path, *, tracks: int, replays: int, kills: int, fault_rate: float, workers: int,
    latency_ms: float = 50.0,
) -> Verdict:  # fmt: skip
    """Download into ``folder`` with kills and faults, then look at everything."""
    log = folder / LOG
    command = [
        sys.executable, "-m", "trackmaster", "exchange", "standin", "--port", "0", "--crowd", str(tracks),
        "--crowd-replays", str(replays), "--latency-ms", str(latency_ms), "--fault-rate", str(fault_rate),
        "--retry-after", "0", "--stall-s", "3", "--seed", str(SEED), "--log", str(log),
    ]  # fmt: skip
    started = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as standin:
        try:
            assert standin.stdout is not None
            found = re.search(r"http://[\d.]+:\d+", standin.stdout.readline())
            assert found, "the stand-in did not start"
            _download(folder, found.group(), kills=kills, workers=workers, requests=tracks * (replays + 1))
        finally:
            standin.terminate()
            standin.wait(30)
    return _judge(folder, log, tracks, replays, fault_rate, kills, workers, time.monotonic() - started)


def _download(folder: Path, url: str, *, kills: int, workers: int, requests: int) -> None:
    env = os.environ | {"TRACKMASTER_EXCHANGE_URL": url, "TRACKMASTER_CONTACT": "benchmark"}
    base = [sys.executable, "-m", "trackmaster", "replays"]
    polite = ["--rate", "0", "--backoff-s", "0.02", "--break-s", "0.1", "--timeout-s", "2", "--attempts", "12"]
    listing = [*base, "list", "--output", "track_ids.txt", "--per-page", "100", "--replays-dir", "replays", *polite]
    download = [
        *base, "download", "--track-ids", "track_ids.txt", "--replays-dir", "replays", "--tracks-dir", "tracks",
        "--extract-tracks-from-replays", "--workers", str(workers), "--api-workers", str(max(1, workers // 4)), *polite,
    ]  # fmt: skip
    rng = random.Random(SEED)
    subprocess.run(listing, cwd=folder, env=env, check=True, stdout=subprocess.DEVNULL)
    most = max(2, 3 * requests // (2 * max(kills, 1)))  # so that the last kills come near the end
    for number in range(kills):
        run = subprocess.Popen(download, cwd=folder, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _kill_after(run, folder / LOG, rng.randrange(1, most))
        print(f"killed {number + 1} times, {_count(folder)} files so far", flush=True)
    for _ in range(5):  # what failed is tried again by the next run
        if subprocess.run(download, cwd=folder, env=env, check=False).returncode == 0:
            break


def _kill_after(run: "subprocess.Popen[bytes]", log: Path, requests: int) -> None:
    """Kill a download as soon as the stand-in has seen so many more requests; it may end by itself before."""
    with log.open("rb") as lines:
        lines.seek(0, os.SEEK_END)
        seen = 0
        while seen < requests and run.poll() is None:
            seen += lines.read().count(b"\n")
            time.sleep(0.005)
    run.kill()
    run.wait()


def _count(folder: Path) -> int:
    return sum(1 for _ in (folder / "replays").glob("[0-9]*/*.gbx"))


def _judge(
    folder: Path, log: Path, tracks: int, replays: int, fault_rate: float, kills: int, workers: int, seconds: float
) -> Verdict:
    standin = StandIn(crowd_exhibit(tracks, replays), FaultPlan(fault_rate, seed=SEED))
    expected = {
        replay_id: row for replay_id, row in standin.exhibit.replays.items() if row.position is not None
    }  # fmt: skip
    available = expected.keys() & standin.available_replays
    wrong = unexplained = on_disk = 0
    known: set[str] = set()
    with Catalogue(catalogue_path(folder / "replays"), writable=False) as catalogue:
        rows = {row["replay_id"]: row for row in catalogue.read("SELECT * FROM replays")}
        for replay_id, row in rows.items():
            if row["state"] != "done":
                unexplained += not row["reason"] or replay_id in available
                continue
            path = folder / "replays" / row["path"]
            known.add(row["path"])
            shown = expected.get(replay_id)
            header = gbx.read_header(path) if path.is_file() else None
            is_right = (
                shown is not None and isinstance(header, gbx.ReplayHeader) and header.race_time_ms == shown.time_ms
                and header.map_uid == standin.exhibit.tracks[shown.track_id].uid
                and sha256_of(path) == row["sha256"] and path.read_bytes() == shown.content()
            )  # fmt: skip
            on_disk += is_right
            wrong += not is_right
    files = [
        path.relative_to(folder / "replays").as_posix()
        for path in (folder / "replays").glob("[0-9]*/*")
        if path.name != INDEX_NAME
    ]
    sums = collections.Counter(row["sha256"] for row in rows.values() if row["state"] == "done")
    done_tracks = {row["track_id"] for row in rows.values() if row["state"] == "done"}
    maps = list((folder / "tracks").glob("*.Gbx"))
    right_maps = sum(
        path.read_bytes() == standin.exhibit.tracks[int(path.name.partition(".")[0])].content() for path in maps
    )
    return Verdict(
        available=len(available), on_disk=on_disk, missing=len(available - rows.keys()), wrong=wrong,
        foreign=len(set(files) - known), duplicates=sum(count - 1 for count in sums.values()), unexplained=unexplained,
        deleted=len(expected) - len(available), maps=right_maps, maps_expected=len(done_tracks), kills=kills,
        repeats=_repeats(log), in_flight=workers, seconds=seconds,
    )  # fmt: skip


def _repeats(log: Path) -> int:
    """Return how many good files were sent to us more than once."""
    good: collections.Counter[str] = collections.Counter()
    with log.open(encoding="utf-8") as lines:
        for line in lines:
            entry = json.loads(line)
            if entry["path"].startswith("/recordgbx/") and entry["status"] == 200 and entry["fault"] is None:
                good[entry["path"]] += 1
    return sum(count - 1 for count in good.values())


def main() -> int:
    """Run it and print what was found; 1 if anything is amiss."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tracks", type=int, default=2_000)
    parser.add_argument("--replays", type=int, default=10)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--fault-rate", type=float, default=0.1)
    parser.add_argument("--workers", type=int, default=64)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        verdict = run_under_fire(
            Path(folder), tracks=arguments.tracks, replays=arguments.replays, kills=arguments.kills,
            fault_rate=arguments.fault_rate, workers=arguments.workers,
        )  # fmt: skip
    print(verdict)
    print("Nothing is lost, wrong, double or unexplained." if verdict.is_good else "SOMETHING IS AMISS.")
    return 0 if verdict.is_good else 1


if __name__ == "__main__":
    sys.exit(main())

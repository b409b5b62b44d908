"""How fast .Gbx files are read: complete replays against pygbx in the same run, and headers alone.

    python benchmarks/bench_gbx.py [FOLDER] [--rounds 5] [--check]

FOLDER holds replays and maps (searched recursively); TRACKMASTER_CORPUS or the bundled ones by default. Each replay
is parsed completely: its map, its events, every field of every sample. Replays of one track hold the same map, and
``gbx`` keeps the last few, so there are three columns: ``complete`` forgets all maps before each file, ``one pass``
forgets them once and then goes through all files in order of their paths as a user would, and ``map known`` is the
time of a replay whose map has just been read, as it is in most of a leaderboard.

pygbx leaves most of a sample packed (all but the position is raw integers and bytes), so two of its times are
printed: as it comes, and with the samples decoded to the same fields by plain Python, which is what the bar compares
with: 10x by median of ``complete``, which is not met (docs/gbx.md has the numbers). pygbx is optional (GPL, a
yardstick only; it needs liblzo): without it only our own times are printed.
"""

import argparse
import contextlib
import dataclasses
import functools
import io
import logging
import math
import os
import statistics
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import trackmaster
from trackmaster import gbx
from trackmaster.gbx.reading import RECENT_MAPS

BUNDLED = Path(trackmaster.__file__).parent / "bundled"
MIN_RATIO = 10.0
MIN_HEADERS_PER_S = 2_000.0


@dataclasses.dataclass
class Candidate:
    """One way to read a file, with what must happen before a pass over all files and before each single file."""

    run: Callable[[Path], object]
    before_pass: Callable[[], object] = lambda: None
    before_file: Callable[[Path], object] = lambda _path: None


def best_of_interleaved(candidates: list[Candidate], files: list[Path], rounds: int) -> list[list[float]]:
    """Shortest processor time in s of each candidate (row) on each file (column).

    Each round goes through all files with one candidate, then with the next: a busy machine slows all alike.
    """
    best = [[float("inf")] * len(files) for _ in candidates]
    for _ in range(rounds):
        for row, candidate in zip(best, candidates, strict=True):
            candidate.before_pass()
            for i, path in enumerate(files):
                candidate.before_file(path)
                start = time.process_time()
                candidate.run(path)
                row[i] = min(row[i], time.process_time() - start)
    return best


def pygbx_reader() -> Callable[[Path], list[object]] | None:
    """Return a function that reads a replay with pygbx and returns its samples, or None where it is not installed."""
    try:
        from pygbx import Gbx, GbxType
    except ImportError:
        return None
    logging.disable(logging.WARNING)

    def read(path: Path) -> list[object]:
        file = Gbx(str(path))
        file.get_classes_by_ids([GbxType.REPLAY_RECORD, GbxType.REPLAY_RECORD_OLD])
        ghost = file.get_class_by_id(GbxType.CTN_GHOST)
        file.f.close()
        if ghost is None:
            raise ValueError("pygbx finds no ghost")
        return list(ghost.records)

    return read


_TAIL = struct.Struct("<hbb7H21B")  # what pygbx leaves packed, from the angular velocity on


def _vector(magnitude: int, heading: int, pitch: int) -> tuple[float, float, float]:
    length = 0.0 if magnitude == -32768 else math.exp(magnitude / 1000)
    h, p = heading * math.pi / 127, pitch * math.pi / 254
    flat = length * math.cos(p)
    return flat * math.cos(h), flat * math.sin(h), length * math.sin(p)


def decode_record(record: Any) -> tuple[object, ...]:
    """Decode one sample of pygbx to the fields of ``GhostSamples``."""
    tail = _TAIL.unpack(record.raw_data)
    octets = tail[10:]
    half = record.angle * math.pi / 65535
    heading, pitch = record.axis_heading * math.pi / 32767, record.axis_pitch * math.pi / 65534
    sine = math.sin(half)
    flat = sine * math.cos(pitch)
    w, x, y, z = math.cos(half), flat * math.cos(heading), flat * math.sin(heading), sine * math.sin(pitch)
    bits = octets[18] | octets[19] << 8
    return (
        (record.position.x, record.position.y, record.position.z),
        (w, x, y, z),
        (
            (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
            (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
            (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
        ),
        _vector(record.speed, record.vel_heading, record.vel_pitch),
        _vector(*tail[:3]),
        tail[3] / 65535 * 11_000 - 1_000,
        tail[4] / 65535 * 2_000 - 1_000,
        tail[5] / 65535 * 30_000,
        [turn / 65535 * 1608.495 for turn in tail[6:10]],
        octets[0] / 255 * 2 - 1,
        octets[1] / 255,
        octets[2] / 255,
        octets[7] / 255,
        octets[8] / 255 * 2 * math.pi - math.pi,
        [damper / 255 * 4 - 2 for damper in octets[9:17:2]],
        octets[10:17:2],
        [bool(bits >> shift & 1) for shift in (7, 9, 11, 13)],
        [bool(bits >> shift & 1) for shift in (6, 8, 10, 12)],
        octets[20] / 255,
    )


def read_decoded(read: Callable[[Path], list[object]], path: Path) -> list[object]:
    """Read a replay with ``read`` and decode its samples."""
    return [decode_record(record) for record in read(path)]


def find(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return all .Gbx files below ``folder`` whose header can be read, and those of them that are complete replays."""
    files, replays = [], []
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or not path.name.lower().endswith(".gbx"):
            continue
        with contextlib.suppress(gbx.GbxError):
            header = gbx.read_header(path)
            files.append(path)
            if isinstance(header, gbx.ReplayHeader):
                gbx.read(path)
                replays.append(path)
    return files, replays


def works(read: Callable[[Path], object], path: Path) -> bool:
    """Tell whether the yardstick can read this file at all (it raises anything, or prints and gives up)."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(Exception):
        read(path)
        return True
    return False


def bench_replays(replays: list[Path], rounds: int) -> float | None:
    """Print ms per replay; return pygbx with decoded samples to complete as a median ratio, or None without it."""
    other = pygbx_reader()
    files = replays if other is None else [path for path in replays if works(other, path)]
    candidates = [
        Candidate(gbx.read, before_file=lambda _path: RECENT_MAPS.clear()),
        Candidate(gbx.read, before_pass=RECENT_MAPS.clear),
        Candidate(gbx.read, before_file=gbx.read),
    ]
    if other is not None:
        print(f"pygbx reads {len(files)} of {len(replays)} replays")
        candidates += [Candidate(other), Candidate(functools.partial(read_decoded, other))]
    with contextlib.redirect_stdout(io.StringIO()):
        times = best_of_interleaved(candidates, files, rounds)
    for path, *row in zip(files, *times, strict=True):
        print("  ".join(f"{seconds * 1e3:9.2f} ms" for seconds in row) + f"   {path.name[:50]}")
    names = ("complete", "one pass", "map known", "pygbx as it comes", "pygbx with decoded samples")[: len(times)]
    print(f"columns: {', '.join(names)}")
    for name, row in zip(names, times, strict=True):
        print(f"{name}: {len(row)} replays, median {1e3 * statistics.median(row):.2f} ms, sum {1e3 * sum(row):.1f} ms")
    if other is None:
        print("ratio: pygbx is not installed, nothing to compare with")
        return None
    for name, row in zip(names[:3], times, strict=False):
        print(
            f"ratio to {name}, median of all files (sum of all files): "
            f"pygbx with decoded samples {median_ratio(times[4], row):.1f}x ({sum(times[4]) / sum(row):.1f}x), "
            f"pygbx as it comes {median_ratio(times[3], row):.1f}x ({sum(times[3]) / sum(row):.1f}x)"
        )
    return median_ratio(times[4], times[0])


def median_ratio(theirs: list[float], ours: list[float]) -> float:
    """Median over files of how many times longer they take."""
    return statistics.median(a / b for a, b in zip(theirs, ours, strict=True))


def bench_headers(files: list[Path], rounds: int) -> float:
    """Print and return how many headers per second are read (files in the disk cache)."""
    (seconds,) = best_of_interleaved([Candidate(gbx.read_header)], files, rounds)
    rate = len(files) / sum(seconds)
    print(f"headers only: {rate:,.0f} files/s over {len(files)} files")
    return rate


def main() -> int:
    """Run both; with ``--check`` the exit code tells whether the bars are met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=Path(os.environ.get("TRACKMASTER_CORPUS", BUNDLED)))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--check", action="store_true", help=f"fail below {MIN_RATIO}x or {MIN_HEADERS_PER_S} files/s")
    arguments = parser.parse_args()
    files, replays = find(arguments.folder)
    if not replays:
        print(f"{arguments.folder} holds no replay that can be read")
        return 1
    ratio = bench_replays(replays, arguments.rounds)
    rate = bench_headers(files, arguments.rounds)
    is_met = rate >= MIN_HEADERS_PER_S and (ratio is None or ratio >= MIN_RATIO)
    return 0 if is_met or not arguments.check else 1


if __name__ == "__main__":
    raise SystemExit(main())

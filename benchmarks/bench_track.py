"""Time to build the track of a map and to find its centre line.

    python benchmarks/bench_track.py [FOLDER_OR_MAPS...] [--rounds 3]

Every Stadium map with known blocks is measured; CPU time of this process, best of the rounds.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

import trackmaster
from trackmaster.gbx import Challenge, GbxError, find_gbx_files, read
from trackmaster.track import Track, TrackError

T = TypeVar("T")

BUNDLED = Path(trackmaster.__file__).parent / "bundled" / "tracks"


def cpu_s(run: Callable[[], T], rounds: int) -> tuple[float, T]:
    """Return the least CPU time of one call, and what the last call returned."""
    times = []
    for _ in range(rounds):
        start = time.process_time()
        result = run()
        times.append(time.process_time() - start)
    return min(times), result


def has_line(track: Track) -> bool:
    """Look for the track's centre line."""
    try:
        track.centre_line()
    except TrackError:
        return False
    return True


def main() -> None:
    """Print a line per map and the worst and median times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="*", type=Path, default=[BUNDLED], help="maps, replays or folders of them")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    rows: list[tuple[float, float, int, bool]] = []
    for path in find_gbx_files(arguments.paths):
        try:
            challenge = read(path)
            if not isinstance(challenge, Challenge):
                continue
            building, track = cpu_s(partial(Track.from_challenge, challenge), arguments.rounds)
        except (GbxError, TrackError):
            continue
        routing, found = cpu_s(partial(has_line, track), arguments.rounds)
        rows.append((building, routing, track.mesh.n_triangles, found))
        print(
            f"{challenge.name[:40]:40s} build {1000 * building:7.1f} ms, "
            f"line {1000 * routing:7.1f} ms, {track.mesh.n_triangles:6d} triangles{'' if found else ', NO LINE'}"
        )
    if not rows:
        raise SystemExit("No Stadium map with known blocks there: give maps or a folder of them.")
    table = np.array(rows)
    for name, column in zip(("build", "line"), table.T, strict=False):
        print(f"{name:6s} median {1000 * np.median(column):7.1f} ms, worst {1000 * column.max():7.1f} ms")
    print(f"{len(rows)} maps, {int(table[:, 3].sum())} with a line, at most {int(table[:, 2].max())} triangles")


if __name__ == "__main__":
    main()

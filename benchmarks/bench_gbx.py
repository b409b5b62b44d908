"""How fast .Gbx files are read: complete replays against pygbx in the same run, and headers alone.

    python benchmarks/bench_gbx.py FOLDER [--rounds 5] [--check]

FOLDER holds replays and maps (searched recursively). Each replay is parsed completely, with its map and with every
sample decoded into arrays; pygbx reads the same file, ghost and samples, in turns. pygbx is optional (GPL, a yardstick
only; it needs liblzo): without it only our own times are printed.
"""

import argparse
import contextlib
import io
import logging
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from trackmaster import gbx

MIN_RATIO = 10.0
MIN_HEADERS_PER_S = 2_000.0


def best_of_interleaved(*candidates: Callable[[], object], rounds: int) -> list[float]:
    """Shortest time of each candidate in seconds; turns alternate, so a busy machine slows all alike."""
    best = [float("inf")] * len(candidates)
    for _ in range(rounds):
        for i, run in enumerate(candidates):
            start = time.perf_counter()
            run()
            best[i] = min(best[i], time.perf_counter() - start)
    return best


def pygbx_reader() -> Callable[[Path], object] | None:
    """Return a function that reads a replay's ghost with pygbx, or None where it is not installed."""
    try:
        from pygbx import Gbx, GbxType
    except ImportError:
        return None
    logging.disable(logging.WARNING)

    def read(path: Path) -> object:
        file = Gbx(str(path))
        file.get_classes_by_ids([GbxType.REPLAY_RECORD, GbxType.REPLAY_RECORD_OLD])
        ghost = file.get_class_by_id(GbxType.CTN_GHOST)
        if ghost is None:
            raise ValueError("pygbx finds no ghost")
        return [(r.position, r.velocity, r.rotation) if hasattr(r, "rotation") else r for r in ghost.records]

    return read


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
    """Print ms per replay; return the median ratio to pygbx, or None without it."""
    other = pygbx_reader()
    ours_ms, ratios = [], []
    for path in replays:
        candidates: list[Callable[[], object]] = [lambda path=path: gbx.read(path)]
        if other is not None and works(other, path):
            candidates.append(lambda path=path: other(path))
        with contextlib.redirect_stdout(io.StringIO()):
            seconds = best_of_interleaved(*candidates, rounds=rounds if path.stat().st_size < 1 << 20 else 1)
        ours_ms.append(seconds[0] * 1e3)
        line = f"{seconds[0] * 1e3:9.2f} ms"
        if len(seconds) > 1:
            ratios.append(seconds[1] / seconds[0])
            line += f"   pygbx {seconds[1] * 1e3:9.2f} ms   {ratios[-1]:6.1f}x"
        print(f"{line}   {path.name[:60]}")
    print(f"replays: {len(replays)}, median {statistics.median(ours_ms):.2f} ms, sum {sum(ours_ms):.1f} ms")
    if not ratios:
        print("ratio: pygbx is not installed, nothing to compare with")
        return None
    print(f"ratio to pygbx: median {statistics.median(ratios):.1f}x over {len(ratios)}, least {min(ratios):.1f}x")
    return statistics.median(ratios)


def bench_headers(files: list[Path], rounds: int) -> float:
    """Print and return how many headers per second are read (files in the disk cache)."""
    (seconds,) = best_of_interleaved(lambda: [gbx.read_header(path) for path in files], rounds=rounds)
    rate = len(files) / seconds
    print(f"headers only: {rate:,.0f} files/s over {len(files)} files")
    return rate


def main() -> int:
    """Run both; with ``--check`` the exit code tells whether the bars are met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
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

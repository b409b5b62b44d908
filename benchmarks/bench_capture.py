"""Verified frames per second of capture, in process and through the socket of stand-ins.

    python benchmarks/bench_capture.py [--workers 2] [--replays 4] [--sizes 64 256]

Drives bundled replays (mode drive, 100 frames per second of race, JPEG) with the same number of workers in both ways,
in the same run. Wall time, because several processes share the work; the stand-ins take processor time of their own, as
a game would. The yardstick is 316 frames per second, which the best public farm of real games reports. Processor time
per frame, of all processes together and their starting included, says more on a machine that others use, too.
"""

import argparse
import os
import tempfile
from pathlib import Path

from standin_games import places_in, standins
from trackmaster.capture import CaptureConfig, CaptureSummary, capture
from trackmaster.capture.discover import find_replays
from trackmaster.capture.staging import stage_maps
from trackmaster.track.bundled import bundled_folder

REAL_GAME_FPS = 316


def gather(folder: Path, count: int) -> Path:
    """Copy ``count`` bundled replays, spread over their tracks, into one tree and return it."""
    tracks = sorted(path for path in (bundled_folder() / "replays").iterdir() if path.is_dir())
    for number in range(count):
        track = tracks[number % len(tracks)]
        files = sorted(track.glob("*.[Rr]eplay.[Gg]bx"))
        source = files[(number // len(tracks)) % len(files)]
        target = folder / "replays" / track.name / f"pos{number}_{source.name}"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
    return folder / "replays"


def cpu_s() -> float:
    """Return the processor time of this process and of all of its children that have ended."""
    return sum(os.times()[:4])


def report(name: str, summary: CaptureSummary, used_s: float) -> float:
    """Print one line and return frames per second."""
    if not summary.captured:
        raise SystemExit(f"{name}: not one replay was verified ({summary.rejected[0].reason}), so there is no speed.")
    speed = summary.frames / summary.wall_s
    verdict = f"{len(summary.captured)} verified, {len(summary.rejected)} rejected, "
    verdict += f"{1_000 * used_s / summary.frames:.2f} ms of processor per frame"
    print(f"{name:28s} {speed:7.0f} frames/s = {speed / REAL_GAME_FPS:5.2f}x {REAL_GAME_FPS} ({verdict})", flush=True)
    return speed


def main() -> None:
    """Run both ways at each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--replays", type=int, default=4)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 256])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        replays = gather(folder, arguments.replays)
        places = places_in(folder, arguments.workers)
        base = CaptureConfig(
            replays_dir=replays, tracks_dir=folder / "tracks", vcp_dir=folder / "vcp", fps=100, mode="drive",
            game="simulator", workers=arguments.workers, use_tqdm=False, log_level="ERROR",
        )  # fmt: skip
        stage_maps(base, find_replays(replays, None), places)
        for size in arguments.sizes:
            sized = base.model_copy(update={"width": size, "height": size})
            flags = sized.model_copy(update={"output_dir": folder / f"in{size}"})
            began_s = cpu_s()
            summary = capture(flags)
            inside = report(f"in process {size}x{size}", summary, cpu_s() - began_s)
            changes = {"output_dir": folder / f"out{size}", "game": "tminterface", "running_speed": 16.0}
            began_s = cpu_s()
            with standins(places) as ready:
                summary = capture(sized.model_copy(update=changes), games=ready.games)
            outside = report(f"through sockets {size}x{size}", summary, cpu_s() - began_s)
            print(f"{'':28s} the socket gives {outside / inside:.0%} of that in process", flush=True)


if __name__ == "__main__":
    main()

"""Many games at once, and everything that can go wrong with one of them: a long run that no test suite has time for.

    python benchmarks/soak_capture.py [--games 8] [--replays 40] [--speeds 1 4 16] [--size 64]

Captures replays of several tracks through stand-ins (one process each) at each speed and demands that all of them are
verified, with equal frames wherever a run is the same. Then the same with one worker killed, one game that hangs, one
connection that is cut and one that talks nonsense, once for every phase in which that can happen: the others must
finish, a victim is tried once more or rejected with its reason, and a second run completes the rest.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from trackmaster import gbx
from trackmaster.capture import CaptureConfig, CaptureSummary, capture
from trackmaster.capture.discover import find_replays
from trackmaster.capture.games import Games
from trackmaster.capture.pool import WorkerPool
from trackmaster.capture.staging import stage_maps
from trackmaster.game import SimulatorGame, record_ghost
from trackmaster.game.setup.instances import Instance
from trackmaster.gbx import Challenge, InputTimeline
from trackmaster.track import Track
from trackmaster.track.layout import RoadLayout

TRACKS = 5
PHASES = ("connect", "load", "countdown", "frame", "checkpoint", "finish")
PASSING = {"stalled", "no_start", "stuck_menu", "timeout"}


def make_replays(folder: Path, count: int) -> Path:
    """Write ``count`` replays of short roads, each driven a little differently."""
    for track in range(TRACKS):
        road = RoadLayout(10, 1, 5, 0).straights(1 + track % 3).add("StadiumRoadMainCheckpoint")
        road.add("StadiumRoadMainFinishLine").straights(4)
        challenge = Challenge(uid=f"soak{track}", name=f"Soak {track}", blocks=tuple(road.blocks))
        place, content = Track.from_challenge(challenge), gbx.write_challenge(challenge)
        game = SimulatorGame(watched=False)
        for number in range(track, count, TRACKS):
            keys = np.full(700, 1, np.uint8)
            keys[60 + number : 66 + number] |= 4
            keys[80 + number : 86 + number] |= 8
            ghost = record_ghost(game, place, InputTimeline.from_keys(keys), nickname=f"soak {number}")
            path = folder / "replays" / str(track) / f"pos{number}_x_{ghost.race_time_ms}ms.replay.gbx"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(gbx.write_replay(content, ghost))
    return folder / "replays"


@contextmanager
def standins(places: list[Instance], faults: dict[int, str]) -> Iterator[Games]:
    """Run one stand-in per place in a process of its own."""
    running, found = [], []
    try:
        for place in places:
            words = ["standin", "--port", "0", "--base-path", str(place.user_path)]
            words += ["--scripts-path", str(place.scripts_path)]
            words += ["--fault", faults[place.index]] if place.index in faults else []
            command = [sys.executable, "-m", "trackmaster", *words]
            running.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True))
        for place, process in zip(places, running, strict=True):
            assert process.stdout is not None
            port = int(process.stdout.readline().split(":")[1].split(",")[0])
            found.append(Instance(place.index, port, place.user_path, place.tmi_path, place.profile))
        yield Games(tuple(found))
    finally:
        for process in running:
            process.kill()
            process.wait()


@contextmanager
def killing(after: int) -> Iterator[None]:
    """Kill a busy worker (-9) when ``after`` replays are done."""
    usual, count, killed = WorkerPool._listen, Counter[str](), threading.Event()

    def listen(self: WorkerPool, worker: object, queue: object) -> Iterator[None]:
        yield from usual(self, worker, queue)  # type: ignore[arg-type]
        count["done"] += 1
        others = [one for one in self._workers.values() if one is not worker and one.task is not None]
        if count["done"] >= after and others and not killed.is_set():
            killed.set()
            os.kill(others[0].process.pid or 0, signal.SIGKILL)

    WorkerPool._listen = listen  # type: ignore[method-assign]
    try:
        yield
    finally:
        WorkerPool._listen = usual  # type: ignore[method-assign]


def frames_of(folder: Path) -> dict[str, bytes]:
    """Return every frame of a tree by its path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.jpeg")}


def told(name: str, summary: CaptureSummary) -> None:
    """Print one line about a run."""
    reasons = dict(Counter(outcome.reason for outcome in summary.rejected))
    speed = summary.frames / summary.wall_s
    print(f"{name:34s} {len(summary.captured):3d} verified {reasons or ''} {speed:5.0f} frames/s", flush=True)


def main() -> None:
    """Run the matrix."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--games", type=int, default=8)
    parser.add_argument("--replays", type=int, default=40)
    parser.add_argument("--speeds", type=float, nargs="+", default=[1.0, 4.0, 16.0])
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--phases", nargs="*", default=list(PHASES))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        replays = make_replays(folder, arguments.replays)
        places = [
            Instance(index, 1, folder / f"user{index}" / "TrackMania", folder / f"user{index}" / "TMInterface", "")
            for index in range(arguments.games)
        ]
        base = CaptureConfig(
            replays_dir=replays, output_dir=folder / "inside", tracks_dir=folder / "tracks", vcp_dir=folder / "vcp",
            fps=100, mode="drive", game="simulator", width=arguments.size, height=arguments.size, use_tqdm=False,
            log_level="ERROR", sample_tolerance_m=0.001,
        )  # fmt: skip
        stage_maps(base, find_replays(replays, None), places)
        told("in process", capture(base))
        expected = frames_of(folder / "inside")
        played = base.model_copy(update={"game": "tminterface", "workers": arguments.games})
        for speed in arguments.speeds:
            flags = played.model_copy(update={"running_speed": speed, "output_dir": folder / f"speed{speed:g}"})
            with standins(places, {}) as games:
                summary = capture(flags, games=games)
            told(f"{arguments.games} games at {speed:g}x", summary)
            assert len(summary.captured) == arguments.replays
            assert frames_of(flags.output_dir) == expected, "lost, doubled or mixed up frames"
        for phase in arguments.phases:
            flags = played.model_copy(update={"running_speed": 16.0, "output_dir": folder / f"faults-{phase}"})
            at = {"frame": ":150", "countdown": ":20"}.get(phase, "")
            nonsense = f"garbage@{phase}{at}" if phase not in ("load",) else f"drop@{phase}"
            faults = {0: f"hang@{phase}{at}", 1: f"drop@{phase}{at}", 2: nonsense}
            with standins(places, faults) as games, killing(after=6):
                summary = capture(flags, games=games)
            told(f"killed, hung, cut, nonsense @{phase}", summary)
            assert all(outcome.reason in PASSING or outcome.reason.startswith("error:") for outcome in summary.rejected)
            with standins(places, {}) as games:
                again = capture(flags, games=games)
            assert again.skipped + len(again.captured) == arguments.replays
            assert frames_of(flags.output_dir) == expected, "lost, doubled or mixed up frames"
    print("all as expected")


if __name__ == "__main__":
    main()

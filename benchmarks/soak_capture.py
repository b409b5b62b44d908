"""Many games at once, and everything that can go wrong with one of them: a long run that no test suite has time for.

    python benchmarks/soak_capture.py [--games 8] [--replays 40] [--speeds 1 4 16] [--size 64]
    python benchmarks/soak_capture.py --speeds --phases connect load frame --dialects ours plain

Captures replays of several tracks through stand-ins (one process each) at each speed and demands that all of them are
verified, with equal frames wherever a run is the same. Then, once for every phase: one game hangs in it, one connection
is cut in it, one game talks nonsense in it, and one worker is killed (-9) while its game stands still in it. All four
must have happened; the others must finish, a victim is tried once more or rejected with its reason, and a second run
completes the rest.
"""

import argparse
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from standin_games import places_in, standins
from trackmaster import gbx
from trackmaster.capture import CaptureConfig, CaptureSummary, capture
from trackmaster.capture.discover import find_replays
from trackmaster.capture.staging import stage_maps
from trackmaster.game import SimulatorGame, record_ghost
from trackmaster.game.setup.instances import Instance
from trackmaster.game.standin.faults import Fault
from trackmaster.gbx import Challenge, InputTimeline
from trackmaster.track import Track
from trackmaster.track.layout import RoadLayout

TRACKS: Final = 5
FAULT_SPEED: Final = 16.0
HUNG, CUT, NONSENSE, KILLED = 0, 1, 2, 3
"""Numbers of the games with a fault, and of the worker that is killed."""


@dataclass(frozen=True)
class Scene:
    """How a phase is met, and what becomes of the victims of the first run."""

    at: int = 1
    rejected: Mapping[str, int] = field(default_factory=dict)
    """Reasons of rejections; every other victim is captured after all, by its own or another worker."""
    before: tuple[str, ...] = ()
    """Faults without which the phase would not be met."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Of the games."""
    dialects: tuple[str, ...] = ("ours", "plain")


STALLED: Final = {"stalled": 1}
"""The hung game; whatever breaks once is tried once more."""

SCENES: Final[dict[str, Scene]] = {
    "connect": Scene(),
    "menus": Scene(),
    "load": Scene(),
    "intro": Scene(options={"has_intros": True}),
    "countdown": Scene(at=2, rejected=STALLED),
    # A plugin of ours sends samples in place of run steps.
    "race": Scene(at=150, rejected=STALLED, dialects=("plain",)),
    "frame": Scene(at=150, rejected=STALLED),
    "checkpoint": Scene(rejected=STALLED),
    "finish": Scene(rejected=STALLED),
    # The finish is taken back so that no medals come; they do where the connection broke in it, which was the first
    # of two tries.
    "medals": Scene(
        rejected={"error:LostConnectionError": 1, "error:ProtocolError": 1},
        before=("drop@finish",),
        options={"medal_ticks": 1},
    ),
}


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


def frames_of(folder: Path) -> dict[str, bytes]:
    """Return every frame of a tree by its path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.jpeg")}


def told(name: str, summary: CaptureSummary) -> None:
    """Print one line about a run."""
    reasons = dict(Counter(outcome.reason for outcome in summary.rejected))
    speed = summary.frames / summary.wall_s
    print(f"{name:42s} {len(summary.captured):3d} verified {reasons or ''} {speed:5.0f} frames/s", flush=True)


def run_speeds(played: CaptureConfig, places: list[Instance], speeds: list[float], expected: dict[str, bytes]) -> None:
    """Capture everything at each speed."""
    for speed in speeds:
        flags = played.model_copy(
            update={"running_speed": speed, "output_dir": played.output_dir.with_name(f"speed{speed:g}")}
        )
        with standins(places) as ready:
            summary = capture(flags, games=ready.games)
        told(f"{len(places)} games at {speed:g}x", summary)
        assert not summary.rejected
        assert frames_of(flags.output_dir) == expected, "lost, doubled or mixed up frames"


def run_scene(
    played: CaptureConfig, places: list[Instance], phase: str, dialect: str, expected: dict[str, bytes]
) -> None:
    """Let everything go wrong in one phase at once, and run again."""
    scene, name = SCENES[phase], f"{phase} ({dialect})"
    flags = played.model_copy(
        update={"running_speed": FAULT_SPEED, "output_dir": played.output_dir.with_name(f"faults-{phase}-{dialect}")}
    )
    fault = f"{phase}:{scene.at}"
    kinds = {HUNG: "hang", CUT: "drop", NONSENSE: "garbage"}
    faults = {number: [*scene.before, f"{kind}@{fault}"] for number, kind in kinds.items()} | {KILLED: scene.before}
    with standins(
        places,
        faults={number: [Fault.parse(text) for text in texts] for number, texts in faults.items()},
        kill=(KILLED, Fault.parse(f"crash@{fault}")),
        speaks_ours=dialect == "ours",
        **scene.options,
    ) as ready:
        summary = capture(flags, games=ready.games)
    told(f"all that can happen at {name}", summary)
    assert ready.killed == [KILLED], "the worker was not killed"
    assert not any(ready.faults_to_come.values()), f"did not happen: {ready.faults_to_come}"
    assert Counter(outcome.reason for outcome in summary.rejected) == Counter(scene.rejected), summary.rejected
    assert len(summary.captured) + len(summary.rejected) == len(find_replays(flags.replays_dir, None))
    with standins(places, speaks_ours=dialect == "ours") as ready:
        again = capture(flags, games=ready.games)
    told(f"the rest after {name}", again)
    assert (again.skipped, len(again.captured)) == (len(summary.captured), len(summary.rejected))
    assert frames_of(flags.output_dir) == expected, "lost, doubled or mixed up frames"


def main() -> None:
    """Run the matrix."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--games", type=int, default=8)
    parser.add_argument("--replays", type=int, default=40)
    parser.add_argument("--speeds", type=float, nargs="*", default=[1.0, 4.0, 16.0])
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--phases", nargs="*", choices=[*SCENES], default=[*SCENES])
    parser.add_argument("--dialects", nargs="+", choices=["ours", "plain"], default=["ours"])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        replays = make_replays(folder, arguments.replays)
        places = places_in(folder, arguments.games)
        base = CaptureConfig(
            replays_dir=replays, output_dir=folder / "inside", tracks_dir=folder / "tracks", vcp_dir=folder / "vcp",
            fps=100, mode="drive", game="simulator", width=arguments.size, height=arguments.size, use_tqdm=False,
            log_level="ERROR", sample_tolerance_m=0.001,
        )  # fmt: skip
        stage_maps(base, find_replays(replays, None), places)
        told("in process", capture(base))
        expected = frames_of(folder / "inside")
        played = base.model_copy(update={"game": "tminterface", "workers": arguments.games})
        run_speeds(played, places, arguments.speeds, expected)
        for phase in arguments.phases:
            known = SCENES[phase].dialects  # a phase that one dialect does not have is met in the other
            for dialect in [one for one in arguments.dialects if one in known] or known:
                run_scene(played, places, phase, dialect, expected)
    print("all as expected")


if __name__ == "__main__":
    main()

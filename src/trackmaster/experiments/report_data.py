"""What a report is made of: plain numbers, arrays and words, so that any experiment can fill it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trackmaster.rl.evaluation.episodes import Evaluation as Judged


@dataclass(frozen=True)
class ReplayRow:
    """One replay that was used (or refused).

    Attributes:
        file: file name.
        map_name: name of the map as the file has it.
        map_uid: the map's unique id.
        driver: nickname.
        race_time_ms: None if unfinished.
        origin: where it comes from, e.g. "bundled" or an exchange's name.
        frames: pictures captured from it.
        note: why it was left out, or anything worth saying.
    """

    file: str
    map_name: str
    map_uid: str = ""
    driver: str = ""
    race_time_ms: int | None = None
    origin: str = ""
    frames: int = 0
    note: str = ""


@dataclass(frozen=True, eq=False)
class FramePicture:
    """A captured frame (gray, BGR or BGRA uint8) and what it shows."""

    frame: NDArray[np.uint8]
    caption: str = ""


@dataclass(frozen=True)
class Evaluation:
    """One evaluation of an agent over deterministic episodes.

    Attributes:
        wall_s: seconds of training before it.
        env_steps: decisions taken in training before it.
        progress_m: best progress of each episode.
        race_time_ms: of each episode, None where it did not finish.
    """

    wall_s: float
    env_steps: int
    progress_m: tuple[float, ...]
    race_time_ms: tuple[int | None, ...]

    @property
    def mean_progress_m(self) -> float:
        """Mean over the episodes, 0 without any."""
        return float(np.mean(self.progress_m)) if self.progress_m else 0.0

    @property
    def result(self) -> str:
        """What the episodes came to: ``40 m, 1 of 10 finish``."""
        finished = sum(time is not None for time in self.race_time_ms)
        return f"{self.mean_progress_m:.0f} m, {finished} of {len(self.race_time_ms)} finish"


@dataclass(frozen=True)
class TrainingRun:
    """Evaluations of one run in order; the first one is the untrained agent, the last one has the final weights."""

    name: str
    evaluations: tuple[Evaluation, ...]

    @property
    def best(self) -> Evaluation:
        """The evaluation whose weights the learner keeps: by finish rate, then median time, then progress."""
        return max(self.evaluations, key=lambda e: Judged(e.race_time_ms, e.progress_m, ()).rank())

    @property
    def standing(self) -> tuple[tuple[str, Evaluation], ...]:
        """The three evaluations that tell what the training came to, with their names."""
        return (
            ("before training", self.evaluations[0]),
            ("final weights", self.evaluations[-1]),
            ("best evaluated weights", self.best),
        )


@dataclass(frozen=True, eq=False)
class ShownLap:
    """The lap shown in 3-D and in the video.

    Attributes:
        position_m: (n, 3) car origins, world.
        speed_mps: (n,).
        time_ms: (n,) race time of each.
        race_time_ms: of the finish, None if it was not reached.
        driver: who drove it ("IQN after 9 minutes", "bundled expert").
        vertices: (V, 3) of the track's mesh.
        triangles: (F, 3).
        look: (F,) appearance classes of the mesh; grey without them.
    """

    position_m: NDArray[Any]
    speed_mps: NDArray[Any]
    time_ms: NDArray[Any]
    race_time_ms: int | None = None
    driver: str = ""
    vertices: NDArray[np.float32] | None = None
    triangles: NDArray[np.int32] | None = None
    look: NDArray[np.uint8] | None = None


@dataclass(frozen=True, eq=False)
class ReportData:
    """All that one report shows; empty parts become a sentence that says so.

    Attributes:
        title: headline.
        summary: one paragraph under it.
        replays: what was used.
        frames: for the contact sheet.
        encoder_losses: curve name to its values per epoch ("train", "validation").
        encoder_note: a sentence beside the curves, e.g. task and data size.
        runs: training runs (one per seed).
        track_length_m: length of the reference line, drawn as the goal.
        lap: the lap shown in 3-D.
        video: the mp4, embedded into the page.
        stages: name and seconds of every stage, in order.
        facts: seeds, versions, machine: name to value.
        commands: command lines that reproduce the page.
    """

    title: str
    summary: str = ""
    replays: Sequence[ReplayRow] = ()
    frames: Sequence[FramePicture] = ()
    encoder_losses: Mapping[str, Sequence[float]] = field(default_factory=dict)
    encoder_note: str = ""
    runs: Sequence[TrainingRun] = ()
    track_length_m: float | None = None
    lap: ShownLap | None = None
    video: Path | None = None
    stages: Sequence[tuple[str, float]] = ()
    facts: Mapping[str, object] = field(default_factory=dict)
    commands: Sequence[str] = ()

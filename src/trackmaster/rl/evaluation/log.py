"""Every attempt of every evaluation of a run, one JSON line each time: what comparisons and reports read."""

import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from trackmaster.errors import TrackmasterError
from trackmaster.files import atomic_write_text
from trackmaster.rl.evaluation.episodes import Evaluation

EVALUATIONS_FILE = "evaluations.jsonl"


@dataclass(frozen=True)
class LoggedEvaluation:
    """One evaluation on one track, and where in the run it stands."""

    track: str
    wall_s: float
    """Training time before it, evaluations included."""
    env_steps: int
    """Decisions taken in training before it."""
    train_steps: int
    """Updates made before it."""
    race_time_ms: tuple[int | None, ...]
    """Per attempt, None where the car did not finish; number 0 is the undisturbed start."""
    progress_m: tuple[float, ...]
    """Metres along the line per attempt."""


def append_evaluations(
    path: Path, evaluations: Mapping[str, Evaluation], *, wall_s: float, env_steps: int, train_steps: int
) -> None:
    """Add an evaluation to the log; a run that is continued adds to its old log.

    A last line that was cut off by a crash is removed first, or the new one would be glued to it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _cut_to_last_newline(path)
    with path.open("a", encoding="utf-8") as file:
        for track, result in evaluations.items():
            row = LoggedEvaluation(
                track, round(wall_s, 3), env_steps, train_steps, result.race_time_ms, result.progress_m
            )
            file.write(json.dumps(asdict(row)) + "\n")


def forget_evaluations_after(path: Path, env_steps: int, *, n_evaluations: int | None = None) -> int:
    """Remove the evaluations that a run has gone back behind, and lines that a crash has spoiled.

    A run that is continued begins at its snapshot and evaluates what came after it anew.

    Args:
        path: the log; there may be none.
        env_steps: decisions at which the run goes on; -1 removes every line.
        n_evaluations: evaluations that the snapshot knows of; one that was logged at the same moment, but after it, is
            removed as well.

    Returns:
        The number of lines removed.
    """
    if not path.is_file():
        return 0
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    kept: list[str] = []
    seen: Counter[str] = Counter()
    for line in lines:
        if line.endswith("\n") and _stands_at(line) <= env_steps:
            track = str(json.loads(line)["track"])
            seen[track] += 1
            if n_evaluations is None or seen[track] <= n_evaluations:
                kept.append(line)
    if len(kept) < len(lines):
        atomic_write_text(path, "".join(kept))
    return len(lines) - len(kept)


def read_evaluations(path: Path) -> list[LoggedEvaluation]:
    """Return the log of a run in order; a last line that was cut off by a crash is left out.

    Raises:
        TrackmasterError: the file is missing, or holds something else.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise TrackmasterError(f"{path}: cannot be read ({error.strerror}). Name the log of a training run.") from None
    found = []
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
            found.append(
                LoggedEvaluation(
                    **(row | {"race_time_ms": tuple(row["race_time_ms"]), "progress_m": tuple(row["progress_m"])})
                )
            )
        except (ValueError, TypeError, KeyError):
            if number == len(lines):
                break
            raise TrackmasterError(f"{path}, line {number}: this is no line of an evaluation log.") from None
    return found


def _cut_to_last_newline(path: Path) -> None:
    if not path.is_file():
        return
    with path.open("rb+") as file:
        content = file.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            file.truncate(whole)


def _stands_at(line: str) -> float:
    """Return the decisions before the evaluation of a line; no line of a log stands behind every one."""
    try:
        row = json.loads(line)
        return float(row["env_steps"]) if "track" in row else math.inf
    except (ValueError, TypeError, KeyError):
        return math.inf

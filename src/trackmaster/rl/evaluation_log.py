"""Every attempt of every evaluation of a run, one JSON line each time: what comparisons and reports read."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from trackmaster.errors import TrackmasterError
from trackmaster.rl.evaluation import Evaluation

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
    """Add an evaluation to the log; a run that is continued adds to its old log."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        for track, result in evaluations.items():
            row = LoggedEvaluation(
                track, round(wall_s, 3), env_steps, train_steps, result.race_time_ms, result.progress_m
            )
            file.write(json.dumps(asdict(row)) + "\n")


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

"""What the sections of a training configuration are made of: finite numbers and schedules."""

import itertools
from collections.abc import Sequence

from pydantic import ConfigDict

from trackmaster.config import Section

Points = tuple[tuple[float, float], ...]
"""[frame, value] pairs; frames are decisions."""


class FiniteSection(Section):
    """A section whose numbers must be finite: ``.inf`` and ``.nan`` are refused."""

    model_config = ConfigDict(allow_inf_nan=False)


def checked_points(points: Points, *, low: float, high: float = float("inf"), low_allowed: bool = True) -> Points:
    """Return the points of a schedule whose values lie within limits.

    Raises:
        ValueError: they do not, or the frames do not grow.
    """
    check_frames([frame for frame, _ in points])
    for _, value in points:
        if not low <= value <= high or (value == low and not low_allowed):
            limits = f"{'at least' if low_allowed else 'above'} {low:g}"
            limits += "" if high == float("inf") else f" and at most {high:g}"
            raise ValueError(f"expected values {limits}, got {value:g}")
    return points


def check_frames(frames: Sequence[float]) -> None:
    """Refuse frames that do not grow from 0 or more.

    Raises:
        ValueError: they do not.
    """
    if not frames or frames[0] < 0 or any(b <= a for a, b in itertools.pairwise(frames)):
        raise ValueError(f"expected at least one point, and frames that grow from 0 or more, got frames {list(frames)}")

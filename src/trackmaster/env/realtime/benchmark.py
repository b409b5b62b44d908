"""How long the parts of a real-time step take, under the names that rtgym gives them."""

from collections.abc import Callable
from typing import Any, Final

import numpy as np

DURATIONS: Final = (
    "time_step_duration",
    "step_duration",
    "join_duration",
    "inference_duration",
    "send_control_duration",
    "get_obs_duration",
)


class Benchmark:
    """Notes durations; as running means with mean deviations, or as whole histories (``trace``)."""

    def __init__(self, now_s: Callable[[], float], *, polyak: float, keeps_trace: bool) -> None:
        """Begin empty.

        Args:
            now_s: the environment's clock.
            polyak: weight of the newest duration, above 0 up to 1.
            keeps_trace: keep every duration.
        """
        self._now_s, self._polyak, self._keeps_trace = now_s, polyak, keeps_trace
        self._marks: dict[str, float] = {}
        self._means: dict[str, tuple[float, float]] = {}
        self._traces: dict[str, list[float]] = {name: [] for name in DURATIONS}

    def mark(self, name: str) -> None:
        """Remember now."""
        self._marks[name] = self._now_s()

    def note(self, duration: str, since: str) -> None:
        """Note how long ``since`` is past, if it was marked."""
        if since not in self._marks:
            return
        value = self._now_s() - self._marks[since]
        if self._keeps_trace:
            self._traces[duration].append(value)
        mean, deviation = self._means.get(duration, (value, 0.0))
        change = value - mean
        self._means[duration] = (
            mean + self._polyak * change,
            deviation + self._polyak * (abs(change) - deviation),
        )

    def result(self) -> dict[str, Any]:
        """Return (mean, mean deviation) in seconds by name, or arrays of seconds; None where nothing was noted."""
        if self._keeps_trace:
            return {name: np.array(values) for name, values in self._traces.items()}
        return {name: self._means.get(name, (None, 0.0)) for name in DURATIONS}

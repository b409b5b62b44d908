"""rtgym's configuration dictionary, checked once, with the seed's values as defaults of ours."""

import difflib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
from rtgym import DEFAULT_CONFIG_DICT

from trackmaster.env.errors import EnvError

TIME_STEP_S: Final = 0.05
SEED_VALUES: Final[Mapping[str, Any]] = {
    "time_step_duration": TIME_STEP_S,
    "start_obs_capture": 0.05,
    "time_step_timeout_factor": 1.0,
    "ep_max_length": 1_000,
    "act_buf_len": 4,
    "reset_act_buf": False,
}

_TYPES: Final[tuple[tuple[str, tuple[type, ...], tuple[str, ...]], ...]] = (
    (
        "a number",
        (int, float, np.integer, np.floating),
        ("time_step_duration", "start_obs_capture", "time_step_timeout_factor", "ep_max_length", "benchmark_polyak"),
    ),
    ("a whole number", (int, np.integer), ("act_buf_len",)),
    (
        "true or false",
        (bool, np.bool_),
        ("act_in_obs", "reset_act_buf", "benchmark", "wait_on_done", "last_act_on_reset"),
    ),
    ("a list", (list, tuple), ("interface_args",)),
    ("a dictionary", (Mapping,), ("interface_kwargs",)),
)


@dataclass(frozen=True, kw_only=True)
class RealTimeConfig:
    """The dictionary's entries; their meaning is rtgym's."""

    interface: Callable[..., Any]
    interface_args: tuple[Any, ...] = ()
    interface_kwargs: Mapping[str, Any]
    time_step_duration: float
    """Seconds."""
    start_obs_capture: float
    """Seconds from the beginning of a time step to the capture of its observation."""
    time_step_timeout_factor: float
    """How late a time step may begin, in time steps, before the clock is set anew."""
    ep_max_length: float
    """Steps after which an episode is truncated; infinite by default."""
    act_in_obs: bool
    act_buf_len: int
    reset_act_buf: bool
    benchmark: bool
    benchmark_polyak: float
    benchmark_type: str
    wait_on_done: bool
    last_act_on_reset: bool
    act_prepro_func: Callable[[Any], Any] | None = None
    obs_prepro_func: Callable[[Any], Any] | None = None

    @classmethod
    def from_dict(cls, config: Mapping[str, Any]) -> "RealTimeConfig":
        """Return the checked dictionary; what it leaves out has rtgym's default.

        Raises:
            EnvError: an entry is unknown, or a number makes no sense.
        """
        known = {field.name for field in fields(cls)}
        for name in config:
            if name not in known:
                near = difflib.get_close_matches(str(name), known, 1)
                hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(known))}."
                raise EnvError(f"the real-time configuration has an entry {name!r} that does not exist: {hint}")
        merged = cls(**{**DEFAULT_CONFIG_DICT, **config})
        merged._check()
        return merged

    def _check(self) -> None:
        wrong = [*self._of_another_type()] or [
            f"{name} is {getattr(self, name)}, expected {wanted}"
            for name, wanted, is_right in (
                ("time_step_duration", "more than 0 s", 0 < self.time_step_duration < math.inf),
                ("start_obs_capture", "0 s or more", 0 <= self.start_obs_capture < math.inf),
                ("time_step_timeout_factor", "0 or more", self.time_step_timeout_factor >= 0),
                ("ep_max_length", "at least 1", self.ep_max_length >= 1),
                ("act_buf_len", "a whole number of at least 1", self.act_buf_len >= 1),
                ("benchmark_polyak", "above 0 and up to 1", 0 < self.benchmark_polyak <= 1),
                ("benchmark_type", "'polyak' or 'trace'", str(self.benchmark_type).lower() in ("polyak", "trace")),
            )
            if not is_right
        ]
        if wrong:
            raise EnvError(f"the real-time configuration cannot be used: {'; '.join(wrong)}.")

    def _of_another_type(self) -> Iterator[str]:
        """Yield what is no number, no flag or no collection: files say 0.05 in quotes, and "false" is true."""
        for wanted, accepted, names in _TYPES:
            for name in names:
                value = getattr(self, name)
                is_flag = isinstance(value, (bool, np.bool_))
                if not isinstance(value, accepted) or (is_flag and bool not in accepted):
                    yield f"{name} is {value!r}, expected {wanted}"


def realtime_config(interface: Callable[..., Any], **changes: Any) -> dict[str, Any]:
    """Return a configuration dictionary with the seed's values (20 Hz, 4 actions in the buffer, 1 000 steps).

    Args:
        interface: class (or factory) of a ``RealTimeGymInterface``.
        changes: entries that differ.
    """
    return {**DEFAULT_CONFIG_DICT, **SEED_VALUES, "interface": interface, **changes}

"""Faults on demand: what goes wrong, in which phase, and the how-many-th time."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

from trackmaster.errors import ConfigError

Kind = Literal["hang", "drop", "slow", "garbage", "frame_size", "diverge", "crash"]
"""hang: the game stands still for good. drop: the connection is cut. slow: bytes trickle. garbage: nonsense is sent, in
place of the message where one is due. frame_size: a picture has other bytes than were asked for. diverge: the car is
pushed aside. crash: the process ends."""

Phase = Literal["connect", "menus", "load", "intro", "countdown", "race", "frame", "checkpoint", "finish", "medals"]
"""connect, countdown, race, frame, checkpoint and finish are messages about to be sent (countdown and race are run
steps before and after the start); menus, load, intro and medals are moments in which the game first draws that screen
for a client that it has greeted."""

KINDS: Final[tuple[str, ...]] = get_args(Kind)
PHASES: Final[tuple[str, ...]] = get_args(Phase)
_SENDING: Final = {"connect", "countdown", "race", "frame", "checkpoint", "finish"}
_NEEDS_A_MESSAGE: Final = {"slow", "frame_size"}
_TEXT: Final = re.compile(r"([a-z_]+)@([a-z]+)(?::(\d+))?")


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong once."""

    kind: Kind
    phase: Phase
    at: int = 1
    """The how-many-th time that the phase is met."""

    @classmethod
    def parse(cls, text: str) -> "Fault":
        """Read ``kind@phase`` or ``kind@phase:N``.

        Raises:
            ConfigError: there is no such kind or phase, or the two do not go together.
        """
        match = _TEXT.fullmatch(text)
        kind, phase, at = match.groups() if match else ("", "", None)
        if kind not in KINDS or phase not in PHASES or at == "0":
            raise ConfigError(
                f"the fault {text!r} is not understood, expected KIND@PHASE or KIND@PHASE:N with a kind of "
                f"{', '.join(KINDS)}, a phase of {', '.join(PHASES)} and N from 1."
            )
        if (kind in _NEEDS_A_MESSAGE and phase not in _SENDING) or (kind == "frame_size" and phase != "frame"):
            raise ConfigError(f"the fault {text!r} cannot happen: in the phase '{phase}' no such message is sent.")
        return cls(kind, phase, int(at or 1))  # type: ignore[arg-type]


@dataclass(slots=True)
class FaultPlan:
    """Faults of one stand-in; each happens once."""

    faults: list[Fault] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    """How often each phase was met so far."""
    watch: Callable[[Phase, int], object] | None = None
    """Told of every phase that is met and its count; the game stands still until it returns."""

    def meet(self, phase: Phase) -> Kind | None:
        """Count the phase and return what goes wrong now, if anything."""
        count = self.counts[phase] = self.counts.get(phase, 0) + 1
        if self.watch is not None:
            self.watch(phase, count)
        due = next((fault for fault in self.faults if fault.phase == phase and fault.at == count), None)
        if due is None:
            return None
        self.faults.remove(due)
        return due.kind

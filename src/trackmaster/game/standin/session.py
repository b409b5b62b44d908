"""What a stand-in's plugin knows of its client, and how commands read their fields and answer."""

import struct
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from trackmaster.game.link.protocol import (
    DEFAULT_PERIOD_MS,
    DEFAULT_TIMEOUT_MS,
    LAYOUTS,
    MAX_BLOB_BYTES,
    Message,
    Wants,
)
from trackmaster.game.standin.game import StandinGame
from trackmaster.game.standin.race import Race
from trackmaster.game.standin.wire import ClientGoneError, PluginWire

NO_SIZE: Final = (0, 0)


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample that a client of ours wants."""

    request: int
    wants: Wants
    size: tuple[int, int] = NO_SIZE
    is_sync: bool = True
    """Whether the game waits for an acknowledgement."""


@dataclass(slots=True)
class Samples:
    """Samples to come: a plan by race time, and the one for which the race is held until it was drawn."""

    plan: deque[tuple[int, Sample]] = field(default_factory=deque)
    asked: list[Sample] = field(default_factory=list)
    """Asked for inside of the current tick."""
    held: list[Sample] = field(default_factory=list)

    def due(self, time_ms: int) -> list[Sample]:
        """Return what is wanted of this tick; entries of the past are dropped."""
        due, self.asked = self.asked, []
        while self.plan and self.plan[0][0] <= time_ms:
            when, sample = self.plan.popleft()
            if when == time_ms:
                due.append(sample)
        return due

    def replace_plan(self, entries: Iterable[tuple[int, Sample]]) -> None:
        """Take a new plan in place of the old one."""
        self.plan = deque(entries)

    def clear(self) -> None:
        """Forget everything."""
        self.plan.clear()
        self.asked.clear()
        self.held.clear()


@dataclass(slots=True)
class Session:
    """State of the plugin; what outlives a client is what the plugin keeps, too."""

    game: StandinGame
    wire: PluginWire | None = None
    is_ours: bool = False
    waits_for: Message | None = None
    """The message whose acknowledgement the game waits for."""
    greets: bool = False
    """The client was accepted and not greeted yet."""
    timeout_s: float = DEFAULT_TIMEOUT_MS / 1_000
    deadline_s: float = 0.0
    """When the present wait ends."""
    wait_began_s: float = 0.0
    period_ms: int = DEFAULT_PERIOD_MS
    request: tuple[int, int] | None = None
    """The one slot for a picture; it outlives a client that is replaced."""
    samples: Samples = field(default_factory=Samples)
    plays: bool = False
    """A list of inputs was taken from the client; it goes with the client."""
    watchdog_s: float = 0.0
    watchdog_speed: float = 1.0
    heard_s: float = 0.0

    @property
    def race(self) -> Race | None:
        """The race, while commands of a race have an effect."""
        return self.game.race if self.game.is_in_race else None

    @property
    def patience_s(self) -> float:
        """Time until which the client may be silent."""
        if self.is_ours and self.watchdog_s:
            return min(self.deadline_s, self.heard_s + self.watchdog_s)
        return self.deadline_s

    def fields(self, message: Message) -> tuple[Any, ...]:
        """Read the fixed fields of a command."""
        return self._wire().read_struct(LAYOUTS[message].fields, self.patience_s)

    def blob(self, size: int | None = None) -> bytes:
        """Read bytes: as many as a length in front says, or ``size``."""
        wire = self._wire()
        count = wire.read_i32(self.patience_s) if size is None else size
        if not 0 <= count <= MAX_BLOB_BYTES:
            self.game.log(f"a blob of {count} bytes was announced")
            raise ClientGoneError
        return wire.read(count, self.patience_s)

    def answer_flag(self, *, is_so: bool) -> None:
        """Answer 0 or 1."""
        self._wire().write(struct.pack("<i", is_so))

    def answer_blob(self, content: bytes | memoryview) -> None:
        """Answer with a byte length and bytes."""
        self._wire().write(struct.pack("<i", len(content)), content)

    def answer(self, content: bytes) -> None:
        """Answer with bytes as they are."""
        self._wire().write(content)

    def _wire(self) -> PluginWire:
        if self.wire is None:
            raise ClientGoneError
        return self.wire

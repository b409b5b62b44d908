"""What an exploration remembers: the earliest arrival in each cell, with the car's state and how it was driven."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trackmaster.sim import WorldState

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Arrivals:
    """Cars somewhere on their way, one per row (n,)."""

    cells: Sequence[Hashable]
    """Equal cells are alike: an archive keeps one arrival of each."""
    progress_m: F64
    gates: I64
    """Passages that counted: checkpoints, and the finish at the end of each lap."""
    time_ms: I64
    zone: NDArray[np.int32]
    state: WorldState


class Archive:
    """Grows with every cell that is reached; a cell keeps its earliest arrival."""

    def __init__(self) -> None:
        self._slot_of: dict[Hashable, int] = {}
        self._floats = np.zeros((0, 0), np.float32)
        self._ints = np.zeros((0, 0), np.int32)
        self._bytes = np.zeros((0, 0), np.uint8)
        self._progress_m, self._time_ms = np.zeros(0), np.zeros(0, np.int64)
        self._zone, self._visits, self._gates = np.zeros(0, np.int32), np.zeros(0, np.int64), np.zeros(0, np.int64)
        self._node = np.zeros(0, np.int64)

    def __len__(self) -> int:
        """Return the number of cells."""
        return len(self._slot_of)

    @property
    def progress_m(self) -> F64:
        """Progress (n,) of each slot."""
        return self._progress_m[: len(self)]

    @property
    def gates(self) -> I64:
        """Passages (n,) of each slot."""
        return self._gates[: len(self)]

    @property
    def times_ms(self) -> I64:
        """Race time (n,) of each slot."""
        return self._time_ms[: len(self)]

    def delays_ms(self, spacing_m: float) -> F64:
        """Return how much later (n,) each arrival is than the earliest one on the same ``spacing_m`` of the line."""
        place = (self.progress_m // spacing_m).astype(np.int64)
        earliest = np.full(place.max(initial=0) + 1, np.iinfo(np.int64).max)
        np.minimum.at(earliest, place, self.times_ms)
        delays: F64 = (self.times_ms - earliest[place]).astype(np.float64)
        return delays

    @property
    def visits(self) -> I64:
        """How often (n,) each slot was chosen since its arrival."""
        return self._visits[: len(self)]

    def keep(self, arrivals: Arrivals, node_of: Callable[[int], int]) -> None:
        """Keep the arrivals that are new or earlier than before.

        Args:
            arrivals: n cars.
            node_of: gives for a row the number of the drive that led there; asked only for rows that are kept.
        """
        self._reserve(len(self) + len(arrivals.cells), arrivals.state)
        chosen: dict[int, int] = {}  # slot -> row; a later row may replace an earlier one of the same call
        for row, cell in enumerate(arrivals.cells):
            slot = self._slot_of.setdefault(cell, len(self._slot_of))
            if arrivals.time_ms[row] < self._time_ms[slot]:
                self._time_ms[slot] = arrivals.time_ms[row]
                chosen[slot] = row
        if not chosen:
            return
        slots, rows = np.array(list(chosen)), np.array(list(chosen.values()))
        state = arrivals.state.take(rows)
        self._floats[slots], self._ints[slots], self._bytes[slots] = state.floats.T, state.ints.T, state.bytes.T
        self._progress_m[slots], self._zone[slots] = arrivals.progress_m[rows], arrivals.zone[rows]
        self._gates[slots] = arrivals.gates[rows]
        self._visits[slots] = 0
        self._node[slots] = [node_of(row) for row in rows.tolist()]

    def choose(self, random: np.random.Generator, count: int, weight: F64) -> I64:
        """Draw the slots (count,) to go on from, seldom the same again and again; weights are (n,)."""
        weight = weight / (1.0 + self.visits)
        slots = random.choice(len(self), count, p=weight / weight.sum())
        np.add.at(self._visits, slots, 1)
        return slots.astype(np.int64)

    def nodes(self, slots: I64) -> I64:
        """Return what identifies the drives kept at these slots for good; a slot may get an earlier one any time."""
        nodes: I64 = self._node[slots]
        return nodes

    def states(self, slots: I64) -> WorldState:
        """Return the states kept at these slots."""
        return WorldState(
            np.ascontiguousarray(self._floats[slots].T),
            np.ascontiguousarray(self._ints[slots].T),
            np.ascontiguousarray(self._bytes[slots].T),
        )

    def zones(self, slots: I64) -> NDArray[np.int32]:
        """Return the zones of the line in which they are."""
        zones: NDArray[np.int32] = self._zone[slots]
        return zones

    def put_zones(self, zones: NDArray[np.int32]) -> None:
        """Set the zones (n,) of all slots: the line is another one."""
        self._zone[: len(self)] = zones

    def _reserve(self, count: int, like: WorldState) -> None:
        room = len(self._time_ms)
        if count <= room:
            return
        size = max(count, 2 * room)
        self._floats = _grown(self._floats, (size, len(like.floats)))
        self._ints = _grown(self._ints, (size, len(like.ints)))
        self._bytes = _grown(self._bytes, (size, len(like.bytes)))
        for name in ("_progress_m", "_zone", "_visits", "_gates", "_node"):
            setattr(self, name, _grown(getattr(self, name), (size,)))
        times = np.full(size, np.iinfo(np.int64).max)
        times[:room] = self._time_ms
        self._time_ms = times


def _grown(array: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    larger: NDArray[Any] = np.zeros(shape, array.dtype)
    if array.size:
        larger[: len(array)] = array
    return larger

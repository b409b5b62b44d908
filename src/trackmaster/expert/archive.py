"""What an exploration remembers: the earliest arrival at each place, with the car's state and how it was driven."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trackmaster.sim import WorldState

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
U8 = NDArray[np.uint8]

PLACE_M = 6.0
"""Length of a place along the line."""

SPEED_MPS = 6.0
"""Speeds within this step are alike."""

FRONT_M = 80.0
"""Places this much further back are chosen e times less often."""

ANYWHERE = 0.02
"""Weight of a place far behind the front, against 1 at the front."""


@dataclass(frozen=True, eq=False)
class Arrivals:
    """Cars somewhere on their way, one per row (n,)."""

    progress_m: F64
    speed_mps: F64
    gates: I64
    """Passages that counted: checkpoints, and the finish at the end of each lap."""
    is_airborne: NDArray[np.bool_]
    time_ms: I64
    zone: NDArray[np.int32]
    state: WorldState

    def cells(self) -> list[tuple[int, int, int, bool]]:
        """Return what makes two arrivals alike."""
        place, speed = (self.progress_m // PLACE_M).astype(int), (self.speed_mps // SPEED_MPS).astype(int)
        return list(zip(self.gates.tolist(), place.tolist(), speed.tolist(), self.is_airborne.tolist(), strict=True))


class Archive:
    """Grows with every place that is reached; a place keeps its earliest arrival."""

    def __init__(self) -> None:
        self._slot_of: dict[tuple[int, int, int, bool], int] = {}
        self._floats = np.zeros((0, 0), np.float32)
        self._ints = np.zeros((0, 0), np.int32)
        self._bytes = np.zeros((0, 0), np.uint8)
        self._progress_m, self._time_ms = np.zeros(0), np.zeros(0, np.int64)
        self._zone, self._visits, self._gates = np.zeros(0, np.int32), np.zeros(0, np.int64), np.zeros(0, np.int64)
        self._node = np.zeros(0, np.int64)
        self._parents: list[int] = []
        self._keys: list[U8] = []

    def __len__(self) -> int:
        """Return the number of places."""
        return len(self._slot_of)

    @property
    def furthest_m(self) -> float:
        """Return the furthest progress of any place."""
        return float(self._progress_m[: len(self)].max(initial=0.0))

    @property
    def most_gates(self) -> int:
        """Return the most passages of any arrival."""
        return int(self._gates[: len(self)].max(initial=0))

    def keep(self, arrivals: Arrivals, origins: I64, keys: U8) -> None:
        """Keep the arrivals that are new or earlier than before.

        Args:
            arrivals: n cars.
            origins: (n,) :meth:`nodes` that they set out from, -1 for the start itself.
            keys: (n, D) key bits pressed since then.
        """
        self._reserve(len(self) + len(origins), arrivals.state)
        chosen: dict[int, int] = {}  # slot -> row; a later row may replace an earlier one of the same call
        for row, cell in enumerate(arrivals.cells()):
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
        for slot, row in zip(slots.tolist(), rows.tolist(), strict=True):
            self._node[slot] = len(self._parents)
            self._parents.append(int(origins[row]))
            self._keys.append(keys[row].copy())

    def choose(self, random: np.random.Generator, count: int) -> I64:
        """Draw the slots (count,) to go on from: mostly at the front, seldom the same again and again."""
        n = len(self)
        behind = self._progress_m[:n].max() - self._progress_m[:n]
        weight = (np.exp(-behind / FRONT_M) + ANYWHERE) / (1.0 + self._visits[:n])
        slots = random.choice(n, count, p=weight / weight.sum())
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

    def keys_to(self, node: int) -> U8:
        """Return all keys from the start to a node."""
        parts = []
        while node >= 0:
            parts.append(self._keys[node])
            node = self._parents[node]
        return np.concatenate(parts[::-1])

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

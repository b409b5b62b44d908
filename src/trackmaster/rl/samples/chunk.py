"""What travels from a worker to the learner: a run of consecutive rows of one episode as typed columns.

Row k holds the observation k of an episode together with the action that *led* to it, its reward and its flags; row 0
is what ``reset`` returned. Two neighbours make a transition, and the first row of a chunk that continues an episode
repeats the row before it, so every chunk can be used on its own and a lost one harms nobody.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trackmaster.errors import TrackmasterError

Columns = dict[str, NDArray[Any]]


class SampleError(TrackmasterError):
    """A chunk of samples does not fit the memory it was sent to."""


@dataclass(frozen=True)
class ColumnSpec:
    """Shape of one row and dtype of a column."""

    shape: tuple[int, ...]
    dtype: str

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return int(np.prod(self.shape, dtype=np.int64)) * np.dtype(self.dtype).itemsize


SampleSpec = dict[str, ColumnSpec]
"""Columns of a chunk by name."""


def iqn_sample_spec(image_shape: tuple[int, ...], n_floats: int) -> SampleSpec:
    """Return the columns that the IQN memory keeps: one row per decision."""
    return {
        "image": ColumnSpec(tuple(image_shape), "|u1"),
        "floats": ColumnSpec((n_floats,), "<f4"),
        "action": ColumnSpec((), "|u1"),
        "reward": ColumnSpec((), "<f4"),
        "potential": ColumnSpec((), "<f4"),
        "terminated": ColumnSpec((), "|b1"),
        "truncated": ColumnSpec((), "|b1"),
        "greedy": ColumnSpec((), "|b1"),
    }


def _no_act_history() -> NDArray[np.float32]:
    return np.zeros((0, 0), dtype=np.float32)


@dataclass(frozen=True)
class Chunk:
    """At most one episode's consecutive rows.

    ``first_step`` counts rows of the episode, the reset row being 0; ``context`` rows at the front were sent before.
    """

    session: str
    """Names one life of a worker; with ``seq`` it identifies the chunk."""
    seq: int
    worker_id: int
    episode_id: int
    first_step: int
    context: int
    weights_version: int
    """Weights that drove the whole episode."""
    columns: Columns
    """Arrays with leading size ``context + new rows``."""
    end_of_episode: bool
    n_steps: int = 0
    """Decisions that this chunk accounts for, whether their rows are in it or not."""
    fill_buffer: bool = True
    """Whether the learner may learn from the rows."""
    stats: Mapping[str, float] = field(default_factory=dict)
    """Numbers about the whole episode, filled in when it ends."""
    track: str = ""
    """Name of the track the episode ran on."""
    act_history: NDArray[np.float32] = field(default_factory=_no_act_history)
    """(ACT_BUF_LEN, A) action buffer of the reset observation, oldest first, if the first row is a reset row of an
    environment with such a buffer; else (0, 0)."""

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    @property
    def n_transitions(self) -> int:
        """Transitions that this chunk adds to a memory."""
        return max(0, len(self) - max(1, self.context))

    def check(self, spec: SampleSpec) -> None:
        """Refuse a chunk whose columns differ from the spec.

        Raises:
            SampleError: names, dtypes or shapes differ; the text lists all of them.
        """
        problems = [f"{name} is missing" for name in spec if name not in self.columns]
        problems += [f"{name} is unknown" for name in self.columns if name not in spec]
        for name in spec.keys() & self.columns.keys():
            expected, array = spec[name], self.columns[name]
            if array.dtype != np.dtype(expected.dtype) or array.shape != (len(self), *expected.shape):
                problems.append(
                    f"{name} is {array.dtype}{array.shape}, expected {expected.dtype}(n, *{expected.shape})"
                )
        if problems:
            raise SampleError(
                f"Worker {self.worker_id} sent a chunk that does not fit the memory: {'; '.join(sorted(problems))}. "
                "Start worker and trainer with the same configuration."
            )

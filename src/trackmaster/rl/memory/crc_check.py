"""Debugging of compression: what the memory rebuilds must be, bit for bit, what the worker saw."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trackmaster.rl.memory.ring import Ring
from trackmaster.rl.samples.buffer import Sample
from trackmaster.rl.samples.chunk import SampleError
from trackmaster.rl.samples.columns import (
    ACTION,
    CRC,
    REWARD,
    TERMINATED,
    TRUNCATED,
    checked_leaves,
    checksums,
    is_obs,
)  # fmt: skip
from trackmaster.rl.samples.nested import map_leaves


class CrcError(SampleError):
    """A rebuilt transition differs from the original; the text names the first leaf, the episode and the step."""


def check_rows(ring: Ring, rows: NDArray[np.int64], last: Any, new: Any) -> None:
    """Compare rebuilt observations of rows, and of those before them, with the checksums in the ring.

    Raises:
        CrcError: one leaf differs.
        SampleError: the workers send no checksums.
    """
    if CRC not in ring.columns:
        raise _no_checksums()
    columns = ring.columns
    for offset, observations in ((-1, last), (0, new)):
        for i, row in enumerate(rows + offset):
            obs = map_leaves(lambda leaf, i=i: leaf[i], observations)
            sample: Sample = (
                columns[ACTION][row], obs, columns[REWARD][row], columns[TERMINATED][row], columns[TRUNCATED][row], {},
            )  # fmt: skip
            where = int(ring.worker[row]), int(ring.episode[row]), int(ring.step[row])
            _compare(sample, columns[CRC][row], *where, only_obs=offset < 0)


def check_transition(transition: Sequence[Any]) -> None:
    """Compare a transition of a memory with its own storage with the checksums in its ``info``.

    Raises:
        CrcError: one leaf differs.
        SampleError: ``info`` is not that of the sample, or the workers send no checksums.
    """
    last, action, reward, new, terminated, truncated, info = transition
    if CRC not in info:
        raise _no_checksums()
    where = int(info["worker_id"]), int(info["episode"]), int(info["step"])
    _compare((action, new, reward, terminated, truncated, info), info[CRC], *where)
    if info["crc_before"] is not None:
        before = (action, last, reward, terminated, truncated, info)
        _compare(before, info["crc_before"], where[0], where[1], where[2] - 1, only_obs=True)


def _compare(
    sample: Any, expected: NDArray[np.uint32], worker: int, episode: int, step: int, *, only_obs: bool = False
) -> None:
    """Compare all leaves, or those of the observation: the action and reward that led to it are not drawn with it."""
    found = checksums(sample)
    names = [name for name, _ in checked_leaves(sample)]
    if len(found) != len(expected):
        raise CrcError(
            f"CRC check failed: worker {worker}, episode {episode}, step {step} was rebuilt with {len(found)} leaves, "
            f"the worker saw {len(expected)}: the memory does not undo what the sample_compressor does."
        )
    wrong = [i for i, name in enumerate(names) if found[i] != expected[i] and (is_obs(name) or not only_obs)]
    if wrong:
        raise CrcError(
            f"CRC check failed: {names[wrong[0]]} of worker {worker}, episode {episode}, step {step} was rebuilt "
            "differently from what the worker saw"
            + (f", and {len(wrong) - 1} more leaves of it" if len(wrong) > 1 else "")
            + ". Compare the sample_compressor with what the memory rebuilds."
        )


def _no_checksums() -> SampleError:
    return SampleError("crc_debug needs checksums and the samples have none: start the worker with crc_debug=True too.")

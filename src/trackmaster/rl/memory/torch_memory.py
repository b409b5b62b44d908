"""Replay memory of the single-environment workers: every sample stored once, transitions rebuilt when they are drawn.

The rules of rebuilding (o[k] is the observation of sample k, h and n the lengths of the histories):

* two neighbouring samples of an episode make a transition (o[k-1], a[k], r[k], o[k], terminated[k], truncated[k]);
* pictures of o[k]: those of samples k-h+1 to k, oldest first; before the episode's first, the first one again;
* actions of o[k]: those of samples k-n+1 to k, its own last; before the reset sample, what the reset
  observation showed;
* nothing reaches across the beginning of an episode, and nothing is drawn whose history has been overwritten.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trackmaster.rl.memory.crc_check import check_rows, check_transition
from trackmaster.rl.memory.datasets import read_dataset
from trackmaster.rl.memory.ring import Origin, Ring
from trackmaster.rl.memory.shards import load_ring, save_ring
from trackmaster.rl.samples.buffer import Buffer
from trackmaster.rl.samples.chunk import Chunk, Columns, SampleError
from trackmaster.rl.samples.chunk_builder import ChunkBuilder
from trackmaster.rl.samples.columns import (
    ACTION,
    BYTES,
    CRC,
    INFO,
    REWARD,
    TERMINATED,
    TRUNCATED,
    check_samples,
    is_obs,
    leaf_of,
    row_of,
    samples_of,
)  # fmt: skip
from trackmaster.rl.samples.nested import map_leaves, nest, stack
from trackmaster.rl.samples.pictures import decode_pictures

Transition = tuple[Any, Any, Any, Any, Any, Any, dict[str, Any]]
"""(last_obs, action, reward, new_obs, terminated, truncated, info)."""
Batch = tuple[Any, Tensor, Tensor, Any, Tensor, Tensor]
"""(obs, action, reward, next_obs, terminated, truncated) with a leading batch axis."""
MAX_ROWS = 1_000
"""Rows of one block made from a buffer."""
SamplePreprocessor = Callable[..., tuple[Any, Any, Any, Any, Any, Any]]


class TorchMemory:
    """Appends what workers send and draws what an agent trains on.

    Used as it is, or with a subclass that stores in its own way by overriding ``append_buffer``, ``__len__`` and
    ``get_transition``.

    Args:
        device: where batches go.
        nb_steps: batches that one iteration yields.
        sample_preprocessor: changes a rebuilt transition (o, a, r, o2, terminated, truncated), to augment it.
        memory_size: rows to keep.
        batch_size: transitions per batch.
        dataset_path: samples to begin with: an ``.npz`` file, or a folder of ``.npy`` files, one per column.
        crc_debug: compare every rebuilt transition with the checksums of the original; slow.
        history: by name of a leaf, how many of the newest samples make up the leaf that the agent sees.
        act_buf_len: actions that the agent sees behind everything else; 0 where the samples hold them.
        observed_as: names the preprocessor that observations went through; what was saved of another is not loaded.
        seed: of the draws.
        say: where lines for people go.
    """

    def __init__(
        self,
        device: Any,
        nb_steps: int,
        sample_preprocessor: SamplePreprocessor | None = None,
        memory_size: int = 1_000_000,
        batch_size: int = 256,
        dataset_path: str | Path = "",
        crc_debug: bool = False,
        *,
        history: Mapping[str, int] | None = None,
        act_buf_len: int = 0,
        observed_as: str = "",
        seed: int | None = None,
        say: Callable[[str], None] = print,
    ) -> None:
        self.device, self.nb_steps, self.sample_preprocessor = device, nb_steps, sample_preprocessor
        self.memory_size, self.batch_size, self.crc_debug = memory_size, batch_size, crc_debug
        self.history, self.act_buf_len, self.observed_as = dict(history or {}), act_buf_len, observed_as
        self._say, self._rng = say, np.random.default_rng(seed)
        lookback = max(1, act_buf_len, *self.history.values())
        self._ring = Ring(memory_size, lookback, self._rng)
        self._tails: dict[int, _Tail] = {}
        self.dataset_path = str(dataset_path)
        if dataset_path:
            for chunk in read_dataset(Path(dataset_path)):
                self.append(chunk)

    def append(self, chunk: Chunk) -> int:
        """Store what a worker sent and return the number of transitions it added.

        Raises:
            SampleError: it does not look like what was stored before, or holds numbers that are not finite.
        """
        if not chunk.fill_buffer:
            return 0
        check_samples(chunk)
        if self._has_own_storage():
            before = len(self)
            buffer = Buffer()
            buffer.memory = list(samples_of(chunk))
            self.append_buffer(buffer)
            return len(self) - before
        block = {
            name: column for name, column in decode_pictures(chunk.columns).items()
            if not name.startswith(f"{BYTES}.")
        }  # fmt: skip
        pad = 0
        if chunk.first_step == 0:
            pad = self._ring.lookback - 1
            block = self._padded(block, pad, chunk.act_history)
        return self._ring.append(
            block,
            pad + max(chunk.context, 1),
            Origin(chunk.worker_id, chunk.episode_id, chunk.first_step - pad, chunk.weights_version),
        )

    def append_buffer(self, buffer: Any) -> None:
        """Store the samples of ``buffer.memory``, in which an episode begins behind every terminated or truncated one.

        Args:
            buffer: one worker's samples in order; with an attribute ``worker_id`` where there are several.
        """
        tail = self._tails.setdefault(int(getattr(buffer, "worker_id", 0)), _Tail())
        for chunk in tail.chunks(buffer.memory, self._ring.lookback):
            self.append(chunk)

    def __len__(self) -> int:
        return len(self._ring)

    def evict(self, worker_id: int) -> int:
        """Never draw what this worker sent again; return the number of transitions.

        A subclass that stores in its own way gives samples up in its own way, by the ``worker_id`` in their ``info``.

        Raises:
            SampleError: it does store in its own way, and does not.
        """
        if self._has_own_storage():
            raise SampleError(f"{type(self).__name__} stores samples in its own way and has no evict: give it one.")
        return self._ring.evict(worker_id)

    def get_transition(self, item: int) -> Transition:
        """Return transition ``item`` of ``len(self)``, oldest place first, as arrays without a batch axis."""
        row = self._ring.rows()[item]
        rows = np.array([row])
        last, new = self._observations(rows - 1), self._observations(rows)
        columns = self._ring.columns
        info: dict[str, Any] = {
            "worker_id": int(self._ring.worker[row]), "episode": int(self._ring.episode[row]),
            "step": int(self._ring.step[row]), "weights_version": int(self._ring.version[row]),
        }  # fmt: skip
        info |= {k.removeprefix(f"{INFO}."): float(v[row]) for k, v in columns.items() if k.startswith(f"{INFO}.")}
        if CRC in columns:
            info |= {CRC: columns[CRC][row], "crc_before": columns[CRC][row - 1]}
        return (
            map_leaves(lambda leaf: leaf[0], last), columns[ACTION][row], float(columns[REWARD][row]),
            map_leaves(lambda leaf: leaf[0], new), bool(columns[TERMINATED][row]), bool(columns[TRUNCATED][row]), info,
        )  # fmt: skip

    def sample(self) -> Batch:
        """Draw one batch uniformly.

        Raises:
            SampleError: nothing can be drawn, or a checksum shows that rebuilding went wrong.
        """
        if self._is_slow():
            return self._sample_one_by_one()
        return self._batch(self._ring.draw(self.batch_size))

    def sample_sequences(self, length: int) -> Batch:
        """Draw ``batch_size`` runs of consecutive transitions of one episode, for recurrent agents.

        Returns:
            As ``sample`` with (B, length, ...) in front; recurrent state begins anew at every run.

        Raises:
            SampleError: no chunk was that long.
        """
        starts = self._ring.draw(self.batch_size, sequence=length)
        rows = (starts[:, None] + np.arange(length)).reshape(-1)

        def split(leaf: Tensor) -> Tensor:
            return leaf.reshape(self.batch_size, length, *leaf.shape[1:])

        obs, action, reward, new, terminated, truncated = self._batch(rows)
        return (
            map_leaves(split, obs), split(action), split(reward), map_leaves(split, new), split(terminated),
            split(truncated),
        )  # fmt: skip

    def __iter__(self) -> Iterator[Batch]:
        for _ in range(self.nb_steps):
            yield self.sample()

    def collate(self, batch: Sequence[Sequence[Any]], device: Any) -> Batch:
        """Return transitions as one batch of tensors on a device; whatever follows ``truncated`` is left out."""
        parts = [stack([transition[i] for transition in batch]) for i in range(6)]
        return self._tensors(*parts, device=device)

    def save(self, folder: Path) -> dict[str, Any]:
        """Write what has changed since the last save and return what ``load`` needs besides the folder."""
        if self._has_own_storage():
            raise SampleError(
                f"{type(self).__name__} stores samples in its own way and has no save: give it save(folder) and "
                "load(folder, state) to keep them over a restart."
            )
        state = save_ring(self._ring, folder)
        return {
            "generation": state, "generator": self._rng.bit_generator.state, "lookback": self._ring.lookback,
            "observed_as": self.observed_as,
        }  # fmt: skip

    def load(self, folder: Path, state: Mapping[str, Any]) -> None:
        """Continue with what ``save`` wrote.

        Raises:
            SampleError: the files are damaged or belong to a memory of another kind.
        """
        if state["lookback"] != self._ring.lookback:
            raise SampleError(
                f"{folder}: saved with histories of {state['lookback']} samples, this memory rebuilds "
                f"{self._ring.lookback}. Keep IMG_HIST_LEN and ACT_BUF_LEN, or delete the folder."
            )
        saved_as = state.get("observed_as", "")
        if saved_as != self.observed_as:
            raise SampleError(
                f"{folder}: holds observations {_as(saved_as)}, this run sees them {_as(self.observed_as)}, and a "
                "policy of the one is lost with the other. Begin a new run under another RUN_NAME, or delete the "
                "checkpoint and this folder."
            )
        load_ring(self._ring, folder, int(state["generation"]))
        self._rng.bit_generator.state = state["generator"]

    def _observations(self, rows: NDArray[np.int64]) -> Any:
        """Return the observations of rows as the agent sees them, with a leading axis."""
        found: dict[str, Any] = {}
        for column, values in self._ring.columns.items():
            if not is_obs(column):
                continue
            name = leaf_of(column)
            depth = self.history.get(name, 0)
            found[name] = values[rows[:, None] + np.arange(1 - depth, 1)] if depth else values[rows]
        actions = self._ring.columns[ACTION]
        first = len({name.partition(".")[0] for name in found})  # behind tuples within the tuple, too
        for k in range(self.act_buf_len):
            found[str(first + k)] = actions[rows + (1 - self.act_buf_len + k)]
        return nest(found)

    def _batch(self, rows: NDArray[np.int64]) -> Batch:
        columns = self._ring.columns
        last, new = self._observations(rows - 1), self._observations(rows)
        if self.crc_debug:
            self._check(rows, last, new)
        return self._tensors(
            last, columns[ACTION][rows], columns[REWARD][rows], new, columns[TERMINATED][rows],
            columns[TRUNCATED][rows], device=self.device,
        )  # fmt: skip

    def _sample_one_by_one(self) -> Batch:
        n = len(self)
        if not n:
            raise SampleError("The memory holds no transitions to draw: collect before training (start_training).")
        transitions = [self.get_transition(int(i)) for i in self._rng.integers(0, n, size=self.batch_size)]
        if self.crc_debug:
            for transition in transitions:
                check_transition(transition)
            self._say(f"CRC check passed: {len(transitions)} transitions are what the workers saw.")
        if self.sample_preprocessor is not None:
            prepared: Sequence[Sequence[Any]] = [self.sample_preprocessor(*t[:6]) for t in transitions]
        else:
            prepared = transitions
        return self.collate(prepared, self.device)

    def _check(self, rows: NDArray[np.int64], last: Any, new: Any) -> None:
        check_rows(self._ring, rows, last, new)
        self._say(f"CRC check passed: {len(rows)} transitions are what the workers saw.")

    def _tensors(self, last: Any, action: Any, reward: Any, new: Any, *flags: Any, device: Any) -> Batch:
        def tensor(array: Any) -> Tensor:
            made = torch.from_numpy(np.ascontiguousarray(array))
            if made.dtype == torch.float64:
                made = made.to(torch.float32)
            return made.to(device)

        terminated, truncated = (tensor(np.asarray(flag, dtype=np.float32)) for flag in flags)
        return (
            map_leaves(tensor, last), tensor(action), tensor(np.asarray(reward, dtype=np.float32)),
            map_leaves(tensor, new), terminated, truncated,
        )  # fmt: skip

    def _padded(self, block: Columns, pad: int, act_history: NDArray[np.float32]) -> Columns:
        """Return a block that begins an episode with what the histories of its first rows show before it."""
        padded = {name: np.concatenate((np.repeat(column[:1], pad, axis=0), column)) for name, column in block.items()}
        if act_history.size and self.act_buf_len:
            shape = (self.act_buf_len, *block[ACTION].shape[1:])
            if act_history.shape != shape:
                raise SampleError(
                    f"A reset observation showed actions shaped {act_history.shape}, this memory rebuilds {shape}: "
                    "give worker and trainer the same ACT_BUF_LEN."
                )
            padded[ACTION][pad + 1 - self.act_buf_len : pad + 1] = act_history
        return padded

    def _has_own_storage(self) -> bool:
        return type(self).append_buffer is not TorchMemory.append_buffer

    def _is_slow(self) -> bool:
        return self.sample_preprocessor is not None or type(self).get_transition is not TorchMemory.get_transition


def _as(preprocessor: str) -> str:
    return f"as {preprocessor} makes them" if preprocessor else "as the environment gives them"


class _Tail:
    """What a buffer left behind for the next one of the same worker, to go on in the middle of an episode."""

    def __init__(self) -> None:
        self._builder = ChunkBuilder(session="buffer")
        self._is_over = True

    def chunks(self, samples: Sequence[Any], context_rows: int) -> Iterator[Chunk]:
        """Yield the samples as chunks, one per episode or part of one."""
        builder = self._builder
        builder.context_rows = context_rows
        for sample in samples:
            row, info = row_of(sample, crc=sample[5].get(CRC)), sample[5]
            if self._is_over:
                builder.begin(row, act_history=info.get("act_history"), weights_version=info.get("weights_version", -1))
            else:
                builder.add(row)
            self._is_over = bool(sample[3] or sample[4])
            if self._is_over or builder.new_rows >= MAX_ROWS:
                yield builder.take(end=self._is_over)
        if builder.new_rows:
            yield builder.take(end=False)

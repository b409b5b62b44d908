"""Samples of one environment on their way to the trainer: kept to be looked at, gathered into chunks, sent."""

import secrets
from collections.abc import Callable
from typing import Any

from trackmaster.distributed.observed import act_history, left_out_history
from trackmaster.distributed.transport.contract import WorkerEnd
from trackmaster.rl.samples.buffer import Buffer, Sample
from trackmaster.rl.samples.chunk import Chunk, Columns, ColumnSpec, SampleSpec
from trackmaster.rl.samples.chunk_builder import ChunkBuilder
from trackmaster.rl.samples.columns import checksums, row_of


def sample_columns(
    observation_space: Any, action_space: Any, *, compress: Callable[..., Sample] | None = None, crc_debug: bool = False
) -> SampleSpec:
    """Return the columns that samples of an environment travel as, where they are the same for every observation.

    Args:
        observation_space: of the environment, as the preprocessor leaves it.
        action_space: of the environment.
        compress: as for ``CollectedSamples``.
        crc_debug: as for ``CollectedSamples``.
    """
    sample: Sample = (action_space.sample(), observation_space.sample(), 0.0, False, False, {})
    row = row_of(sample if compress is None else compress(*sample), crc=checksums(sample) if crc_debug else None)
    return {name: ColumnSpec(column.shape, column.dtype.str) for name, column in row.items()}


class CollectedSamples:
    """What a worker has lived through and not yet sent.

    Args:
        end: link to the trainer; without one the samples stay in the buffer.
        buffer: keeps the samples that were not sent.
        compress: (action, obs, reward, terminated, truncated, info) to the same six, smaller.
        crc_debug: send checksums of the uncompressed samples and keep those in ``info``.
        n_actions: how many actions an observation ends with.
        worker_id: number of the worker.
        chunk_rows: samples after which a chunk is sent although the episode goes on.
    """

    def __init__(
        self, end: WorkerEnd | None, buffer: Buffer, *, compress: Callable[..., Sample] | None, crc_debug: bool,
        n_actions: int, worker_id: int, chunk_rows: int,
    ) -> None:  # fmt: skip
        self._end, self._buffer, self._compress, self._crc_debug = end, buffer, compress, crc_debug
        self._n_actions, self._chunk_rows = n_actions, chunk_rows
        self._builder = ChunkBuilder(session=secrets.token_hex(16), worker_id=worker_id, context_rows=max(1, n_actions))
        self._outcomes: list[tuple[dict[str, float], Sample]] = []
        self._is_episode_over = False
        self.episode_stats: dict[str, float] = {}
        """Return and length of the train episode that has just ended; its last chunk tells them."""
        self.has_sent = False
        """Whether anything has been given to the link."""

    def begin(self, sample: Sample, seen: Any, version: int) -> None:
        """Begin an episode.

        Args:
            sample: of the default action and the first observation.
            seen: the first observation before any preprocessor.
            version: of the weights that drive.
        """
        row = self._row(sample)
        if self._end is not None and self._builder.new_rows:  # an episode that nobody has sent yet
            self._send_rows()
        history = left_out_history(sample[1], row)
        self._builder.context_rows = max(self._builder.context_rows, history)
        self._builder.begin(row, weights_version=version, act_history=act_history(seen, self._n_actions))
        self._is_episode_over = False

    def add(self, sample: Sample) -> None:
        """Add what a step returned."""
        self._builder.add(self._row(sample))
        self._is_episode_over = bool(sample[3] or sample[4])
        is_due = self._builder.new_rows >= self._chunk_rows and not self._is_episode_over
        if is_due and self._end is not None:  # alone, the buffer keeps the episode for whoever looks at it
            self._send_rows()

    def add_outcome(self, stats: dict[str, float], sample: Sample) -> None:
        """Add how an episode went that was not collected, with a sample of its last observation."""
        if self._end is not None:  # nobody would ever ask for it
            self._outcomes.append((stats, sample))

    def drive_with(self, version: int) -> None:
        """The samples to come are driven with other weights; what was gathered must have been sent."""
        self._builder.drive_with(version)

    def send(self, version: int) -> None:
        """Send everything and clear the buffer."""
        if self._builder.new_rows:
            self._send_rows()
        for stats, sample in self._outcomes:
            row = self._row(sample)
            self._send(self._builder.outcome(row, stats, weights_version=version, n_steps=int(stats["steps"])))
        self._outcomes.clear()
        self._buffer.clear()

    def _row(self, sample: Sample) -> Columns:
        """Return a sample's columns and keep the sample in the buffer."""
        crc = checksums(sample) if self._crc_debug else None
        compressed = sample if self._compress is None else self._compress(*sample)
        if self._crc_debug:
            action, obs, reward, terminated, truncated, info = compressed
            compressed = (action, obs, reward, terminated, truncated, {**info, "crc_sample": sample})
        self._buffer.append_sample(compressed)
        return row_of(compressed, crc=crc)

    def _send_rows(self) -> None:
        over = self._is_episode_over
        self._send(self._builder.take(end=over, stats=self.episode_stats if over else None))
        self._buffer.clear()

    def _send(self, chunk: Chunk) -> None:
        if self._end is not None:
            self._end.send_chunk(chunk)
            self.has_sent = True

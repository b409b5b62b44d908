"""Batches in a reproducible order, made ahead of time by threads."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from trackmaster.data.errors import DataError
from trackmaster.data.source import Frames, FrameSource


class BatchLoader:
    """Runs through a frame source once per epoch.

    The order of an epoch depends on the seed and the epoch's number only, so a resumed run sees the batches that an
    uninterrupted one would have seen, whatever the number of threads.
    """

    def __init__(
        self,
        source: FrameSource,
        batch_size: int,
        *,
        seed: int | None = None,
        reshuffle: bool = True,
        drop_last: bool = False,
        workers: int = 1,
        prefetch: int = 2,
    ) -> None:
        """Plan the batches.

        Args:
            source: where samples come from.
            batch_size: samples per batch.
            seed: of the order; None keeps the order of the source.
            reshuffle: draw a new order for every epoch; False keeps the first one.
            drop_last: leave an incomplete last batch out.
            workers: threads that gather; 0 gathers in the caller's thread.
            prefetch: batches in the making per thread.

        Raises:
            DataError: not one batch comes out of it.
        """
        self.source = source
        self.batch_size = batch_size
        self.seed = seed
        self.reshuffle = reshuffle
        self.drop_last = drop_last
        self.workers = workers
        self.prefetch = prefetch
        if len(self) == 0:
            raise DataError(
                f"{len(source)} samples do not fill one batch of {batch_size}: "
                "use a smaller --batch-size or more frames."
            )

    def __len__(self) -> int:
        """Return the number of batches per epoch."""
        full, rest = divmod(len(self.source), self.batch_size)
        return full + (1 if rest and not self.drop_last else 0)

    def order(self, epoch: int) -> NDArray[np.int64]:
        """Return the samples in the order of an epoch (counted from 0)."""
        if self.seed is None:
            return np.arange(len(self.source), dtype=np.int64)
        drawn = epoch if self.reshuffle else 0
        return np.random.default_rng([self.seed, drawn]).permutation(len(self.source)).astype(np.int64)

    def batches(self, epoch: int) -> Iterator[Frames]:
        """Yield the batches of an epoch, each (B, n_stack, 1, H, W)."""
        order = self.order(epoch)
        rows = [order[first : first + self.batch_size] for first in range(0, len(order), self.batch_size)][: len(self)]
        if self.workers <= 0:
            for part in rows:
                yield self.source.gather(part)
            return
        pending: deque[Future[Frames]] = deque()
        with ThreadPoolExecutor(self.workers, thread_name_prefix="batch") as pool:
            try:
                for part in rows:
                    pending.append(pool.submit(self.source.gather, part))
                    if len(pending) > self.workers * self.prefetch:
                        yield pending.popleft().result()
                while pending:
                    yield pending.popleft().result()
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

"""Training and validation batches for a run: from the cache when one is configured, decoded on the fly otherwise."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from trackmaster.data import (
    BatchLoader,
    CacheSpec,
    FrameSource,
    ReplayFrameDataset,
    ensure_cache,
    find_replays,
    source_signature,
    split_by_map,
)
from trackmaster.data.source import require_samples
from trackmaster.pretrain.config import PretrainConfig
from trackmaster.progress import progress

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingData:
    """What a run trains on, and the facts about it that its record keeps."""

    train: FrameSource
    val: FrameSource | None
    facts: dict[str, object] = field(default_factory=dict)
    """Keys of ``pretrain_meta.json``: dataset_root, data_hash, cache_fingerprint, track ids, sample counts."""
    note: str = ""
    """One sentence about the split."""


def open_training_data(config: PretrainConfig, width: int, height: int) -> TrainingData:
    """Find, split and open the frames of a run; builds the cache when one is configured and missing or stale.

    Raises:
        DataError: the tree cannot be used.
    """
    replays = find_replays(config.data_dir)
    split = split_by_map(replays, config.val_fraction, config.seed)
    signature = source_signature(replays)
    train: FrameSource
    val: FrameSource | None
    fingerprint: str | None = None
    if config.preprocess_cache_dir is not None:
        cache = ensure_cache(
            CacheSpec(
                config.data_dir, width, height, config.n_stack, config.val_fraction, config.seed, config.cache_dtype
            ),
            config.preprocess_cache_dir,
            replays=replays,
            signature=signature,
            workers=config.cache_build_workers,
            in_ram=config.cache_load_in_ram,
            show_progress=config.use_tqdm,
        )
        train, val, fingerprint = cache.train, cache.val, cache.fingerprint
    else:
        train = ReplayFrameDataset(split.train, width=width, height=height, n_stack=config.n_stack)
        val = ReplayFrameDataset(split.val, width=width, height=height, n_stack=config.n_stack) if split.val else None
    require_samples(train, "training")
    if val is not None:
        require_samples(val, "validation")
    facts: dict[str, object] = {
        "dataset_root": str(config.data_dir),
        "data_hash": signature["sha256"],
        "cache_fingerprint": fingerprint,
        "track_ids_train": list(split.track_ids_train),
        "track_ids_val": list(split.track_ids_val),
        "n_train_samples": len(train),
        "n_val_samples": len(val) if val is not None else 0,
    }
    return TrainingData(train, val, facts, split.note)


class TensorFeed:
    """Batches of a frame source as tensors, with progress; iterating runs through one epoch."""

    def __init__(self, loader: BatchLoader, *, label: str, show_progress: bool, pin_memory: bool) -> None:
        """Wrap a loader.

        Args:
            loader: gives the batches.
            label: word in front of the progress bar.
            show_progress: draw a bar on a terminal.
            pin_memory: page-lock batches for the copy to a GPU.
        """
        self.loader = loader
        self.epoch = 0
        """Number of the epoch that the next iteration runs through."""
        self._label = label
        self._show_progress = show_progress
        self._pin_memory = pin_memory

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Tensor]:
        batches = progress(
            self.loader.batches(self.epoch),
            desc=f"epoch {self.epoch + 1} {self._label}",
            total=len(self.loader),
            enabled=self._show_progress,
        )
        # One batch is held back: Lightning takes exactly len(self) of them and never asks for the end, which is
        # where the loader's threads are joined and the progress bar is finished.
        held: Tensor | None = None
        for frames in batches:
            if held is not None:
                yield held
            batch = torch.from_numpy(np.ascontiguousarray(frames))
            held = batch.pin_memory() if self._pin_memory else batch
        if held is not None:
            yield held


def make_feeds(
    config: PretrainConfig, data: TrainingData, *, drop_last: bool, on_gpu: bool
) -> tuple[TensorFeed, TensorFeed | None]:
    """Return the feeds of training and validation.

    Raises:
        DataError: the samples do not fill one batch.
    """
    pin = config.pin_memory and on_gpu

    def feed(source: FrameSource, label: str, *, reshuffle: bool) -> TensorFeed:
        loader = BatchLoader(
            source,
            config.batch_size,
            seed=config.seed,
            reshuffle=reshuffle,
            drop_last=drop_last,
            workers=config.workers,
            prefetch=config.prefetch_factor,
        )
        return TensorFeed(loader, label=label, show_progress=config.use_tqdm, pin_memory=pin)

    # Validation is shuffled once: side by side, frames 10 ms apart are negatives of each other that nothing can tell
    # apart, and a contrastive loss over them says little about the one that is trained.
    val = feed(data.val, "val", reshuffle=False) if data.val is not None else None
    return feed(data.train, "train", reshuffle=True), val

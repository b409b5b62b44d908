"""The command that builds a frame cache ahead of training."""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from trackmaster.config import Settings
from trackmaster.data.cache import CacheSpec
from trackmaster.data.cache_build import ensure_cache
from trackmaster.errors import InterruptedRunError


class PrepareConfig(Settings):
    """Decode all captured frames once into a cache that pre-training reads."""

    model_config = SettingsConfigDict(env_prefix="DATA_PREPARE_")

    data_dir: Path
    """Captured frames: data_dir/<track_id>/<replay_name>/frame_*_*ms.jpeg."""
    output_dir: Path
    """Folder of the cache; --preprocess-cache-dir of the training names it."""
    image_size: int = Field(default=64, ge=1)
    """Side of the pictures in pixels; with --image-height the width."""
    image_height: int | None = Field(default=None, ge=1)
    """Rows, where pictures are no squares."""
    n_stack: int = Field(default=1, ge=1, le=32)
    """Consecutive frames per sample."""
    val_fraction: float = Field(default=0.1, ge=0, lt=1)
    """Share of the maps held out; must equal the training's."""
    seed: int = Field(default=42, ge=0)
    """Of the split; must equal the training's."""
    workers: int = Field(default=0, ge=0)
    """Decoding threads; 0 takes one per core."""
    cache_dtype: Literal["uint8", "float32"] = "uint8"
    """Bytes with every frame once, or the windows as float32 for other tools."""
    force: bool = False
    """Build again even if the present cache is valid."""
    use_tqdm: bool = True
    """Draw a progress bar."""


def run_prepare(config: PrepareConfig) -> None:
    """Build the cache, or say that the present one is valid.

    Raises:
        DataError: the frames cannot be used.
        InterruptedRunError: stopped by Ctrl+C; the next call continues.
    """
    spec = CacheSpec(
        config.data_dir,
        config.image_size,
        config.image_height or config.image_size,
        config.n_stack,
        config.val_fraction,
        config.seed,
        config.cache_dtype,
    )
    try:
        cache = ensure_cache(
            spec, config.output_dir, workers=config.workers, force=config.force, show_progress=config.use_tqdm
        )
    except KeyboardInterrupt:
        raise InterruptedRunError("stopped; the frames decoded so far are kept, run it again to continue.") from None
    meta = cache.meta
    print(f"{config.output_dir}: {meta['n_train']} training and {meta['n_val']} validation samples ({meta['dtype']})")
    print(meta.get("split_note", ""))

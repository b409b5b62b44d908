"""Where a run works: in a folder of its own, or in that of the run it continues."""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from trackmaster.pretrain.artifact import UNFINISHED, allocate_run_dir, read_resolved_config
from trackmaster.pretrain.checkpoints import latest_checkpoint
from trackmaster.pretrain.config import PretrainConfig
from trackmaster.pretrain.errors import PretrainError
from trackmaster.pretrain.recorder import METRICS_NAME

_MAY_CHANGE = frozenset(
    {"epochs", "resume", "overwrite", "workers", "pin_memory", "prefetch_factor", "use_tqdm", "run_name", "output_dir",
     "cache_load_in_ram", "cache_build_workers", "preprocess_cache_dir", "data_dir", "probe", "maps_dirs"}
    | {f"lightning.{name}" for name in (
        "tensorboard", "csv_logger", "save_top_k", "early_stopping", "patience", "min_delta", "accelerator", "devices",
        "precision", "log_every_n_steps", "deterministic", "enable_model_summary", "profiler",
        "float32_matmul_precision")}
)  # fmt: skip
"""Settings that neither change what is learned from nor where a run keeps its files."""


def run_folder(config: PretrainConfig) -> tuple[Path, Path | None]:
    """Return the folder of the run, and the training state to continue from when it is resumed.

    Raises:
        PretrainError: the name is taken; or the run to resume began with other settings, or has lost its states.
    """
    if config.resume is None:
        return allocate_run_dir(config.output_dir, config.run_name, overwrite=config.overwrite), None
    before = dict(_flat(read_resolved_config(config.resume)))
    now = dict(_flat(config.model_dump(mode="json")))
    for name, value in before.items():
        if name not in _MAY_CHANGE and now.get(name) != value:
            raise PretrainError(
                f"{config.resume}: began with {name} {value!r} and cannot continue with {now.get(name)!r}. "
                "Start a new run, or leave the setting as it was."
            )
    folder = config.resume / config.lightning.checkpoint_dir
    checkpoint, epochs = latest_checkpoint(folder), _epochs_in(config.resume / METRICS_NAME)
    if checkpoint is None and epochs:
        raise PretrainError(
            f"{folder}: holds no training state, but {METRICS_NAME} tells of {epochs} epochs. Put the states back, or "
            "start a new run: this one would begin anew and lose them."
        )
    for path in config.resume.rglob(UNFINISHED):
        path.unlink()
    return config.resume, checkpoint


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _epochs_in(path: Path) -> int:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return sum(1 for _ in csv.DictReader(file))
    except (OSError, ValueError, csv.Error):
        return 0

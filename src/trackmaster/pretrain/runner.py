"""One visual pre-training run from configuration to artefact."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from trackmaster import __version__
from trackmaster.data import DataError
from trackmaster.errors import ConfigError, InterruptedRunError
from trackmaster.interrupts import StopFlag, StoppedError, stop_on_interrupt
from trackmaster.nn.encoder import encoder_dim
from trackmaster.pretrain.agent_shape import read_agent_shape
from trackmaster.pretrain.artifact import Artifact, put_back, write_artifact, write_resolved_config
from trackmaster.pretrain.autoencoder import Autoencoder
from trackmaster.pretrain.checkpoints import CheckpointKeeper, latest_checkpoint, read_history
from trackmaster.pretrain.config import PretrainConfig, TaskName
from trackmaster.pretrain.errors import DivergedError, ProbeError
from trackmaster.pretrain.feed import TrainingData, make_feeds, open_training_data
from trackmaster.pretrain.pixels import NORMALIZATION_FORMULAS
from trackmaster.pretrain.probe import table, write_probe
from trackmaster.pretrain.probe_command import score_run
from trackmaster.pretrain.recorder import METRICS_NAME, EpochRecorder
from trackmaster.pretrain.resume import run_folder
from trackmaster.pretrain.session import Session
from trackmaster.pretrain.simclr import LightlySimClr, SimClr
from trackmaster.pretrain.sinks import MetricSinks
from trackmaster.pretrain.task import TaskSpec, VisualTask
from trackmaster.pretrain.torch_modes import torch_modes
from trackmaster.pretrain.vae import VariationalAutoencoder

TASKS: dict[TaskName, type[VisualTask]] = {"ae": Autoencoder, "vae": VariationalAutoencoder, "simclr": SimClr}

_log = logging.getLogger(__name__)


def run(config: PretrainConfig, *, stop: StopFlag | None = None, say: Callable[[str], None] = _log.info) -> Artifact:
    """Train an encoder and return its artefact.

    Args:
        config: what to train, on what, for how long.
        stop: set it from anywhere to stop after the current batch, like Ctrl+C.
        say: takes sentences about the run.

    Raises:
        DataError: the frames cannot be used.
        ConfigError: settings contradict the data or the machine.
        ShapeError: the pictures do not fit the network.
        PretrainError: the folder of the run cannot be used, or training diverged; what came before that is kept.
        InterruptedRunError: the run was stopped; its partial artefact is complete and the text names it.
    """
    shape = read_agent_shape(config.rl_config_path)
    width, height = shape.width, shape.height
    device = _device(config)
    task = make_task(config, width, height)
    data = open_training_data(config, width, height)
    say(data.note)
    monitor = _monitor(config, data)
    train, val = make_feeds(config, data, drop_last=task.drop_last, on_gpu=device.type == "cuda")
    if config.lightning.enable_model_summary:
        say(_summary(task, width, height, config.task))

    run_dir, checkpoint = run_folder(config)
    with _earlier_run_kept(run_dir, config, say):
        config_hash = write_resolved_config(run_dir, config.model_copy(update={"resume": None}).to_yaml())
        options = config.lightning
        recorder = EpochRecorder(
            run_dir / METRICS_NAME,
            monitor,
            patience=options.patience if options.early_stopping else None,
            min_delta=options.min_delta,
            data_hash=str(data.facts["data_hash"]),
        )
        if checkpoint is not None:
            recorder.load_state_dict(read_history(checkpoint))
            say(f"continuing {run_dir} after epoch {recorder.epochs_done}")
        keeper = CheckpointKeeper(run_dir / options.checkpoint_dir, monitor, save_top_k=options.save_top_k)
        diverged: DivergedError | None = None
        with MetricSinks(run_dir, options, first_step=int(recorder.last("step") or 0)) as sinks:
            session = Session(config, task, train, val, recorder, keeper, sinks, stop or StopFlag(), device, say)
            try:
                stopped = _train(session, checkpoint)
            except DivergedError as error:
                if recorder.best_weights is None:
                    raise DivergedError(f"{error} No epoch came before it, so there is no encoder to keep.") from None
                stopped, diverged = True, error
        meta = _meta(config, data, recorder, stopped=stopped, config_hash=config_hash)
        artifact = write_artifact(run_dir, recorder.best_weights or session.weights(), meta)
        recorder.write()
        if diverged is not None:
            raise DivergedError(
                f"{diverged} {run_dir} holds the best encoder of the {recorder.epochs_done} epochs before."
            )
        if stopped:
            raise InterruptedRunError(
                f"stopped after {recorder.epochs_done} of {config.epochs} epochs. {run_dir} holds the best encoder so "
                f"far; continue with --resume {run_dir}."
            )
        if config.probe:
            _score(artifact, config, say)
        return artifact


def _score(artifact: Artifact, config: PretrainConfig, say: Callable[[str], None]) -> None:
    """Put the linear probe's scores beside the losses; frames without labels leave a sentence, not an error."""
    try:
        result = score_run(artifact, data_dir=config.data_dir, maps_dirs=config.maps_dirs)
    except (DataError, ProbeError) as error:
        say(f"linear probe: not scored: {error}")
        return
    write_probe(artifact.path, result)
    say(table(result))


@contextmanager
def _earlier_run_kept(run_dir: Path, config: PretrainConfig, say: Callable[[str], None]) -> Iterator[None]:
    """Put the run that a new one was to replace back in its place when the new one comes to nothing."""
    try:
        yield
    except BaseException:
        is_empty = latest_checkpoint(run_dir / config.lightning.checkpoint_dir) is None
        if config.resume is None and is_empty and put_back(run_dir):
            say(f"{run_dir}: the earlier run is back in its place, as the new one left no encoder.")
        raise


def run_pretrain(config: PretrainConfig) -> None:
    """Train an encoder and print where it is: the ``pretrain`` verb."""
    artifact = run(config, say=print)
    print(
        f"{artifact.encoder_path}: encoder of epoch {artifact.meta['best_epoch'] + 1}, "
        f"{artifact.meta['monitor']} {artifact.meta['best_loss']:.6f}"
    )


def make_task(config: PretrainConfig, width: int, height: int) -> VisualTask:
    """Return the untrained network and loss of a configuration; the seed decides the weights.

    Raises:
        ShapeError: the pictures do not fit the network.
        PretrainError: the back-end that was asked for is not installed.
    """
    spec = TaskSpec.of(config, width, height)
    kind = LightlySimClr if config.framework == "lightly" else TASKS[config.task]
    task = kind(spec, torch.Generator().manual_seed(config.seed))
    task.to_channels_last()
    return task


def _train(session: Session, checkpoint: Path | None) -> bool:
    """Run the remaining epochs and tell whether they were cut short by a stop."""
    if session.is_finished:
        return False
    try:
        with stop_on_interrupt(session.stop), torch_modes(session.config.lightning):
            if session.config.framework == "native":
                from trackmaster.pretrain.native import train_native

                train_native(session, checkpoint)
            else:
                from trackmaster.pretrain.lightning_loop import train_lightning  # slow to import

                train_lightning(session, checkpoint)
    except StoppedError:
        return True
    return False


def _monitor(config: PretrainConfig, data: TrainingData) -> str:
    wanted = config.lightning.checkpoint_monitor
    if wanted == "val_loss" and data.val is None:
        raise ConfigError(f"checkpoint_monitor is val_loss, but nothing is held out. {data.note}")
    return wanted if wanted != "auto" else ("val_loss" if data.val is not None else "train_loss")


def _device(config: PretrainConfig) -> torch.device:
    wanted = config.lightning.accelerator
    if wanted in ("gpu", "cuda") and not torch.cuda.is_available():
        raise ConfigError(f"accelerator is {wanted}, but torch finds no CUDA device here. Use auto or cpu.")
    if wanted in ("gpu", "cuda") or (wanted == "auto" and torch.cuda.is_available()):
        return torch.device("cuda")
    if wanted == "mps" and not torch.backends.mps.is_available():
        raise ConfigError("accelerator is mps, but torch finds no Metal device here. Use auto or cpu.")
    return torch.device("mps" if wanted == "mps" else "cpu")


def _summary(task: VisualTask, width: int, height: int, name: str) -> str:
    encoder = sum(weight.numel() for weight in task.backbone.encoder.parameters())
    total = sum(weight.numel() for weight in task.parameters())
    return f"{name} on {width}x{height}: encoder {encoder:,} parameters, {total:,} with the parts that stay behind"


def _meta(
    config: PretrainConfig, data: TrainingData, recorder: EpochRecorder, *, stopped: bool, config_hash: str
) -> dict[str, Any]:
    best = recorder.best_epoch
    shape = read_agent_shape(config.rl_config_path)
    width, height = shape.width, shape.height
    return {
        "task": config.task,
        "framework": config.framework,
        "image_size": width if width == height else [width, height],
        "image_normalization": config.image_normalization,
        "n_stack": config.n_stack,
        "stack_mode": config.stack_mode,
        "in_channels": config.n_stack if config.stack_mode == "channel" else 1,
        "enc_dim": encoder_dim(height, width),
        "epochs_trained": recorder.epochs_done,
        "train_loss_final": recorder.last("train_loss"),
        "val_loss_final": recorder.last("val_loss"),
        "timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
        "seed": config.seed,
        "normalization": "none",
        **data.facts,
        "image_width": width,
        "image_height": height,
        "image_normalization_formula": NORMALIZATION_FORMULAS[config.image_normalization],
        "epochs": config.epochs,
        "interrupted": stopped,
        "monitor": recorder.monitor,
        "best_epoch": best,
        "best_loss": None if best is None else recorder.best_value,
        "split_note": data.note,
        "float_layout_version": None,
        "float_mean": None,
        "float_std": None,
        "head_order": None,
        "code_version": __version__,
        "resolved_config_hash": config_hash,
    }

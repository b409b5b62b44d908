"""One training run in memory: what both training loops share, so that they differ in nothing but who drives them."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from trackmaster.interrupts import StopFlag
from trackmaster.pretrain.checkpoints import CheckpointKeeper
from trackmaster.pretrain.config import PretrainConfig
from trackmaster.pretrain.errors import DivergedError
from trackmaster.pretrain.feed import TensorFeed
from trackmaster.pretrain.recorder import EpochRecorder, LossMeter, Weights
from trackmaster.pretrain.sinks import MetricSinks
from trackmaster.pretrain.task import TaskLoss, VisualTask

_VALIDATION_STREAM = 1 << 20  # as an epoch number: far from any real one, and the same noise in every epoch


@dataclass
class Session:
    """Everything a training loop works with."""

    config: PretrainConfig
    task: VisualTask
    train: TensorFeed
    val: TensorFeed | None
    recorder: EpochRecorder
    keeper: CheckpointKeeper
    sinks: MetricSinks
    stop: StopFlag
    device: torch.device
    say: Callable[[str], None]
    """Takes a sentence about every epoch."""

    @property
    def is_finished(self) -> bool:
        """Whether no further epoch is to be run."""
        return self.recorder.epochs_done >= self.config.epochs or self.recorder.should_stop

    @property
    def precision(self) -> str:
        """Arithmetic with ``auto`` resolved."""
        wanted = self.config.lightning.precision
        return wanted if wanted != "auto" else ("16-mixed" if self.device.type == "cuda" else "32-true")

    def make_optimizer(self) -> torch.optim.Adam:
        """Return Adam over all of the task's weights."""
        return torch.optim.Adam(self.task.parameters(), lr=self.config.lr)

    def noise(self, epoch: int, *, validation: bool = False) -> torch.Generator:
        """Return the generator of an epoch's noise; it depends on seed and epoch only, so resuming repeats it."""
        seed = self.config.seed * 1_000_003 + (_VALIDATION_STREAM if validation else epoch)
        return torch.Generator(self.device).manual_seed(seed)

    def weights(self) -> Weights:
        """Return copies of what a run exports."""
        fusion = self.task.fusion_state()
        return {"encoder": self.task.encoder_state(), **({"fusion": fusion} if fusion is not None else {})}


class EpochRun:
    """The bookkeeping of one epoch."""

    def __init__(self, session: Session, epoch: int, global_step: int) -> None:
        """Begin an epoch.

        Args:
            session: of the run.
            epoch: from 0.
            global_step: optimiser steps before it.
        """
        self._session = session
        self.epoch = epoch
        self.global_step = global_step
        self.noise = session.noise(epoch)
        self.val_noise = session.noise(epoch, validation=True)
        self._train_meter, self._val_meter = LossMeter(), LossMeter()
        self._started = time.monotonic()
        self._train_ended: float | None = None
        session.train.epoch = epoch
        if session.val is not None:
            session.val.epoch = epoch

    def trained(self, result: TaskLoss, samples: int) -> None:
        """Note a finished training step."""
        self._train_meter.add({"loss": result.loss, **result.parts}, samples)
        self.global_step += 1
        if self.global_step % self._session.config.lightning.log_every_n_steps == 0:
            loss = {"train_loss_step": float(result.loss.detach())}
            self._session.sinks.log(loss, step=self.global_step, epoch=self.epoch)
        self._train_ended = time.monotonic()

    def validated(self, result: TaskLoss, samples: int) -> None:
        """Note a finished validation batch."""
        self._val_meter.add({"loss": result.loss, **result.parts}, samples)

    def finish(self, write_state: Callable[[Path], None]) -> None:
        """Record the epoch, log it and save the training state.

        Args:
            write_state: writes the loop's state to a path; called after the recorder knows the epoch.

        Raises:
            DivergedError: the loss is no longer a number.
        """
        session = self._session
        elapsed_s = (self._train_ended or time.monotonic()) - self._started
        metrics = self._train_meter.means("train")
        if self._val_meter.samples:
            metrics |= self._val_meter.means("val")
        broken = [name for name, value in metrics.items() if not math.isfinite(value)]
        if broken:
            raise DivergedError(
                f"{broken[0]} is {metrics[broken[0]]} after epoch {self.epoch + 1}: training diverged. Use a smaller "
                "--lr, a smaller --grad-clip or --precision 32-true."
            )
        metrics |= {
            "step": self.global_step,
            "lr": session.config.lr,
            "samples_per_s": self._train_meter.samples / max(elapsed_s, 1e-9),
        }
        is_best = session.recorder.record(metrics, session.weights)
        losses = ", ".join(f"{name} {metrics[name]:.5f}" for name in ("train_loss", "val_loss") if name in metrics)
        session.say(f"epoch {self.epoch + 1} of {session.config.epochs}: {losses}{' (best so far)' if is_best else ''}")
        session.sinks.log(metrics, step=self.global_step, epoch=self.epoch)
        session.sinks.flush()
        session.keeper.save(self.epoch, session.recorder.rows, write_state)
        session.recorder.write()  # after the state: a table that tells of more epochs than the states looks like a loss

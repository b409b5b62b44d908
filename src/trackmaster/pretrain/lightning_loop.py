"""The training loop of PyTorch Lightning: devices, mixed precision, clipping and profiling are its business."""

import logging
import warnings
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor

from trackmaster.pretrain.checkpoints import HISTORY_KEY
from trackmaster.pretrain.errors import PretrainError
from trackmaster.pretrain.session import EpochRun, Session


class _TaskModule(pl.LightningModule):
    """A session's task in the form Lightning drives."""

    def __init__(self, session: Session) -> None:
        """Wrap the task; nothing is saved as hyper-parameter, so checkpoints hold plain types only."""
        super().__init__()
        self.task = session.task
        self._session = session
        self._epoch: EpochRun | None = None
        self.is_restored = False

    @property
    def running(self) -> EpochRun:
        """The epoch in progress."""
        if self._epoch is None:
            raise RuntimeError("no epoch has begun")
        return self._epoch

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return the session's optimiser."""
        return self._session.make_optimizer()

    def on_train_epoch_start(self) -> None:
        """Begin the bookkeeping of an epoch; the feeds have not started yet."""
        self.is_restored = True
        self._epoch = EpochRun(self._session, self.current_epoch, self.global_step)

    def training_step(self, batch: Tensor, index: int) -> Tensor:
        """Return the loss of a batch."""
        del index
        self._session.stop.check()
        result = self.task.batch_loss(batch, self.running.noise)
        self.running.trained(result, len(batch))
        loss: Tensor = result.loss
        return loss

    def validation_step(self, batch: Tensor, index: int) -> None:
        """Add a batch to the validation loss."""
        del index
        self._session.stop.check()
        self.running.validated(self.task.batch_loss(batch, self.running.val_noise), len(batch))

    def on_train_epoch_end(self) -> None:
        """Record the epoch; Lightning counts it as processed by now, so the saved state continues after it."""
        self.running.finish(self.trainer.save_checkpoint)
        self.trainer.should_stop = self._session.recorder.should_stop

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Put the history into a training state."""
        checkpoint[HISTORY_KEY] = self._session.recorder.state_dict()


def train_lightning(session: Session, checkpoint: Path | None = None) -> None:
    """Run the remaining epochs of a session.

    Args:
        session: of the run.
        checkpoint: training state to continue from.

    Raises:
        PretrainError: the loss is no longer a number, or the checkpoint is of another loop or network.
        StoppedError: a stop was asked for.
    """
    options = session.config.lightning
    # Its notes about devices and tips would drown ours; the profiler reports through the same logger.
    logging.getLogger("lightning.pytorch").setLevel(logging.INFO if options.profiler else logging.WARNING)
    with warnings.catch_warnings():
        # Lightning passes torch a scheduler argument that torch is about to rename; nothing of ours is concerned.
        warnings.simplefilter("ignore", FutureWarning)
        warnings.filterwarnings("ignore", message="You defined a `validation_step` but have no `val_dataloader`")
        trainer = pl.Trainer(
            accelerator=session.device.type,
            devices=1,
            precision=session.precision,  # type: ignore[arg-type]
            max_epochs=session.config.epochs,
            gradient_clip_val=session.config.grad_clip or None,
            profiler=options.profiler,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
        module = _TaskModule(session)
        try:
            trainer.fit(module, session.train, session.val, ckpt_path=checkpoint, weights_only=True)
        except (KeyError, RuntimeError, TypeError) as error:
            if checkpoint is None or module.is_restored:
                raise
            raise PretrainError(
                f"{checkpoint}: does not fit this run ({error}). Resume with the framework and settings it began "
                "with, or start a new run."
            ) from None

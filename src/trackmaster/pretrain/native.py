"""The training loop in plain torch: the same run as with Lightning, with one dependency less to debug."""

from pathlib import Path
from typing import Any

import torch

from trackmaster.nn.torch_writing import write_torch
from trackmaster.pretrain.checkpoints import HISTORY_KEY
from trackmaster.pretrain.errors import PretrainError
from trackmaster.pretrain.session import EpochRun, Session

_AUTOCAST = {"32-true": None, "bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}


def train_native(session: Session, checkpoint: Path | None = None) -> None:
    """Run the remaining epochs of a session.

    Args:
        session: of the run.
        checkpoint: training state to continue from.

    Raises:
        PretrainError: the loss is no longer a number, or the checkpoint is of another loop or network.
        StoppedError: a stop was asked for.
    """
    task = session.task.to(session.device)
    optimizer = session.make_optimizer()
    scaler = torch.amp.GradScaler(session.device.type, enabled=session.precision == "16-mixed")
    global_step = 0
    if checkpoint is not None:
        state = _load(checkpoint, session)
        try:
            task.load_state_dict(state["task"])
            optimizer.load_state_dict(state["optimizer"])
            scaler.load_state_dict(state["scaler"])
            global_step = int(state["global_step"])
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            raise PretrainError(f"{checkpoint}: does not fit this run ({error}). Start a new run.") from None

    while not session.is_finished:
        epoch = EpochRun(session, session.recorder.epochs_done, global_step)
        _train_epoch(session, epoch, optimizer, scaler)
        _validate(session, epoch)
        global_step = epoch.global_step

        def write_state(path: Path, step: int = global_step) -> None:
            write_torch(
                {
                    "framework": "native",
                    "global_step": step,
                    "task": task.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "scaler": scaler.state_dict(),
                    HISTORY_KEY: session.recorder.state_dict(),
                },
                path,
            )

        epoch.finish(write_state)


def _train_epoch(
    session: Session, epoch: EpochRun, optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler
) -> None:
    task, clip = session.task.train(), session.config.grad_clip
    for batch in session.train:
        session.stop.check()
        frames = batch.to(session.device, non_blocking=True)
        with _autocast(session):
            result = task.batch_loss(frames, epoch.noise)
        optimizer.zero_grad(set_to_none=True)
        scaler.scale(result.loss).backward()  # type: ignore[no-untyped-call]
        if clip > 0:
            scaler.unscale_(optimizer)
            torch.nn.utils.clip_grad_norm_(task.parameters(), clip)
        scaler.step(optimizer)
        scaler.update()
        epoch.trained(result, len(frames))


@torch.no_grad()
def _validate(session: Session, epoch: EpochRun) -> None:
    if session.val is None:
        return
    task = session.task.eval()
    for batch in session.val:
        session.stop.check()
        frames = batch.to(session.device, non_blocking=True)
        with _autocast(session):
            result = task.batch_loss(frames, epoch.val_noise)
        epoch.validated(result, len(frames))


def _autocast(session: Session) -> torch.autocast:
    dtype = _AUTOCAST[session.precision]
    return torch.autocast(session.device.type, dtype=dtype or torch.bfloat16, enabled=dtype is not None)


def _load(checkpoint: Path, session: Session) -> dict[str, Any]:
    try:
        state = torch.load(checkpoint, map_location=session.device, weights_only=True)
    except Exception as error:
        raise PretrainError(
            f"{checkpoint}: is no training state that can be read ({error}). Start a new run."
        ) from None
    if not isinstance(state, dict) or state.get("framework") != "native":
        raise PretrainError(
            f"{checkpoint}: was not written by the native loop. Resume with the framework it began with."
        )
    return state

"""The trainer's role: a training, its link to the workers, its checkpoints and where its numbers go."""

import contextlib
import functools
import itertools
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, TextIO, runtime_checkable

from trackmaster.distributed.disk_trouble import DiskTrouble
from trackmaster.distributed.link.server_link import Acknowledge, MakeColumns, ServerLink, say_ignored
from trackmaster.distributed.policy_files import PolicyFiles
from trackmaster.distributed.run_checkpoint import load_training, save_training
from trackmaster.distributed.security.join_string import DEFAULT_PORT
from trackmaster.distributed.training_guard import TrainingGuard
from trackmaster.distributed.training_offline import TorchTrainingOffline
from trackmaster.distributed.transport.contract import TrainerEnd
from trackmaster.distributed.wandb_log import WandbLog
from trackmaster.rl.files.checkpoint import CheckpointError
from trackmaster.rl.metrics import MetricsLogger

MakeEnd = Callable[[TorchTrainingOffline], TrainerEnd]
Note = Callable[[Mapping[str, float]], None]
NUMBERS = "The numbers of the training"


@runtime_checkable
class Confirming(Protocol):
    """A link that keeps what it has handed over until it is told that it is on disk."""

    def confirm(self) -> None:
        """Everything handed over so far is on disk."""
        ...


@runtime_checkable
class Withholding(Confirming, Protocol):
    """Such a link whose workers may be told to wait until then."""

    @property
    def waits_for_disk(self) -> bool:
        """Whether the other side keeps everything until it is told."""
        ...


class Trainer:
    """Trains until every epoch is done; continues from its checkpoint if there is one.

    Args:
        training_cls: makes the training, a partial of ``TorchTrainingOffline``.
        server_ip: of the server, this machine when left out; or a join string.
        server_port: of the server.
        password: of the server.
        security: None, or "TLS".
        model_path: local copy of the policy as published last.
        checkpoint_path: where the whole state is saved at the end of every epoch and on Ctrl+C; None saves nothing.
        dump_run_instance_fn: (training, path) writes a checkpoint in another way.
        load_run_instance_fn: (path) returns a training from such a checkpoint.
        updater_fn: (training, training_cls) changes a continued training and may return another one.
        ignored: ``local_port``, ``header_size``, ``max_buf_len``, ``keys_dir`` and ``hostname`` of tmrl, which mean
            nothing here.
        allow_insecure: plain text to another machine.
        end: another link to the workers, or what makes it from the training.
        columns: makes the columns of the samples from observation and action space; workers that send others end with
            a sentence. Without it the first samples that arrive decide, and what differs from them is left out.
        logs_path: folder of ``metrics.jsonl`` and ``tensorboard/``; None writes none.
        model_history: keep every n-th published policy beside ``model_path``; 0 keeps none.
        reset_training: continue with the memory and a new agent.
        keep_best: states of the rounds with the best test returns to keep beside the checkpoint; 0 keeps none.
        collapse_rounds: rounds in a row with far worse test returns that lead back to the best state; 0 never does.
        say: where lines for people go.
    """

    def __init__(
        self,
        training_cls: Callable[[], TorchTrainingOffline],
        server_ip: str | None = None,
        server_port: int = DEFAULT_PORT,
        password: str | None = None,
        security: str | None = None,
        model_path: str | Path | None = None,
        checkpoint_path: str | Path | None = None,
        dump_run_instance_fn: Callable[[Any, Any], None] | None = None,
        load_run_instance_fn: Callable[[Any], Any] | None = None,
        updater_fn: Callable[[Any, Any], Any] | None = None,
        *,
        allow_insecure: bool = False,
        end: TrainerEnd | MakeEnd | None = None,
        columns: MakeColumns | None = None,
        logs_path: str | Path | None = None,
        model_history: int = 0,
        reset_training: bool = False,
        keep_best: int = 3,
        collapse_rounds: int = 10,
        say: Callable[[str], None] = print,
        **ignored: Any,
    ) -> None:
        say_ignored(**ignored)
        link = ServerLink(server_ip, server_port, password, security, allow_insecure)
        if end is None:
            link.address()  # before a checkpoint is read
        self._training_cls, self._say, self._trouble = training_cls, say, DiskTrouble(say)
        self.is_saved = False
        """Whether the last attempt to write the checkpoint came to its end."""
        self._checkpoint = Path(checkpoint_path) if checkpoint_path else None
        self._dump, self._load, self._update = dump_run_instance_fn, load_run_instance_fn, updater_fn
        self._reset = reset_training
        self.files = PolicyFiles(model_path, every=model_history)
        self._logs = Path(logs_path) if logs_path else None
        is_new = self._checkpoint is None or reset_training or not self._checkpoint.exists()
        self.training = self._begin()
        self._guard: TrainingGuard | None = None
        if self._checkpoint is not None:
            best = best_folder(self._checkpoint)
            if is_new:  # it would lead a new agent back to the best state of the old one
                set_aside(best, say)
            self._guard = TrainingGuard(best, keep=keep_best, patience=collapse_rounds, say=say)
        acknowledge: Acknowledge = "received" if self._checkpoint is None else "saved"
        connect = functools.partial(_connect, link, columns=columns, acknowledge=acknowledge, say=say)
        self.end = connect(self.training) if end is None else end(self.training) if callable(end) else end

    def run(self) -> None:
        """Train to the end.

        Raises:
            KeyboardInterrupt: the user stopped; the checkpoint has been written before, see ``is_saved``.
            TransportError: the link is gone for good; the checkpoint has been written before.
            CheckpointError: the disk refused the end of the training; what was saved before is whole.
        """
        self._run()

    def run_with_wandb(self, entity: str, project: str, run_id: str, key: str | None = None) -> None:
        """Train to the end and send the numbers of every round to Weights & Biases, as long as it can be reached.

        Args:
            entity: user or team there.
            project: its project.
            run_id: name of the run; one that exists is continued.
            key: API key; the environment's ``WANDB_API_KEY`` when left out.

        Raises:
            ConfigError: the package is not installed.
        """
        config = {
            name: value for name, value in vars(self.training).items()
            if not name.startswith("_") and isinstance(value, (int, float, str))
        }  # fmt: skip
        log = WandbLog(entity, project, run_id, key=key, config=config, say=self._say)
        try:
            self._run(log)
        finally:
            log.close()

    def close(self) -> None:
        """Say goodbye to the workers."""
        self.end.close()

    def _begin(self) -> TorchTrainingOffline:
        path = self._checkpoint
        if path is None or not path.exists():
            return self._training_cls()
        if self._load is not None:
            training: TorchTrainingOffline = self._load(str(path))
        else:
            training = self._training_cls()
            load_training(training, path, reset_agent=self._reset, say=self._say)
        self._say(
            f"Continuing from {path}: epoch {training.epoch + 1}, {training.total_updates} training steps, "
            f"{len(training.memory)} transitions in the memory."
        )
        if self._update is not None:
            training = self._update(training, self._training_cls) or training
        return training

    def _run(self, extra: WandbLog | None = None) -> None:
        training = self.training
        with _Logs(self._logs, training, self._trouble) as logs:
            try:
                training.publish(self.end)
                notes: list[Note] = [logs.note] if extra is None else [logs.note, extra.note]
                while not training.is_over:
                    training.run_epoch(self.end, lambda stats: self._note(stats, notes), self._let_go)
                    self._save()
                    if extra is not None and self.files.path is not None:
                        extra.keep(self.files.path)
                training.publish(self.end)
                self._keep_policy()
            except BaseException:
                self._save_what_can_be()
                raise
        if self._checkpoint is not None and not self.is_saved:
            raise CheckpointError(
                f"{self._checkpoint}: the end of the training could not be saved. Make room and start it again: it "
                "goes on from what was saved before."
            )

    def _note(self, stats: Mapping[str, float], notes: list[Note]) -> None:
        for note in notes:
            note(stats)
        if self._guard is not None and self._guard.note(stats, self.training):
            self.training.publish(self.end)
        self._keep_policy()

    def _let_go(self) -> bool:
        """Save in the middle of an epoch where workers may be waiting for nothing else; return whether they need not.

        They drive until nothing more fits into their outboxes, and may forget none of it before it is on our disk.
        """
        if not (isinstance(self.end, Withholding) and self.end.waits_for_disk):
            return True
        self._save()
        return self.is_saved

    def _keep_policy(self) -> None:
        with self._trouble.survived("The local copy of the policy"):
            self.files.keep(self.training.agent.get_actor(), self.training.weights_version)

    def _save_what_can_be(self) -> None:
        """Save at an end in the middle; where the memory itself fails, nothing is confirmed that it did not take."""
        try:
            self.training.take_rest()
        except Exception as error:
            self._say(f"{type(self.training.memory).__name__} failed to store what had arrived: {error}")
            self._save(confirms=False)
        else:
            self._save()

    def _save(self, *, confirms: bool = True) -> None:
        self.is_saved = False
        if self._checkpoint is None:
            return
        with self._trouble.survived(f"The checkpoint {self._checkpoint}"):
            if self._dump is not None:
                self._dump(self.training, str(self._checkpoint))
            else:
                save_training(self.training, self._checkpoint, say=self._say)
            self.is_saved = True
        if self.is_saved and confirms and isinstance(self.end, Confirming):
            self.end.confirm()


def best_folder(checkpoint: Path) -> Path:
    """Return where the best states of a run lie."""
    return checkpoint.with_name(f"{checkpoint.stem}.best")


def set_aside(best: Path, say: Callable[[str], None] = print) -> None:
    """Rename the best states of a run whose agent is not continued."""
    if not best.exists():
        return
    numbered = (best.with_name(f"{best.name}-{number}") for number in itertools.count(1))
    place = next(path for path in numbered if not path.exists())
    best.rename(place)
    say(f"The best states of the agent before are in {place}.")


def _connect(
    link: ServerLink, training: TorchTrainingOffline, *, columns: MakeColumns | None, acknowledge: Acknowledge,
    say: Callable[[str], None],
) -> TrainerEnd:  # fmt: skip
    return link.trainer_end(
        training.observation_space, training.action_space, columns=columns, marks=training.marks(),
        acknowledge=acknowledge, say=say,
    )  # fmt: skip


class _Logs:
    """``metrics.jsonl`` with one line per round, and TensorBoard."""

    def __init__(self, folder: Path | None, training: TorchTrainingOffline, trouble: DiskTrouble) -> None:
        self._training, self._trouble = training, trouble
        self._file: TextIO | None = None
        self._events: MetricsLogger | None = None
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = (folder / "metrics.jsonl").open("a", encoding="utf-8")
            self._events = MetricsLogger(folder / "tensorboard", None)

    def note(self, stats: Mapping[str, float]) -> None:
        training = self._training
        if self._file is None or self._events is None:
            return
        counters = {
            "epoch": training.epoch, "round": training.round, "total_updates": training.total_updates,
            "total_samples": training.total_samples,
        }  # fmt: skip
        finite = {name: value if math.isfinite(value) else None for name, value in stats.items()}
        known = {name: value for name, value in stats.items() if not math.isnan(value)}
        with self._trouble.survived(NUMBERS):
            self._file.write(json.dumps({**counters, **finite}) + "\n")
            self._file.flush()  # before the events, whose writer would die of a full disk
            self._events.log(known, env_steps=training.total_samples, train_steps=training.total_updates)

    def __enter__(self) -> "_Logs":
        return self

    def __exit__(self, *_: object) -> None:
        with self._trouble.survived(NUMBERS), contextlib.ExitStack() as stack:
            for file in (self._file, self._events):
                if file is not None:
                    stack.callback(file.close)

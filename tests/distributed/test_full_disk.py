"""The disk of a trainer is full: the run goes on and says so, and nothing is confirmed that is not on it."""

import errno
import functools
import importlib
import json
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from tests.distributed.test_training import Build, build
from tests.distributed.test_training_guard import Agent, course
from tests.full_disk import full_disk

from trackmaster.distributed.disk_trouble import DiskTrouble
from trackmaster.distributed.racing.trainer import RacingTrainer
from trackmaster.distributed.rollout_worker import RolloutWorker
from trackmaster.distributed.trainer import Trainer
from trackmaster.distributed.training_offline import TorchTrainingOffline
from trackmaster.distributed.transport.contract import RemoteTrainerEnd
from trackmaster.distributed.transport.in_process import InProcessTransport
from trackmaster.rl.files.checkpoint import CheckpointError, CheckpointStore
from trackmaster.rl.memory.tm_memories import GenericTorchMemory
from trackmaster.rl.metrics import MetricsLogger

__all__ = ["build"]
MANY = {"save_interval_s": 1e-9, "metrics_interval_s": 1e-9, "evaluate_every_frames": 192, "learning_start": 10_000}


class Remote:
    """A link that counts what is confirmed."""

    def __init__(self, link: Any) -> None:
        self.recv_chunks, self.publish, self.check_workers = link.recv_chunks, link.publish, link.check_workers
        self.close = link.close
        self.confirmed = 0

    def marks(self) -> dict[str, int]:
        return {"00" * 16: 1}

    def confirm(self) -> None:
        self.confirmed += 1

    def leave_workers(self) -> None:
        pass


def turns(trainer: RacingTrainer, n: int) -> None:
    for _ in range(n):
        trainer.turn()


def saved_frames(folder: Path) -> int:
    """Decisions of the newest intact snapshot."""
    return int(CheckpointStore(folder).load()[2]["cumul_number_frames_played"])


def test_a_full_disk_ends_no_run_and_nothing_is_confirmed_that_is_not_saved(build: Build, tmp_path: Path) -> None:
    said: list[str] = []
    trainer, _ = build(save=True, say=said.append, memory_rows=2_000, save_memory=True, keep_best=2, **MANY)
    trainer._end = remote = Remote(trainer._end)
    assert isinstance(remote, RemoteTrainerEnd)
    trainer._publish()
    turns(trainer, 3)
    before, confirmed = saved_frames(tmp_path / "save"), remote.confirmed
    assert confirmed > 0
    with full_disk():
        turns(trainer, 3)
        assert not trainer.is_saved
    assert remote.confirmed == confirmed
    assert saved_frames(tmp_path / "save") == before, "what was saved before is whole"
    refused = [line for line in said if "could not be written" in line]
    assert len(refused) == len({line.split(" could")[0] for line in refused}), "one sentence for each"
    assert any("The run in" in line for line in refused), refused
    turns(trainer, 1)
    assert trainer.is_saved
    assert remote.confirmed == confirmed + 1
    assert saved_frames(tmp_path / "save") == trainer.stats.cumul_number_frames_played > before
    for line in (tmp_path / "save" / "evaluations.jsonl").read_text().splitlines():
        assert json.loads(line)["track"] == "lane"


def test_a_snapshot_that_cannot_be_saved_leaves_no_memory_in_the_way(
    build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer, agent = build(save=True, memory_rows=2_000, save_memory=True)
    trainer._save()
    before = sorted((tmp_path / "save" / "memory").iterdir())

    def refused(folder: Path) -> dict[str, Any]:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(agent, "save", refused)
    trainer._save()
    assert not trainer.is_saved
    assert sorted((tmp_path / "save" / "memory").iterdir()) == before != []


def test_an_end_that_cannot_be_saved_is_an_error_that_says_how_to_go_on(build: Build, tmp_path: Path) -> None:
    trainer, _ = build(save=True, max_frames=200, memory_rows=2_000, save_interval_s=1e9, keep_best=1)
    trainer._save()
    with full_disk(), pytest.raises(CheckpointError, match=r"end of the run could not be saved.*--resume"):
        trainer.run()
    assert saved_frames(tmp_path / "save") == 0


def test_a_best_state_that_could_not_be_kept_is_not_told_as_kept(build: Build, tmp_path: Path) -> None:
    said: list[str] = []
    trainer, _ = build(save=True, say=said.append, memory_rows=2_000, **MANY)
    trainer._save()
    with full_disk():
        trainer._evaluate()
    trainer._tell_best()
    assert "Its weights could not be written to" in said[-1]
    assert not (tmp_path / "save" / "best_eval").exists()
    trainer.stats.begins_prepared = True  # random weights are nothing to go back to
    trainer._collapse.note = lambda evaluations: True  # type: ignore[method-assign]
    trainer._guard({}, is_best=False)
    assert "going on from where the run is" in said[-1]


def test_ctrl_c_on_a_full_disk_is_still_ctrl_c(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    trainer, _ = build(save=True, say=said.append, memory_rows=2_000)

    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(trainer, "turn", interrupt)
    with full_disk(), pytest.raises(KeyboardInterrupt):
        trainer.run()
    assert not trainer.is_saved
    assert any("could not be written" in line for line in said)


def log(logger: MetricsLogger, number: int) -> None:
    logger.log({"a": float(number)}, env_steps=number, train_steps=number)


def test_numbers_go_on_when_there_is_room_again(tmp_path: Path) -> None:
    with MetricsLogger(tmp_path / "events", tmp_path / "metrics.csv") as logger:
        for number in range(60):
            log(logger, number)
        with full_disk(), pytest.raises(OSError, match="too large"):
            log(logger, 60)
        log(logger, 61)
    rows = [line.split(",") for line in (tmp_path / "metrics.csv").read_text().splitlines()]
    assert {len(row) for row in rows} == {5}, "no line is torn"
    assert [float(row[4]) for row in rows[1:]] == [float(number) for number in range(62)]
    assert len(list((tmp_path / "events").iterdir())) == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_events_go_on_in_another_file_where_their_own_was_cut(tmp_path: Path) -> None:
    earlier = set(threading.enumerate())
    with MetricsLogger(tmp_path, None) as logger:
        for number in range(60):
            log(logger, number)
        with full_disk(), pytest.raises(OSError, match="too large"):
            log(logger, 60)
        for thread in set(threading.enumerate()) - earlier:  # it dies of the disk, and may not do so in another test
            thread.join(60.0)
        log(logger, 61)
    assert len(list(tmp_path.iterdir())) == 2


def test_each_outage_is_told_once() -> None:
    said: list[str] = []
    trouble = DiskTrouble(said.append)
    for fails in (True, True, False, True):
        with trouble.survived("A file"):
            if fails:
                raise OSError(28, "No space left on device", "/data/file")
    assert said == [said[0]] * 2
    assert said[0].startswith("A file could not be written (/data/file: No space left on device).")


# The trainer of a config.json ---------------------------------------------------------------------------------------


class Confirmed(InProcessTransport):
    """Counts how often what it has handed over was said to be on disk."""

    def __init__(self) -> None:
        super().__init__(100_000)
        self.confirmed = 0

    def confirm(self) -> None:
        self.confirmed += 1


@pytest.fixture
def control(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(Path(__file__).parent)
    return importlib.import_module("toy_control")


def control_trainer(control: ModuleType, folder: Path, said: list[str], **more: Any) -> tuple[Trainer, Confirmed]:
    link = Confirmed()
    worker = RolloutWorker(control.Follow, control.Actor, end=link, say=lambda line: None)
    link.pump = functools.partial(worker.run, test_episode_interval=1, nb_episodes=1, verbose=False)
    training = functools.partial(
        TorchTrainingOffline, control.Follow, functools.partial(GenericTorchMemory, memory_size=500, batch_size=16),
        control.ToySAC, epochs=3, rounds=2, steps=10, device="cpu", say=said.append,
    )  # fmt: skip
    trainer = Trainer(
        training, end=link, checkpoint_path=folder / "run.tcpt", model_path=folder / "run_t.tmod",
        logs_path=folder / "logs", say=said.append, **more,
    )  # fmt: skip
    return trainer, link


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_full_disk_does_not_end_the_trainer_of_a_config_json(
    control: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    trainer, link = control_trainer(control, tmp_path, said)
    training, epochs = trainer.training, iter((False, True, False))
    run_epoch = training.run_epoch

    def epoch(*args: Any) -> Any:
        found = run_epoch(*args)
        if next(epochs):  # the disk is full when the second epoch is to be saved
            full = full_disk()
            full.__enter__()
            monkeypatch.setattr(training, "run_epoch", lambda *a: (full.__exit__(None, None, None), epoch(*a))[1])
        return found

    monkeypatch.setattr(training, "run_epoch", epoch)
    trainer.run()
    assert trainer.is_saved
    assert training.is_over
    assert link.confirmed == 2, "what was not saved was not confirmed"
    assert sum("could not be written" in line and "run.tcpt" in line for line in said) == 1, said
    rounds = [json.loads(line) for line in (tmp_path / "logs" / "metrics.jsonl").read_text().splitlines()]
    assert len(rounds) == 6, "no line is torn or missing"
    again, _ = control_trainer(control, tmp_path, said)
    assert again.training.total_updates == training.total_updates == 60


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_end_of_the_training_that_cannot_be_saved_says_how_to_go_on(control: ModuleType, tmp_path: Path) -> None:
    said: list[str] = []
    trainer, link = control_trainer(control, tmp_path, said, keep_best=1)
    trainer._save()
    with full_disk(), pytest.raises(CheckpointError, match=r"end of the training could not be saved.*start it again"):
        trainer.run()
    assert (trainer.training.is_over, trainer.is_saved, link.confirmed) == (True, False, 1)
    for what in ("The checkpoint", "The local copy of the policy", "The numbers of the training"):
        assert sum(line.startswith(what) for line in said) == 1, said
    again, _ = control_trainer(control, tmp_path, said)
    assert again.training.total_updates == 0, "the earlier checkpoint is whole"
    again.run()
    assert again.is_saved


def test_a_guard_whose_snapshots_cannot_be_written_leads_nowhere(tmp_path: Path) -> None:
    class Large(Agent):
        def save(self, folder: Path) -> dict[str, Any]:
            np.save(folder / "large.npy", np.zeros(1_000))
            return super().save(folder)

    with full_disk():
        agent, led_back = course(tmp_path, [0.0, 10.0, 1.0, 1.0], Large(), patience=2)
    assert agent.skill == 1.0
    assert led_back == [False] * 4
    _, led_back = course(tmp_path, [10.0, 1.0, 1.0], agent, patience=2)
    assert led_back == [False, False, True], "there is room again"


def test_a_worker_whose_disk_is_full_drives_on_with_the_newest_policy(control: ModuleType, tmp_path: Path) -> None:
    said: list[str] = []
    trainer, link = control_trainer(control, tmp_path, said)
    trainer.training.publish(link)
    worker = RolloutWorker(control.Follow, control.Actor, end=link, model_path=tmp_path / "w.tmod", say=said.append)
    with full_disk():
        assert worker.update_actor_weights() == 1
    assert any("The local copy of the policy could not be written" in line for line in said)
    assert not (tmp_path / "w.tmod").exists()

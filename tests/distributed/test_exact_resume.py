"""A run that is killed at any moment and continued ends exactly as one that was never stopped."""

import contextlib
import itertools
import json
import os
import random
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.distributed.test_train import SMALL, TRACK

from trackmaster import files
from trackmaster.distributed.racing import train as train_module
from trackmaster.distributed.racing.environments import load_tracks, make_racing_env
from trackmaster.distributed.racing.train import train
from trackmaster.distributed.racing.trainer import RacingTrainer
from trackmaster.errors import TrackmasterError
from trackmaster.rl.config.training import TrainConfig
from trackmaster.rl.evaluation.log import read_evaluations
from trackmaster.rl.files.state_files import read_tree, write_tree
from trackmaster.rl.metrics import MetricsLogger
from trackmaster.rl.samples.chunk import SampleError

FLAGS = [
    *(flag for flag in SMALL if flag not in ("--memory.memory-size-schedule", "[[0,2000,200]]")), *TRACK,
    "--training.max-frames", "700", "--training.batch-size", "16", "--environment.n-envs", "2",
    "--neural-network.number-memories-trained-on-between-target-network-updates", "16",
    "--memory.memory-size-schedule", "[[0,150,60]]", "--memory.prio-alpha", "0.5", "--memory.save-with-checkpoint",
    "--memory.number-times-single-memory-is-used-before-discard", "2", "--evaluation.every-frames", "300",
    "--evaluation.attempts", "1", "--environment.snapshot-start-fraction", "0.5", "--performance.chunk-rows", "20",
    "--performance.send-shared-network-every-n-batches", "3", "--exploration.random-action-weights",
    "[8,1,1,0,0,0,0,0,0,0,0,0]", "--environment.cutoff-rollout-if-race-not-finished-within-duration-ms", "4000",
    "--environment.snapshot-margin-ticks", "20", "--performance.save-interval-s", "30",
    "--performance.metrics-interval-s", "100", "--device", "cpu", "--no-use-tqdm",
]  # fmt: skip
TIMES = {"first_finish_s", "first_eval_finish_s", "cumul_training_hours"}


def outcome(folder: Path) -> dict[str, object]:
    """Return what does not depend on how long anything took."""
    stats = json.loads((folder / "accumulated_stats.json").read_text())
    state = json.loads((folder / "state.json").read_text())
    rows = [(r.track, r.env_steps, r.train_steps, r.progress_m, r.race_time_ms)
            for r in read_evaluations(folder / "evaluations.jsonl")]  # fmt: skip
    files_of = {
        "1": folder / "weights1.torch",
        "2": folder / "weights2.torch",
        "best": folder / "best_eval/weights1.torch",
    }
    weights = {name: torch.load(path, weights_only=True) for name, path in files_of.items()}
    sums = {f"{n}.{k}": v.double().sum().item() for n, w in weights.items() for k, v in w.items()}
    generator = state["agent"]["generator"]
    return {"stats": {k: v for k, v in stats.items() if k not in TIMES}, "rows": rows, "sums": sums,
            "generator": generator}  # fmt: skip


class Ticking:
    """A clock that moves one second per look: saving happens at counted moments."""

    def __init__(self) -> None:
        self._count = itertools.count()

    def __call__(self) -> float:
        return float(next(self._count))


def ticking(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Ticking()

    class TickingTrainer(RacingTrainer):
        def __init__(self, *args: object, **options: object) -> None:
            super().__init__(*args, **{**options, "clock": clock})  # type: ignore[arg-type]

    class QuickLogger(MetricsLogger):
        """Without TensorBoard, which costs more than the run."""

        def __init__(self, tensorboard_dir: Path | None, csv_path: Path | None, **options: object) -> None:
            super().__init__(None, csv_path, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(train_module, "RacingTrainer", TickingTrainer)
    monkeypatch.setattr(train_module, "MetricsLogger", QuickLogger)


@contextlib.contextmanager
def counted(monkeypatch: pytest.MonkeyPatch, event: Callable[[], None]) -> Iterator[None]:
    """Call ``event`` before every turn, every rename, every link, every removal and every array that is written."""
    with monkeypatch.context() as patch:
        for owner, name in (
            (RacingTrainer, "turn"), (Path, "replace"), (os, "link"), (shutil, "rmtree"), (np, "save"), (torch, "save"),
            (Path, "write_text"), (files, "swap_in"),
        ):  # fmt: skip
            original = getattr(owner, name)

            def wrapped(*args: object, _original: Callable[..., object] = original, **options: object) -> object:
                event()
                return _original(*args, **options)

            patch.setattr(owner, name, wrapped)
        yield


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a copy of this process")
def test_killed_at_ten_random_moments_a_run_ends_as_if_never_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = TrainConfig.load(FLAGS)
    ticking(monkeypatch)
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "save" / "small"
    events = itertools.count(1)
    with counted(monkeypatch, lambda: next(events)):
        train(config, say=lambda line: None)
    n_events = next(events) - 1
    expected = outcome(folder)
    assert expected["stats"]["cumul_number_batches_done"] > 20  # type: ignore[index]
    shutil.rmtree(tmp_path / "save")
    rng, killed = random.Random(7), 0
    for _ in range(10):
        moment = rng.randrange(1, n_events // 3)
        if folder.exists():
            shutil.copytree(folder, tmp_path / "before_kill", dirs_exist_ok=True)
        child = os.fork()
        if child == 0:
            left = itertools.count(1)

            def die(moment: int = moment, left: Iterator[int] = left) -> None:
                if next(left) == moment:
                    os.kill(os.getpid(), signal.SIGKILL)

            try:
                with counted(monkeypatch, die):
                    train(config, say=lambda line: None)
            finally:
                os._exit(0)
        killed += os.waitpid(child, 0)[1] == signal.SIGKILL
    assert killed >= 5, "the moments lie inside the run"
    train(config, say=lambda line: None)
    assert outcome(folder) == expected


def test_an_environment_goes_on_bit_for_bit_from_its_state(tmp_path: Path) -> None:
    config = TrainConfig.load([*TRACK, "--environment.snapshot-start-fraction", "0.5", "--neural-network.n-frames", "2",
                               "--environment.snapshot-margin-ticks", "20",
                               "--environment.cutoff-rollout-if-no-vcp-passed-within-duration-ms", "600"])  # fmt: skip
    tracks = {"first": load_tracks(config)[0]}
    first, second = (make_racing_env(config, tracks, (0, 0, 0), seed=seed) for seed in (1, 2))
    rng = np.random.default_rng(0)
    first.reset()

    def drive(env: object, actions: np.ndarray) -> tuple[np.ndarray, ...]:
        observation, reward, terminated, truncated, info = env.step(actions)  # type: ignore[attr-defined]
        over = terminated | truncated
        if over.any():
            observation, info = env.reset(options={"reset_mask": over})  # type: ignore[attr-defined]
        return observation["image"], observation["floats"], reward, over, info["time_ms"], info["potential"]

    for _ in range(150):
        drive(first, rng.choice([0, 0, 1, 2, 6], 3))
    write_tree(tmp_path, "env", first.state())  # type: ignore[attr-defined]
    second.restore(read_tree(tmp_path, "env"))  # type: ignore[attr-defined]
    n_over = 0
    for _ in range(150):
        actions = rng.choice([0, 0, 1, 2, 6], 3)
        for a, b in zip(drive(first, actions), drive(second, actions), strict=True):
            np.testing.assert_array_equal(a, b)
            n_over += int(a.sum()) if a.dtype == bool else 0
    assert n_over > 0
    for env in (first, second):
        env.close()


def test_a_damaged_state_is_refused_with_a_sentence(tmp_path: Path) -> None:
    tree = {"a": np.arange(6).reshape(2, 3), "b": [np.float32(1.5), None, {"c": np.zeros(0, bool)}], "n": 2**100}
    write_tree(tmp_path, "t", tree)
    back = read_tree(tmp_path, "t")
    np.testing.assert_array_equal(back["a"], tree["a"])
    assert back["b"][:2] == [1.5, None]
    assert back["b"][2]["c"].dtype == bool
    assert back["n"] == 2**100
    content = (tmp_path / "t.bin").read_bytes()
    for damage in (content[:-1], bytes(len(content)), b""):
        (tmp_path / "t.bin").write_bytes(damage)
        with pytest.raises(SampleError, match="damaged"):
            read_tree(tmp_path, "t")
    (tmp_path / "t.bin").write_bytes(content)
    sealed = json.loads((tmp_path / "t.json").read_text())
    for place in (["|O", [1], 0], ["<i8", [99], 0], ["nonsense", [1], 0], ["<i8", [1], 10**9], 3):
        (tmp_path / "t.json").write_text(json.dumps({**sealed, "tree": {"a": {"__array__": place}}}))
        with pytest.raises(TrackmasterError, match="damaged"):
            read_tree(tmp_path, "t")

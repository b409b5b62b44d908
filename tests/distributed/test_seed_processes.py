"""Server, two workers and trainer of the seed as processes: each is killed once, and no sample is lost or doubled."""

import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trackmaster.distributed.run_checkpoint import load_training
from trackmaster.distributed.training_offline import TorchTrainingOffline
from trackmaster.rl.memory.tm_memories import GenericTorchMemory

SCRIPT = Path(__file__).with_name("seed_process.py")
PATIENCE_S = 240.0
EPISODE = 12
QUIET_LOOKS = 60
TESTS = 8
"""Test episodes before a run is judged: the first two and the last three must not be the same ones."""


class Run:
    """The processes of one run."""

    def __init__(self, folder: Path, source: Path) -> None:
        self.folder = folder
        self._env = os.environ | {"PYTHONPATH": str(source), "OMP_NUM_THREADS": "1"}
        self._env["TRACKMASTER_HOME"] = str(folder / "home")
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.port = 0

    def start(self, role: str, name: str) -> None:
        command = [sys.executable, str(SCRIPT), role, str(self.folder), str(self.port), name]
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(command, env=self._env, stdout=log, stderr=log)

    def kill(self, name: str) -> None:
        self.processes[name].kill()
        self.processes.pop(name).wait()

    def said(self, name: str) -> dict[str, Any]:
        path = self.folder / f"{name}.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def until(self, holds: Callable[[], bool], what: str) -> None:
        deadline, ticks = time.monotonic() + PATIENCE_S, threading.Event()
        while not holds():
            for name, process in self.processes.items():
                ended = process.poll() not in (None, 0)
                assert not ended, f"{name} ended: {(self.folder / f'{name}.log').read_text()[-2000:]}"
            assert time.monotonic() < deadline, f"it never came about: {what}"
            ticks.wait(0.05)

    def samples(self) -> int:
        return int(self.said("trainer").get("samples", 0))

    def tests(self) -> list[float]:
        """Return the returns of the rounds that had test episodes; a line that is being written does not count yet."""
        path = self.folder / "logs" / "metrics.jsonl"
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        returns = [json.loads(line)["return_test"] for line in lines if line.endswith("\n")]
        return [value for value in returns if value is not None]

    def go_on(self, n: int, what: str) -> None:
        """Wait until the trainer has received so many more samples."""
        before = self.samples()
        self.until(lambda: self.samples() >= before + n, what)

    def surely_arrived_of_first(self) -> int:
        """Return how many samples of the first worker have arrived at least: all but what the second can have sent."""
        received = self.samples()
        return received - int(self.said("second").get("steps", 0)) - 2 * EPISODE

    def until_quiet(self) -> None:
        """Wait until the trainer has received nothing new for a while."""
        seen: list[int] = []

        def is_quiet() -> bool:
            seen.append(self.samples())
            return len(seen) > QUIET_LOOKS and len(set(seen[-QUIET_LOOKS:])) == 1

        self.until(is_quiet, "an end of what arrives")


@pytest.fixture
def run(tmp_path: Path, repository_root: Path) -> Iterator[Run]:
    found = Run(tmp_path, repository_root / "src")
    yield found
    for name in list(found.processes):
        found.kill(name)


@pytest.mark.skipif(sys.platform == "win32", reason="the trainer is ended by SIGINT")
def test_every_role_may_be_killed_and_the_counts_agree(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run.start("server", "server")
    run.until(lambda: "port" in run.said("server"), "a server")
    run.port = run.said("server")["port"]
    for role, name in (("worker", "first"), ("worker", "second"), ("trainer", "trainer")):
        run.start(role, name)
    run.until(lambda: run.samples() > 300 and run.said("first").get("models", 0) > 1, "samples there and weights back")

    run.kill("trainer")
    (run.folder / "trainer.json").unlink()
    run.start("trainer", "trainer")
    run.until(lambda: run.samples() > 300, "a trainer that goes on from its checkpoint")
    run.go_on(200, "samples after the trainer's restart")

    run.kill("server")
    run.start("server", "server")
    run.go_on(200, "samples after the server's restart")

    run.until(lambda: run.surely_arrived_of_first() > 100, "samples of the worker that will be killed")
    surely = run.surely_arrived_of_first()
    run.kill("first")
    run.start("worker", "third")
    run.until(lambda: run.said("third").get("steps", 0) > 200, "a worker in the place of the killed one")

    run.until(lambda: len(run.tests()) >= TESTS, "test episodes that tell whether it learns")
    (run.folder / "stop").touch()
    run.until(lambda: all(run.said(n).get("closed") for n in ("second", "third")), "workers that end")
    whole = run.said("second")["steps"] + run.said("third")["steps"]
    killed = run.said("first")["steps"]
    run.until(lambda: run.samples() >= whole, "everything that was sent")
    run.until_quiet()
    trainer = run.processes.pop("trainer")
    trainer.send_signal(signal.SIGINT)
    assert trainer.wait(PATIENCE_S) == 0, (run.folder / "trainer.log").read_text()[-2000:]

    training = restored(run.folder, monkeypatch)
    arrived = training.total_samples - whole
    assert surely <= arrived <= killed + 2 * EPISODE, "of a killed worker at least what the trainer had, never more"
    assert len(training.memory) == training.total_samples
    rows = training.memory._ring.rows()
    columns = training.memory._ring.columns
    lived = np.concatenate((columns["obs"][rows], columns["obs"][rows - 1], columns["action"][rows]), axis=1)
    assert len(np.unique(lived, axis=0)) == len(rows), "nothing is doubled"
    assert training.refused_chunks == 0
    assert training.total_updates <= training.total_samples + 50
    tests = run.tests()
    assert all(map(math.isfinite, tests))
    assert np.mean(tests[-3:]) > np.mean(tests[:2]) / 2, f"returns of test episodes: {tests}"


def restored(folder: Path, monkeypatch: pytest.MonkeyPatch) -> TorchTrainingOffline:
    """Return the training in the checkpoint."""
    import functools
    import importlib

    monkeypatch.syspath_prepend(Path(__file__).parent)
    toy = importlib.import_module("toy_control")
    training = TorchTrainingOffline(
        toy.Follow, functools.partial(GenericTorchMemory, memory_size=50_000, batch_size=32), toy.ToySAC, device="cpu"
    )
    load_training(training, folder / "checkpoints" / "toy_t.tcpt")
    return training

"""Pre-training and cache building that are killed at any moment go on and end as if nothing had happened."""

import csv
import multiprocessing
import os
import random
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from trackmaster import pretrain
from trackmaster.data import CacheSpec, ensure_cache
from trackmaster.errors import ConfigError
from trackmaster.pretrain import PretrainConfig, PretrainError
from trackmaster.pretrain.artifact import load_encoder

KILLS = 10
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="this system has no kill -9 and no fork")
HELPERS = '''
import os
import signal
import sys
import threading

import torch

from trackmaster import pretrain
from trackmaster.data import cache_build, decode, ensure_cache
from trackmaster.pretrain import lightning_loop, native
from trackmaster.interrupts import StopFlag

torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))])  # imports much, here once instead of in every process
WATCHED = {"open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.chmod"}


class Moments:
    """Counts what happens, and dies at one of the counts."""

    def __init__(self, place, moment, counted):
        self.name, self.moment, self.counted, self.lock = place.name, moment, counted, threading.Lock()
        counted.value = 0
        sys.addaudithook(self.watch)

    def watch(self, event, args):
        if event in WATCHED and args and self.name in str(args[0]):
            self.count()

    def count(self):
        with self.lock:
            self.counted.value += 1
            if self.counted.value == self.moment:
                os.kill(os.getpid(), signal.SIGKILL)


class CountedBatches(StopFlag):
    """Batches are moments too."""

    def __init__(self, moments):
        super().__init__()
        self.moments = moments

    def check(self):
        self.moments.count()
        super().check()


def train(config, place, moment, counted):
    torch.set_num_threads(1)
    pretrain.run(config, stop=CountedBatches(Moments(place, moment, counted)), say=lambda line: None)


def build(spec, place, moment, counted):
    cache_build.COMMIT_FRAMES, real = 4, decode.load_gray
    moments = Moments(place, moment, counted)

    def counted_load(*args):
        moments.count()
        return real(*args)

    decode.load_gray = counted_load
    ensure_cache(spec, place, workers=1, show_progress=False)
'''


@pytest.fixture
def killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, int]]:
    """A function that does something in a process of its own, killed at a moment; it returns exit code and moments."""
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / "pretrain_kill_helpers.py").write_text(textwrap.dedent(HELPERS))
    monkeypatch.syspath_prepend(folder)
    # The server that processes are forked from looks for what it loads ahead along this variable only.
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), *sys.path]))
    import pretrain_kill_helpers as helpers  # type: ignore[import-not-found]  # written above

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pretrain_kill_helpers"])
    counted = context.Value("i", 0)

    def run(what: str, settings: Any, place: Path, moment: int = -1) -> tuple[int, int]:
        process = context.Process(target=getattr(helpers, what), args=(settings, place, moment, counted))
        process.start()
        process.join()
        assert process.exitcode is not None
        return process.exitcode, counted.value

    return run


def moments(count: int, kills: int = KILLS) -> list[int]:
    """Random moments, one in each of equal parts of the whole."""
    chance = random.Random(11)
    return [chance.randint(1 + part * count // kills, (part + 1) * count // kills) for part in range(kills)]


def history(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open(newline="") as handle:
        return [{k: v for k, v in row.items() if k != "samples_per_s"} for row in csv.DictReader(handle)]


@pytest.mark.parametrize(("framework", "kills"), [("native", KILLS), ("lightning", 4)])
def test_a_killed_pre_training_ends_like_one_that_was_left_alone(
    make_config: Callable[..., PretrainConfig],
    tmp_path: Path,
    killed: Callable[..., tuple[int, int]],
    framework: str,
    kills: int,
) -> None:
    more = {"framework": framework, "task": "vae", "epochs": 3, "val_fraction": 0.4, "probe": False}
    config = make_config(**more, run_name="whole")
    code, count = killed("train", config, tmp_path / "out" / "whole")
    assert code == 0
    assert count > 60, "file operations and batches"
    whole = tmp_path / "out" / "whole"
    resumed = 0
    for moment in moments(count, kills):
        name = f"killed{moment}"
        run = tmp_path / "out" / name
        assert killed("train", make_config(**more, run_name=name), run, moment)[0] == -9
        try:
            pretrain.run(PretrainConfig.load(["--resume", str(run), "--no-tqdm"]))
            resumed += 1
        except ConfigError:  # killed before its settings were written: the same name begins anew
            pretrain.run(make_config(**more, run_name=name))
        assert history(run) == history(whole), moment
        first, second = load_encoder(whole), load_encoder(run)
        assert all(torch.equal(first[key], second[key]) for key in first), moment
        assert not list(run.rglob("*.part*")), "what the killed one left under temporary names"
    assert resumed >= kills - 2


def test_a_killed_cache_build_ends_with_the_same_bytes(
    frames_dir: Path, tmp_path: Path, killed: Callable[..., tuple[int, int]]
) -> None:
    spec = CacheSpec(frames_dir, 64, 64, n_stack=2, val_fraction=0.4)
    code, count = killed("build", spec, tmp_path / "cache_whole")
    assert code == 0
    assert count > 50, "file operations in the folder and beside it"
    expected = contents(tmp_path / "cache_whole")
    for moment in moments(count):
        place = tmp_path / f"cache_{moment}"
        assert killed("build", spec, place, moment)[0] == -9
        ensure_cache(spec, place, workers=1, show_progress=False)
        assert contents(place) == expected, moment
        assert not list(tmp_path.glob(f".{place.name}*")), "nothing is left beside it"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_folder_that_is_someone_elses_is_not_taken_for_a_killed_run(
    make_config: Callable[..., PretrainConfig], tmp_path: Path
) -> None:
    (tmp_path / "out" / "v1").mkdir(parents=True)
    (tmp_path / "out" / "v1" / "thesis.txt").write_text("precious")
    with pytest.raises(PretrainError, match="exists already"):
        pretrain.run(make_config(run_name="v1"))

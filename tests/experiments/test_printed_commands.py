"""The commands of the community's documents about Level 0 and IQN run as printed, on frames of our own capture."""

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tests.experiments import printed_commands as printed
from tests.experiments.printed_commands import COMMANDS

from trackmaster.experiments.collect import read_replays
from trackmaster.experiments.demo import BUNDLED_DIR
from trackmaster.pretrain import Artifact
from trackmaster.rl.files.torch_files import load_torch

DOCUMENTS = {"S0": "000_*.txt", "S1": "001_*.txt", "S4": "004_*.txt"}
QUICK = {
    "PRETRAIN_EPOCHS": "2",
    "TRAIN_MEMORY__MEMORY_SIZE_SCHEDULE": "[[0, 50000, 300]]",
    "TRAIN_TRAINING__BATCH_SIZE": "32",
    "TRAIN_EVALUATION__ATTEMPTS": "1",
    "TRAIN_PERFORMANCE__METRICS_INTERVAL_S": "0.5",
    "OMP_NUM_THREADS": "1",
}
"""The commands stay as they are printed; variables make them short, as the documents say they may."""
RUNS = Path("output/ptretrain/vis")

posix = pytest.mark.skipif(sys.platform == "win32", reason="these are the POSIX forms")


class Checkout:
    """A folder laid out like a checkout, with a ``python`` that finds the package."""

    def __init__(self, folder: Path, repository_root: Path) -> None:
        self.folder = folder
        for name in ("scripts", "config_files"):
            shutil.copytree(repository_root / name, folder / name)
        python = folder / "bin" / "python"
        python.parent.mkdir()
        python.write_text(f'#!/bin/sh\nPYTHONPATH="{repository_root / "src"}" exec "{sys.executable}" "$@"\n')
        python.chmod(0o755)
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PRETRAIN_", "TRAIN_", "PYTHONPATH"))}
        self.environment = kept | QUICK | {"PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}"}

    def start(self, command: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            ["sh", "-c", command], cwd=self.folder, env=self.environment, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip

    def run(self, command: str, code: int = 0) -> str:
        with self.start(command) as process:
            said = process.communicate()[0]
        assert process.returncode == code, said
        return said


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory, repository_root: Path) -> Checkout:
    """Two bundled replays of each of two tracks, captured by the printed command, and its frames in a cache."""
    folder = tmp_path_factory.mktemp("checkout")
    found = Checkout(folder, repository_root)
    rows = [row for row in read_replays(BUNDLED_DIR, use_tqdm=False).found if row.is_used]
    rows.sort(key=lambda row: row.race_time_ms or 0)
    for number, track in enumerate(list(dict.fromkeys(row.track_id for row in rows))[:2]):
        target = folder / "maps" / "replays" / str(1001 + number)
        target.mkdir(parents=True)
        for row in [row for row in rows if row.track_id == track][:2]:
            shutil.copy(row.source, target)
    assert "4 replays captured" in found.run(printed.FRAMES)
    return found


@pytest.fixture(scope="module")
def first_run(checkout: Checkout) -> Artifact:
    checkout.run(printed.AE)
    return Artifact.open(checkout.folder / RUNS / "run_001")


@posix
def test_frames_are_decoded_ahead(checkout: Checkout) -> None:
    assert "1 held out for validation" in checkout.run(printed.PREPARE)
    assert (checkout.folder / "cache" / "pretrain_64" / "val.npy").is_file()


@posix
def test_the_first_run_is_an_autoencoder_by_lightning(first_run: Artifact) -> None:
    kept = {path.name for path in first_run.path.iterdir()}
    assert kept >= {"encoder.pt", "pretrain_meta.json", "metrics.csv", "tensorboard", "csv", "checkpoints"}
    assert list((first_run.path / "checkpoints").glob("best-epoch=*.ckpt"))
    meta = first_run.meta
    assert (meta["task"], meta["framework"], meta["n_val_samples"], meta["image_size"]) == ("ae", "lightning", 0, 64)


@posix
def test_simclr_with_a_map_held_out(checkout: Checkout, first_run: Artifact) -> None:
    checkout.run(printed.SIMCLR)
    meta = Artifact.open(checkout.folder / RUNS / "run_002").meta
    assert meta["task"] == "simclr"
    assert meta["n_val_samples"] > 0
    assert not set(meta["track_ids_train"]) & set(meta["track_ids_val"])


@posix
def test_a_run_gets_a_name(checkout: Checkout) -> None:
    checkout.run(printed.NAMED)
    assert Artifact.open(checkout.folder / RUNS / "ae_v1").meta["task"] == "ae"


@posix
def test_a_file_of_ones_own_and_its_encoder_in_the_folder_of_the_run(checkout: Checkout) -> None:
    own = f"data_dir: maps/img\noutput_dir: {RUNS}\nrun_name: v1\nframework: native\nprobe: false\n"
    (checkout.folder / "my_experiment.yaml").write_text(own)
    checkout.run(printed.OWN_FILE)
    checkout.run(printed.INJECT_V1)
    assert (checkout.folder / RUNS / "v1" / "weights2.torch").is_file()


@posix
def test_lightly_trains_or_says_what_it_needs(checkout: Checkout) -> None:
    command = f"{printed.AE} --task simclr --framework lightly --run-name lightly"  # the flags of S4, experiment 3
    if importlib.util.find_spec("lightly") is not None:
        checkout.run(command)
        return
    said = checkout.run(command, code=1)
    assert "the lightly back-end cannot be loaded" in said
    assert "--framework lightning trains the same task without" in said
    assert "Traceback" not in said


@posix
def test_from_the_encoder_to_the_first_learning_step(checkout: Checkout, first_run: Artifact) -> None:
    assert "dry run: everything fits, nothing was written" in checkout.run(printed.DRY_RUN)
    assert not (checkout.folder / "save").exists()
    checkout.run(printed.INJECT)
    pair = [load_torch(checkout.folder / "save" / f"weights{n}.torch") for n in (1, 2)]
    assert all(torch.equal(pair[0][key], pair[1][key]) for key in pair[0])
    said: list[str] = []
    with checkout.start(printed.TRAIN) as process:
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line)
            updates = re.search(r" (\d+) updates", line)
            if updates and int(updates[1]) > 0:
                break
        os.killpg(process.pid, signal.SIGINT)
        said.append(process.stdout.read())
    text = "".join(said)
    assert process.returncode in (130, -signal.SIGINT), text
    assert "A fresh run begins with the weights found in save." in text
    assert "Continue with: trackmaster train --resume save/default" in text
    assert (checkout.folder / "save" / "default" / "weights1.torch").is_file()
    for name in ("A_scratch", "B1_ae", "B2_simclr"):
        shutil.copytree(checkout.folder / "tensorboard" / "default", checkout.folder / "tensorboard" / name)
    table = checkout.run(f"python {printed.ANALYZE}")
    assert "=== By wall time since the first race" in table
    assert all(name in table for name in ("A_scratch", "B1_ae", "B2_simclr"))


def test_every_command_is_run_or_left_out_for_a_reason() -> None:
    names = {value: name for name, value in vars(printed).items() if isinstance(value, str)}
    used = set(re.findall(r"printed\.([A-Z_0-9]+)", Path(__file__).read_text(encoding="utf-8")))
    assert {names[row.text] for row in COMMANDS if not row.left_out} == used


@pytest.mark.parametrize("seed", DOCUMENTS)
def test_the_table_is_what_the_documents_print(seed: str, repository_root: Path) -> None:
    folder = Path(os.environ.get("TRACKMASTER_SEEDS", repository_root.parent / "shared" / "seeds"))
    files = list(folder.glob(DOCUMENTS[seed]))
    if not files:
        pytest.skip("the documents are not here: set TRACKMASTER_SEEDS to their folder")
    listed = {plain(row.text) for row in COMMANDS if seed in row.seeds}
    assert printed_in(files[0].read_text(encoding="utf-8")) == listed


def printed_in(text: str) -> set[str]:
    """The command lines of a document: those that begin with a program, and scripts with arguments in a sentence."""
    joined = re.sub(r"\\\n\s*", " ", text)
    lines = [line.strip() for line in joined.splitlines()]
    begins = ("python ", "PYTHONPATH=", "set PYTHONPATH", "$env:")
    found = {plain(line) for line in lines if line.startswith(begins)}
    return found | {plain(words) for words in re.findall(r"``(scripts/\w+\.py \w[^`]*)``", joined)}


def plain(command: str) -> str:
    return " ".join(command.replace("\\\n", " ").split(" #")[0].split())

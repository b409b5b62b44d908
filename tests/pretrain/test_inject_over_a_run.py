"""The learner starts from an injected pair even where it had saved a run, and that run stays whole."""

from pathlib import Path
from typing import Any

import pytest
import torch

from trackmaster import cli
from trackmaster.distributed.racing.beginning import CONFIG_SNAPSHOT
from trackmaster.distributed.racing.train import METRICS_FILE
from trackmaster.nn.encoder import build_encoder
from trackmaster.nn.iqn import IQNNetwork
from trackmaster.pretrain import Artifact, PretrainError, init_iqn_from_encoder
from trackmaster.pretrain.artifact import write_artifact
from trackmaster.rl.files.checkpoint import CheckpointStore
from trackmaster.rl.files.names import ONLINE_FILE, OPTIMIZER_FILE, TARGET_FILE

RECORD = {"image_size": 64, "image_normalization": "iqn", "image_normalization_formula": "(x-128)/128"}


def network(seed: int) -> dict[str, torch.Tensor]:
    state = IQNNetwork(64, 64, 128, generator=torch.Generator().manual_seed(seed)).state_dict()
    return {key: value.contiguous() for key, value in state.items()}


def save_run(folder: Path, *, saves: int = 2) -> CheckpointStore:
    """Save a run as the learner does; the last save is also its best one."""

    def write(target: Path) -> dict[str, Any]:
        torch.save(network(1), target / ONLINE_FILE)
        torch.save(network(2), target / TARGET_FILE)
        torch.save({"step": 7}, target / OPTIMIZER_FILE)
        return {}

    store = CheckpointStore(folder)
    for number in range(1, saves + 1):
        store.save(write, {"frames": number}, {}, best=number == saves)
    return store


@pytest.fixture
def encoder(tmp_path: Path) -> Artifact:
    state = build_encoder(generator=torch.Generator().manual_seed(3)).state_dict()
    (tmp_path / "run_001").mkdir()
    return write_artifact(tmp_path / "run_001", {"encoder": state}, RECORD)


def online(folder: Path) -> dict[str, torch.Tensor]:
    state = torch.load(folder / ONLINE_FILE, weights_only=True)
    assert isinstance(state, dict)
    return state


@pytest.mark.parametrize("how", [{"overwrite": True}, {"fresh": False}])
def test_the_learner_starts_from_the_pair_and_the_run_stays_whole(
    tmp_path: Path, encoder: Artifact, how: dict[str, Any]
) -> None:
    run = tmp_path / "save" / "driver"
    save_run(run)
    for name in (CONFIG_SNAPSHOT, METRICS_FILE):
        (run / name).write_text("of the earlier run")
    head = torch.load(encoder.encoder_path, weights_only=True)
    report = init_iqn_from_encoder(encoder.path, run, seed=5, **how)
    store = CheckpointStore(run)
    assert not store.exists, "a saved run would be continued with its own weights"
    assert store.prepared_pair() == run
    assert torch.equal(online(run)["img_head.0.weight"], head["0.weight"])
    assert torch.equal(online(run)["A_head.0.weight"], network(1 if how == {"fresh": False} else 5)["A_head.0.weight"])
    assert report.earlier == run / "earlier-1"
    said: list[str] = []
    folder, _, stats = CheckpointStore(run / "earlier-1", say=said.append).load()
    assert (folder, stats, said) == (run / "earlier-1", {"frames": 2}, []), "the newest snapshot is intact"
    assert torch.equal(online(folder)["img_head.0.weight"], network(1)["img_head.0.weight"])
    assert {CONFIG_SNAPSHOT, METRICS_FILE} <= {path.name for path in folder.iterdir()}, "so it can be resumed"
    assert {path.name for path in run.iterdir()} == {ONLINE_FILE, TARGET_FILE, "init.json", "earlier-1"}
    assert {path.name for path in (folder / "recovery").iterdir()} == {"000001", "000002"}
    assert online(folder / "best_eval").keys() == network(1).keys()


def test_every_earlier_run_gets_a_folder_of_its_own(tmp_path: Path, encoder: Artifact) -> None:
    for number in (1, 2):
        save_run(tmp_path / "run", saves=number)
        assert init_iqn_from_encoder(encoder.path, tmp_path / "run", overwrite=True).earlier == (
            tmp_path / "run" / f"earlier-{number}"
        )
    for number in (1, 2):
        assert CheckpointStore(tmp_path / "run" / f"earlier-{number}").load()[2] == {"frames": number}


def test_a_run_whose_networks_are_gone_is_trained_all_the_same(tmp_path: Path, encoder: Artifact) -> None:
    save_run(tmp_path / "run")
    for name in (ONLINE_FILE, TARGET_FILE, OPTIMIZER_FILE):
        (tmp_path / "run" / name).unlink()
    with pytest.raises(PretrainError, match="was trained"):
        init_iqn_from_encoder(encoder.path, tmp_path / "run")
    assert CheckpointStore(tmp_path / "run", say=lambda line: None).load()[2] == {"frames": 2}


def test_a_dry_run_moves_nothing(tmp_path: Path, encoder: Artifact) -> None:
    save_run(tmp_path / "run")
    for how in ({"overwrite": True}, {"fresh": False}):
        assert init_iqn_from_encoder(encoder.path, tmp_path / "run", dry_run=True, **how).earlier is None
    assert CheckpointStore(tmp_path / "run").load()[2] == {"frames": 2}


def test_the_command_says_what_becomes_of_saved_runs(
    tmp_path: Path, encoder: Artifact, capsys: pytest.CaptureFixture[str]
) -> None:
    save = tmp_path / "save"
    save_run(save / "driver")
    argv = ["inject", "--encoder-pt", str(encoder.path), "--save-dir"]
    assert cli.main([*argv, str(save)]) == 0
    said = capsys.readouterr().out
    assert f"note: {save / 'driver'} is a saved run and is continued with its own weights" in said
    assert "earlier run" not in said
    assert cli.main([*argv, str(save / "driver"), "--overwrite"]) == 0
    said = capsys.readouterr().out
    assert f"the earlier run was moved to {save / 'driver' / 'earlier-1'}" in said
    assert "note:" not in said, "what was set aside is continued by nobody"

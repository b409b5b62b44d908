"""The linear probe finds what is in the pictures, nothing where there is nothing, and never tests on a fitted map."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from trackmaster import cli, pretrain
from trackmaster.data import DataError, find_replays, frame_name
from trackmaster.nn.encoder import build_encoder
from trackmaster.pretrain import Artifact, PretrainError
from trackmaster.pretrain.artifact import write_artifact
from trackmaster.pretrain.errors import ProbeError
from trackmaster.pretrain.probe import probe
from trackmaster.pretrain.probe_command import score_on_every_map, score_run
from trackmaster.pretrain.probe_data import collect, probe_split, spread_over_maps
from trackmaster.pretrain.probe_fit import (
    Scale,
    balanced_accuracy,
    folds_of,
    logistic_predict,
    principal_components,
    ridge_predict,
)

KEYS = ("accelerate", "brake", "left", "right")
N_FRAMES = 60
MakeLabelled = Callable[..., Path]


def picture(speed: float, steer: int, surface: int, rng: np.random.Generator, *, shows: bool) -> np.ndarray:
    """Brightness of the sky is the speed, the place of the road the steering, its stripes the surface."""
    image = rng.integers(0, 256, (64, 64), dtype=np.uint8)
    if shows:
        image[:24] = 40 + int(3 * speed)
        image[24:48] = 30
        image[24:48, 24 * (1 + steer) : 24 * (1 + steer) + 16] = 230
        image[48:] = 220 if surface else 20
    return image


@pytest.fixture
def make_labelled(tmp_path: Path) -> MakeLabelled:
    """Return a function that writes maps of labelled frames which do or do not show their labels."""

    def make(*, shows: bool = True, n_maps: int = 4) -> Path:
        rng = np.random.default_rng(1)
        for number in range(n_maps):
            folder = tmp_path / "img" / str(3001 + number) / "pos1_driver_9000ms.replay"
            folder.mkdir(parents=True)
            entries, snapshots = [], []
            for step in range(N_FRAMES):
                speed, steer, surface = rng.uniform(5, 60), int(rng.integers(-1, 2)), int(rng.integers(0, 2))
                file = frame_name(step, 50 * step).replace(".jpeg", ".png")
                cv2.imwrite(str(folder / file), picture(speed, steer, surface, rng, shows=shows))
                inputs = dict(zip(KEYS, (True, False, steer < 0, steer > 0), strict=True))
                entries.append({"file": file, "step": step, "time_ms": 50 * step, "inputs": inputs})
                wheels = np.zeros(32)
                wheels[4:8] = 1
                wheels[16 + 4 * np.arange(4) + 2 * surface] = 1  # asphalt or dirt
                snapshots.append(
                    {"time_ms": 50 * step, "velocity": [0.0, 0.0, speed], "gear_and_wheels": wheels.tolist()}
                )
            (folder / "manifest.json").write_text(json.dumps({"entries": entries, "actions": [], "meta": snapshots}))
            metadata = {"map_uid": f"map{number}", "capture_interval_ms": 50.0}
            (folder / "metadata.json").write_text(json.dumps(metadata))
        return tmp_path / "img"

    return make


def finished_run(data_dir: Path, run_dir: Path, **more: Any) -> Artifact:
    """A run whose encoder still has the weights it began with."""
    meta = {
        "image_size": 64, "image_normalization": "01", "n_stack": 1, "seed": 3, "dataset_root": str(data_dir),
        "track_ids_train": ["3001", "3002", "3003"], "track_ids_val": ["3004"], **more,
    }  # fmt: skip
    run_dir.mkdir()
    encoder = build_encoder(meta["n_stack"], generator=torch.Generator().manual_seed(4)).state_dict()
    return write_artifact(run_dir, {"encoder": encoder}, meta)


def test_what_frames_show_is_found(make_labelled: MakeLabelled, tmp_path: Path) -> None:
    result = score_run(finished_run(make_labelled(), tmp_path / "run"), maps_dirs=())
    assert set(result["targets"]) == {"speed", "steer", "surface"}
    for name, least in {"speed": 0.9, "steer": 0.95, "surface": 0.95}.items():
        for who in ("encoder", "pixel_pca"):
            assert result["targets"][name][who]["skill"] >= least, (name, who)
    assert result["targets"]["speed"]["encoder"]["mae"] < 0.3 * result["targets"]["speed"]["baseline_mae"]
    assert result["targets"]["surface"]["classes"] == ["asphalt", "dirt"]
    assert (result["n_fit_frames"], result["n_test_frames"]) == (3 * N_FRAMES, N_FRAMES)
    assert not result["encoder_saw_test_maps"]
    assert any("border" in note for note in result["notes"])


def test_every_map_is_tested_once_by_what_the_others_teach(
    make_labelled: MakeLabelled, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_dir = tmp_path / "run"
    finished_run(make_labelled(), run_dir)
    assert cli.main(["pretrain", "probe", str(run_dir), "--every-map"]) == 0
    assert "Each map was held out" in capsys.readouterr().out
    assert not (run_dir / "probe.json").exists()
    result = json.loads((run_dir / "probe_every_map.json").read_text())
    assert (result["n_maps"], result["n_test_frames"]) == (4, 4 * N_FRAMES)
    assert set(result["targets"]) == {"speed", "steer", "surface"}
    for name, one in result["targets"].items():
        assert one["n_test"] == 4 * N_FRAMES
        assert min(one[who]["skill"] for who in ("encoder", "pixel_pca")) > 0.85, name


def test_with_every_map_held_out_noise_tells_nothing_and_one_map_is_refused(
    make_labelled: MakeLabelled, tmp_path: Path
) -> None:
    data_dir = make_labelled(shows=False)
    run = finished_run(data_dir, tmp_path / "run")
    result = score_on_every_map(run, data_dir=None, maps_dirs=(), limit=160)
    assert result["targets"]["speed"]["encoder"]["skill"] <= 0.05
    assert result["score"]["encoder"] < 0.25
    for number in (3002, 3003, 3004):
        shutil.rmtree(data_dir / str(number))
    with pytest.raises(ProbeError, match="one map"):
        score_on_every_map(run, data_dir=None, maps_dirs=(), limit=240)


def test_noise_tells_nothing(make_labelled: MakeLabelled, tmp_path: Path) -> None:
    result = score_run(finished_run(make_labelled(shows=False), tmp_path / "run"), maps_dirs=())
    assert result["targets"]["speed"]["encoder"]["skill"] <= 0.05, "no better than the mean"
    assert result["score"]["encoder"] < 0.25
    assert result["score"]["pixel_pca"] < 0.25


def test_the_same_frames_give_the_same_scores(make_labelled: MakeLabelled, tmp_path: Path) -> None:
    run = finished_run(make_labelled(), tmp_path / "run")
    assert score_run(run, maps_dirs=()) == score_run(run, maps_dirs=())


def test_a_trained_encoder_is_told_from_random_weights(make_labelled: MakeLabelled, tmp_path: Path) -> None:
    """An encoder that throws the picture away scores nothing, while the comparison beside it stays what it is."""
    data_dir = make_labelled()
    blind = {key: torch.zeros_like(value) for key, value in build_encoder().state_dict().items()}
    run = finished_run(data_dir, tmp_path / "run")
    split, _ = probe_split(find_replays(data_dir), run.meta, 3)
    data = collect(
        split, width=64, height=64, n_stack=1, max_fit=200, max_test=60, maps_dirs=(), encoder_saw_test_maps=False
    )
    result = probe(blind, "01", data, 3)
    assert result["score"]["encoder"] == pytest.approx(0, abs=0.02)
    assert result["score"]["random_init"] > 0.9


def test_a_map_on_both_sides_is_refused(make_labelled: MakeLabelled, tmp_path: Path) -> None:
    data_dir = make_labelled()
    run = finished_run(data_dir, tmp_path / "run")
    path = data_dir / "3004" / "pos1_driver_9000ms.replay" / "metadata.json"
    path.write_text(path.read_text().replace("map3", "map0"))
    with pytest.raises(DataError, match="map map0 is in the training and in the validation set"):
        score_run(run, maps_dirs=())
    overlapping = finished_run(data_dir, tmp_path / "second", track_ids_val=["3001"])
    with pytest.raises(DataError, match="map map0 is in"):
        score_run(overlapping, maps_dirs=())


def test_a_run_without_held_out_maps_says_what_its_encoder_saw(make_labelled: MakeLabelled, tmp_path: Path) -> None:
    ids = {"track_ids_train": ["3001", "3002", "3003", "3004"], "track_ids_val": []}
    result = score_run(finished_run(make_labelled(), tmp_path / "run", **ids), maps_dirs=())
    assert result["encoder_saw_test_maps"]
    assert result["n_test_frames"] == N_FRAMES, "one map of four is held out from the read-out"


@pytest.mark.parametrize("channels", [1, 2])
def test_stacked_frames_are_scored_by_their_newest(make_labelled: MakeLabelled, tmp_path: Path, channels: int) -> None:
    """With as many channels as frames, or with one encoder per frame (``concat``), which sees the newest."""
    run = finished_run(make_labelled(), tmp_path / "run", n_stack=2)
    torch.save(build_encoder(channels, generator=torch.Generator().manual_seed(4)).state_dict(), run.encoder_path)
    result = score_run(run, maps_dirs=())
    assert result["targets"]["steer"]["encoder"]["skill"] > 0.9
    assert result["n_test_frames"] == N_FRAMES - 1


@pytest.mark.parametrize(
    ("more", "n_maps", "expected"),
    [
        ({"track_ids_train": ["1"], "track_ids_val": []}, 2, "none of its tracks"),
        ({"track_ids_train": ["3001"], "track_ids_val": []}, 1, "one map"),
    ],
)
def test_frames_that_cannot_score_are_refused(
    make_labelled: MakeLabelled, tmp_path: Path, more: dict[str, Any], n_maps: int, expected: str
) -> None:
    with pytest.raises(ProbeError, match=expected):
        score_run(finished_run(make_labelled(n_maps=n_maps), tmp_path / "run", **more), maps_dirs=())


def test_foreign_weights_are_refused(make_labelled: MakeLabelled, tmp_path: Path) -> None:
    run = finished_run(make_labelled(), tmp_path / "run")
    torch.save({"0.weight": torch.zeros(3, 1, 4, 4)}, run.encoder_path)
    with pytest.raises(PretrainError, match="not those of an encoder"):
        score_run(run, maps_dirs=())


def test_the_verb_prints_the_table_and_keeps_it(
    make_labelled: MakeLabelled, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = finished_run(make_labelled(), tmp_path / "run")
    assert cli.main(["pretrain", "probe", str(run.path), "--maps-dirs", "[]"]) == 0
    out = capsys.readouterr().out
    kept = json.loads((run.path / "probe.json").read_text())
    assert f"{kept['score']['encoder']:.3f}" in out
    assert cli.main(["pretrain", "probe", str(tmp_path / "nothing")]) == 1
    assert "Name the folder of a run" in capsys.readouterr().err


def test_training_ends_with_the_scores(make_labelled: MakeLabelled, make_config: Any) -> None:
    said: list[str] = []
    config = make_config(data_dir=make_labelled(), framework="native", val_fraction=0.25, epochs=1, maps_dirs=())
    artifact = pretrain.run(config, say=said.append)
    kept = json.loads((artifact.path / "probe.json").read_text())
    assert set(kept["score"]) == {"encoder", "random_init", "pixel_pca"}
    assert kept["arch_hash"] == artifact.meta["arch_hash"]
    assert "linear probe" in said[-1]
    silent = pretrain.run(config.model_copy(update={"probe": False}), say=said.append)
    assert not (silent.path / "probe.json").exists()


def test_training_without_labels_says_so_and_ends_well(make_config: Any) -> None:
    said: list[str] = []
    artifact = pretrain.run(make_config(framework="native", epochs=1), say=said.append)
    assert "not scored" in said[-1]
    assert artifact.encoder_path.is_file()
    assert not (artifact.path / "probe.json").exists()


def test_every_map_comes_before_a_second_replay(make_labelled: MakeLabelled) -> None:
    replays = find_replays(make_labelled(n_maps=3))
    assert [one.track_id for one in spread_over_maps((*replays, *replays), 4)] == ["3001", "3002", "3003", "3001"]


def test_ridge_finds_a_line_and_leaves_noise_alone() -> None:
    rng = np.random.default_rng(0)
    x, groups = rng.standard_normal((300, 20)), np.arange(300) // 30
    y = 3.0 + x @ rng.standard_normal(20)
    assert np.allclose(ridge_predict(x[:200], y[:200], groups[:200], x[200:]), y[200:], atol=0.1)
    wide = rng.standard_normal((300, 500))
    noise = ridge_predict(wide[:200], y[:200], groups[:200], wide[200:])
    assert np.abs(noise - y[:200].mean()).max() < 0.5 * y.std(), "close to the mean where nothing is to be found"


def test_logistic_weighs_rare_classes_like_others() -> None:
    rng = np.random.default_rng(0)
    target = (rng.random(3000) < 0.05).astype(np.int64)
    x = rng.standard_normal((3000, 5))
    x[:, 0] += 2.0 * target
    predicted = logistic_predict(x[:2000], target[:2000], np.arange(2000) // 200, x[2000:], 3)
    assert set(predicted) <= {0, 1}
    assert balanced_accuracy(target[2000:], predicted) > 0.75, "0.84 is possible, 0.5 is the frequent class alone"


def test_folds_never_share_a_group() -> None:
    groups = np.repeat(np.array([7, 3, 9, 4, 5]), 6)
    for held in folds_of(groups):
        assert not set(groups[held]) & set(groups[~held])
    assert sum(int(held.sum()) for held in folds_of(groups)) == len(groups)
    parts = folds_of(np.zeros(10, dtype=np.int64))
    assert [held.sum() for held in parts] == [4, 3, 3]
    assert all((np.diff(np.flatnonzero(held)) == 1).all() for held in parts), "neighbours stay together"


def test_principal_components_are_those_of_the_decomposition() -> None:
    rng = np.random.default_rng(0)
    x, other = rng.standard_normal((30, 100)), rng.standard_normal((7, 100))
    fit, test = principal_components(x, other, 12)
    _, spreads, directions = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    expected = (other - x.mean(axis=0)) @ directions[:12].T / (spreads[0] / np.sqrt(30))
    assert np.allclose(np.abs(test), np.abs(expected), atol=1e-8)
    assert fit.std(axis=0)[0] == pytest.approx(1)
    assert principal_components(x[:5], other, 12)[0].shape == (5, 4)
    assert principal_components(np.ones((5, 3)), np.ones((2, 3)), 2)[1].tolist() == [[0.0], [0.0]]


def test_a_feature_that_never_changes_stays_finite() -> None:
    features = np.array([[1.0, 2.0], [1.0, 4.0]])
    assert Scale.of(features)(features).tolist() == [[0.0, -1.0], [0.0, 1.0]]

"""A run leaves the artefact of the contract, whoever drives it and however often it was stopped."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from trackmaster import pretrain
from trackmaster.data import DataError
from trackmaster.errors import ConfigError, InterruptedRunError
from trackmaster.interrupts import StopFlag
from trackmaster.nn.encoder import arch_hash, build_encoder
from trackmaster.pretrain import Artifact, PretrainConfig, PretrainError
from trackmaster.pretrain.artifact import load_encoder
from trackmaster.pretrain.autoencoder import Autoencoder
from trackmaster.pretrain.feed import make_feeds, open_training_data
from trackmaster.pretrain.recorder import EpochRecorder
from trackmaster.pretrain.task import TaskLoss

FRAMEWORKS = ["lightning", "native"]
SEED_KEYS = {
    "version", "task", "framework", "image_size", "image_normalization", "n_stack", "stack_mode", "in_channels",
    "enc_dim", "epochs_trained", "train_loss_final", "val_loss_final", "timestamp", "arch_hash", "dataset_root",
    "n_train_samples", "n_val_samples", "seed", "normalization",
}  # fmt: skip
OUR_KEYS = {
    "image_width", "image_height", "image_normalization_formula", "best_epoch", "cache_fingerprint", "data_hash",
    "track_ids_train", "track_ids_val", "float_layout_version", "float_mean", "float_std", "head_order",
    "code_version", "resolved_config_hash",
}  # fmt: skip


def history(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open(newline="") as handle:
        return [{k: v for k, v in row.items() if k != "samples_per_s"} for row in csv.DictReader(handle)]


class StopAfter(StopFlag):
    """Asks to stop after a number of batches, like a user with quick fingers."""

    def __init__(self, batches: int) -> None:
        super().__init__()
        self._left = batches

    def check(self) -> None:
        self._left -= 1
        if self._left < 0:
            self.set()
        super().check()


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_artefact_is_complete(make_config: Any, framework: str) -> None:
    config = make_config(framework=framework, val_fraction=0.4, lightning={"tensorboard": True, "save_top_k": 2})
    artifact = pretrain.run(config)
    run = artifact.path
    assert run.name == "run_001"
    assert {path.name for path in run.iterdir()} >= {
        "encoder.pt", "encoder.safetensors", "pretrain_meta.json", "metrics.csv", "resolved_config.yaml", "tb", "csv",
        "checkpoints",
    }  # fmt: skip
    assert list((run / "tb").glob("events.out.tfevents.*"))
    assert (run / "csv" / "metrics.csv").read_text().startswith("epoch,step,")
    assert len(list((run / "checkpoints").glob("best-epoch=*.ckpt"))) == 2
    state = torch.load(artifact.encoder_path, weights_only=True)
    assert list(state) == ["0.weight", "0.bias", "2.weight", "2.bias", "4.weight", "4.bias", "6.weight", "6.bias"]
    build_encoder().load_state_dict(state)
    meta = json.loads((run / "pretrain_meta.json").read_text())
    assert meta.keys() >= SEED_KEYS | OUR_KEYS
    assert meta["arch_hash"] == arch_hash(state) == "15736da0a73bded6"
    assert (meta["epochs_trained"], meta["image_size"], meta["enc_dim"], meta["in_channels"]) == (2, 64, 512, 1)
    assert meta["n_train_samples"] == 32
    assert meta["n_val_samples"] == 16
    assert not set(meta["track_ids_train"]) & set(meta["track_ids_val"])
    rows = history(run)
    assert [row["epoch"] for row in rows] == ["0", "1"]
    assert meta["train_loss_final"] == float(rows[-1]["train_loss"])
    assert meta["val_loss_final"] == float(rows[-1]["val_loss"])
    best = min(range(2), key=lambda epoch: float(rows[epoch]["val_loss"]))
    assert meta["best_epoch"] == best
    assert Artifact.open(run).meta == meta
    assert PretrainConfig.load([], config=run / "resolved_config.yaml") == config


@pytest.mark.parametrize("task", ["ae", "vae", "simclr"])
def test_both_frameworks_train_the_same_network(make_config: Any, task: str) -> None:
    runs = [pretrain.run(make_config(framework=framework, task=task, val_fraction=0.4)) for framework in FRAMEWORKS]
    first, second = (load_encoder(artifact.path) for artifact in runs)
    for key in first:
        assert torch.allclose(first[key], second[key], atol=1e-6), key
    assert history(runs[0].path) == history(runs[1].path)


@pytest.mark.learns
def test_the_autoencoder_learns_to_draw_the_road(make_config: Any) -> None:
    artifact = pretrain.run(make_config(framework="native", epochs=20, lr=3e-3))
    losses = [float(row["train_loss"]) for row in history(artifact.path)]
    assert losses[-1] < 0.2 * losses[0]


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("task", ["ae", "vae"])
def test_a_stopped_run_keeps_its_best_and_resumes_to_the_same_end(
    make_config: Any, tmp_path: Path, framework: str, task: str
) -> None:
    more = {"framework": framework, "task": task, "epochs": 4, "val_fraction": 0.4}
    whole = pretrain.run(make_config(**more, run_name="whole"))
    with pytest.raises(InterruptedRunError, match="after 2 of 4 epochs"):
        pretrain.run(make_config(**more, run_name="cut"), stop=StopAfter(7))  # 3 batches per epoch: in the third
    cut = Artifact.open(tmp_path / "out" / "cut")
    assert cut.meta["epochs_trained"] == 2
    assert cut.meta["interrupted"]
    assert len(history(cut.path)) == 2
    resumed = pretrain.run(PretrainConfig.load(["--resume", str(cut.path), "--no-tqdm"]))
    assert resumed.path == cut.path
    assert not resumed.meta["interrupted"]
    assert history(resumed.path) == history(whole.path)
    first, second = load_encoder(whole.path), load_encoder(resumed.path)
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_a_run_stopped_in_its_first_epoch_still_leaves_an_artefact(make_config: Any, tmp_path: Path) -> None:
    with pytest.raises(InterruptedRunError, match="after 0 of 2"):
        pretrain.run(make_config(framework="native"), stop=StopAfter(1))
    artifact = Artifact.open(tmp_path / "out" / "run_001")
    assert artifact.meta["epochs_trained"] == 0
    assert artifact.meta["train_loss_final"] is None
    assert artifact.best_loss is None
    resumed = pretrain.run(PretrainConfig.load(["--resume", str(artifact.path)]))
    assert resumed.meta["epochs_trained"] == 2


def test_resuming_with_other_settings_is_refused(make_config: Any, tmp_path: Path) -> None:
    run = pretrain.run(make_config(framework="native", epochs=1)).path
    with pytest.raises(PretrainError, match="began with lr"):
        pretrain.run(PretrainConfig.load(["--resume", str(run), "--lr", "0.5"]))
    with pytest.raises(PretrainError, match="began with framework"):
        pretrain.run(PretrainConfig.load(["--resume", str(run), "--framework", "lightning"]))
    with pytest.raises(ConfigError, match=r"no resolved_config\.yaml"):
        PretrainConfig.load(["--resume", str(tmp_path)])
    longer = pretrain.run(PretrainConfig.load(["--resume", str(run), "--epochs", "2"]))
    assert longer.meta["epochs_trained"] == 2
    for flag, value in (("checkpoint-dir", "other"), ("tensorboard-dir", "other"), ("csv-dir", "other")):
        with pytest.raises(PretrainError, match=f"began with lightning.{flag.replace('-', '_')}"):
            pretrain.run(PretrainConfig.load(["--resume", str(run), f"--{flag}", value, "--epochs", "3"]))
    harmless = ["--patience", "3", "--precision", "bf16-mixed", "--save-top-k", "2"]
    assert pretrain.run(PretrainConfig.load(["--resume", str(run), *harmless])).meta["epochs_trained"] == 2
    (run / "checkpoints" / "last.ckpt").write_bytes(b"cut")
    with pytest.raises(PretrainError, match="no training state"):
        pretrain.run(PretrainConfig.load(["--resume", str(run), "--epochs", "3"]))
    history_before = (run / "metrics.csv").read_bytes()
    shutil.rmtree(run / "checkpoints")
    with pytest.raises(PretrainError, match=r"holds no training state, but metrics\.csv tells of 2 epochs"):
        pretrain.run(PretrainConfig.load(["--resume", str(run), "--epochs", "3"]))
    assert (run / "metrics.csv").read_bytes() == history_before


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_every_epoch_is_reported(make_config: Any, framework: str, capsys: pytest.CaptureFixture[str]) -> None:
    said: list[str] = []
    pretrain.run(make_config(framework=framework, val_fraction=0.4), say=said.append)
    lines = capsys.readouterr().err
    for epoch in (1, 2):
        assert f"epoch {epoch} train: 2/2" in lines
        assert f"epoch {epoch} val: 1/1" in lines
        assert any(sentence.startswith(f"epoch {epoch} of 2: train_loss 0.") for sentence in said)


def test_a_run_is_not_continued_on_other_frames(make_config: Any, frames_dir: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(frames_dir, data)
    run = pretrain.run(make_config(framework="native", epochs=1, data_dir=data)).path
    next(data.rglob("frame_00003_*")).unlink()
    with pytest.raises(PretrainError, match="the frames have changed"):
        pretrain.run(PretrainConfig.load(["--resume", str(run), "--epochs", "2"]))


def test_validation_is_shuffled_once(make_config: Any) -> None:
    config = make_config(val_fraction=0.4)
    train, val = make_feeds(config, open_training_data(config, 64, 64), drop_last=False, on_gpu=False)
    assert val is not None
    assert train.loader.order(0).tolist() != train.loader.order(1).tolist()
    assert val.loader.order(0).tolist() == val.loader.order(1).tolist() != sorted(val.loader.order(0).tolist())


def test_cache_and_live_decoding_train_alike(make_config: Any, tmp_path: Path) -> None:
    live = pretrain.run(make_config(framework="native", n_stack=2, val_fraction=0.4))
    cached = pretrain.run(
        make_config(framework="native", n_stack=2, val_fraction=0.4, preprocess_cache_dir=tmp_path / "cache")
    )
    assert history(live.path) == history(cached.path)
    assert cached.meta["cache_fingerprint"] == live.meta["data_hash"]
    assert cached.meta["in_channels"] == 2


def test_concatenated_stacks_export_one_channel_and_their_fusion(make_config: Any) -> None:
    artifact = pretrain.run(make_config(framework="native", n_stack=2, stack_mode="concat", epochs=1))
    assert load_encoder(artifact.path)["0.weight"].shape == (16, 1, 4, 4)
    assert torch.load(artifact.path / "fusion.pt", weights_only=True)["weight"].shape == (512, 1024)
    assert artifact.meta["in_channels"] == 1


def test_one_map_trains_without_validation_and_says_so(make_config: Any, frames_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "2001").symlink_to(frames_dir / "2001")
    said: list[str] = []
    artifact = pretrain.run(
        make_config(framework="native", data_dir=tmp_path / "one", val_fraction=0.5, epochs=1), say=said.append
    )
    assert artifact.meta["n_val_samples"] == 0
    assert artifact.meta["monitor"] == "train_loss"
    assert any("no validation set" in sentence for sentence in said)
    config = make_config(data_dir=tmp_path / "one", val_fraction=0.5, lightning={"checkpoint_monitor": "val_loss"})
    with pytest.raises(ConfigError, match="nothing is held out"):
        pretrain.run(config)


def test_runs_are_numbered_and_names_are_not_reused(make_config: Any, tmp_path: Path) -> None:
    for expected in ("run_001", "run_002"):
        assert pretrain.run(make_config(framework="native", epochs=1)).path.name == expected
    named = make_config(framework="native", epochs=1, run_name="ae_v1")
    pretrain.run(named)
    with pytest.raises(PretrainError, match="exists already"):
        pretrain.run(named)
    pretrain.run(named.model_copy(update={"overwrite": True}))
    with pytest.raises(PretrainError, match="is a path"):
        pretrain.run(make_config(run_name="../ae"))
    (tmp_path / "out" / "mine").mkdir()
    (tmp_path / "out" / "mine" / "thesis.txt").write_text("precious")
    with pytest.raises(PretrainError, match="no run of ours"):
        pretrain.run(make_config(run_name="mine", overwrite=True))


@pytest.fixture
def diverge_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """A function that makes the loss no number after so many batches from now."""
    real = Autoencoder.loss

    def begin(batches: int) -> None:
        left = iter([1.0] * batches)
        monkeypatch.setattr(Autoencoder, "loss", lambda *args: TaskLoss(real(*args).loss * next(left, float("nan"))))

    return begin


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_loss_that_is_no_number_leaves_what_was_learned_before(
    make_config: Any, framework: str, tmp_path: Path, diverge_after: Callable[[int], None]
) -> None:
    good = pretrain.run(make_config(framework=framework, epochs=2))
    diverge_after(7)  # 3 batches per epoch: in the third
    with pytest.raises(PretrainError, match=r"training diverged.* holds the best encoder of the 2 epochs before"):
        pretrain.run(make_config(framework=framework, epochs=5, run_name="v1"))
    kept = Artifact.open(tmp_path / "out" / "v1")
    assert (kept.meta["epochs_trained"], kept.meta["interrupted"]) == (2, True)
    first, second = load_encoder(good.path), load_encoder(kept.path)
    assert all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_replacement_that_comes_to_nothing_leaves_the_earlier_run(
    make_config: Any, framework: str, tmp_path: Path, diverge_after: Callable[[int], None]
) -> None:
    config = make_config(framework=framework, epochs=1, run_name="v1", overwrite=True)
    before = load_encoder(pretrain.run(config).path)
    said: list[str] = []
    diverge_after(0)
    with pytest.raises(PretrainError, match="there is no encoder to keep"):
        pretrain.run(config, say=said.append)
    after = load_encoder(tmp_path / "out" / "v1")
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert any("the earlier run is back" in sentence for sentence in said)
    diverge_after(4)
    with pytest.raises(PretrainError, match="best encoder of the 1 epochs"):
        pretrain.run(config.model_copy(update={"epochs": 3, "seed": 7}))
    assert Artifact.open(tmp_path / "out" / "v1").meta["seed"] == 7, "an artefact takes the place"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["v1"]


def test_a_killed_replacement_still_has_the_earlier_run_beside_it(
    make_config: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config(framework="native", epochs=1, run_name="v1", overwrite=True)
    before = load_encoder(pretrain.run(config).path)
    earlier = tmp_path / "out" / ".v1.replaced"
    with monkeypatch.context() as patch, pytest.raises(MemoryError):
        patch.setattr("trackmaster.pretrain.runner.write_artifact", _fail)
        pretrain.run(config)
    for _ in range(2):  # a second killed replacement must not push it out
        with monkeypatch.context() as patch, pytest.raises(MemoryError):
            patch.setattr("trackmaster.pretrain.runner.write_artifact", _fail)
            pretrain.run(config)
        kept = load_encoder(earlier)
        assert all(torch.equal(before[key], kept[key]) for key in before)
    pretrain.run(config)
    assert not earlier.exists()


def _fail(*_: object) -> None:
    raise MemoryError


def test_frames_that_cannot_be_used_stop_before_a_run_is_made(make_config: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        pretrain.run(make_config(data_dir=tmp_path / "nowhere"))
    with pytest.raises(DataError, match="do not fill one batch"):
        pretrain.run(make_config(task="simclr", batch_size=500))
    assert not (tmp_path / "out").exists()


def test_the_best_epoch_is_kept_and_patience_runs_out(tmp_path: Path) -> None:
    recorder = EpochRecorder(tmp_path / "metrics.csv", "val_loss", patience=2, min_delta=0.05)
    kept = []
    for epoch, loss in enumerate((1.0, 0.5, 0.49, 0.6)):
        assert not recorder.should_stop
        weights = {"encoder": {"epoch": torch.tensor(epoch)}}
        kept.append(recorder.record({"val_loss": loss}, lambda w=weights: w))
    assert kept == [True, True, True, False]
    assert recorder.should_stop, "0.49 is better than 0.5, but not by 0.05"
    assert (recorder.best_epoch, recorder.best_value) == (2, 0.49)
    assert recorder.best_weights == {"encoder": {"epoch": torch.tensor(2)}}
    recorder.write()
    copy = EpochRecorder(tmp_path / "copy.csv", "val_loss", patience=2)
    copy.load_state_dict(recorder.state_dict())
    assert copy.should_stop
    assert (tmp_path / "copy.csv").read_text() == (tmp_path / "metrics.csv").read_text()


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_early_stopping_ends_a_run(make_config: Any, framework: str) -> None:
    config = make_config(
        framework=framework, epochs=30, lr=1e-9, lightning={"early_stopping": True, "patience": 2, "min_delta": 0.1}
    )
    assert pretrain.run(config).meta["epochs_trained"] == 3


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_half_precision_trains(make_config: Any, framework: str) -> None:
    artifact = pretrain.run(make_config(framework=framework, epochs=1, lightning={"precision": "bf16-mixed"}))
    assert load_encoder(artifact.path)["0.weight"].dtype == torch.float32


def test_a_training_state_is_no_encoder(make_config: Any) -> None:
    run = pretrain.run(make_config(epochs=1)).path
    with pytest.raises(PretrainError, match="training state for resuming"):
        load_encoder(run / "checkpoints" / "last.ckpt")
    with pytest.raises(PretrainError, match="no such file"):
        load_encoder(run / "nothing.pt")
    (run / "junk.pt").write_bytes(b"junk")
    with pytest.raises(PretrainError, match="no file of weights"):
        load_encoder(run / "junk.pt")

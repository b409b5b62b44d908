"""An encoder reaches both networks of the agent unchanged in what it computes, or not at all."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from trackmaster import cli, pretrain
from trackmaster.errors import ConfigError, TrackmasterError
from trackmaster.nn.encoder import arch_hash, build_encoder
from trackmaster.nn.iqn import IQNNetwork
from trackmaster.nn.weights import load_strict
from trackmaster.pretrain import PretrainError, init_iqn_from_encoder
from trackmaster.pretrain.prepared import prepare_encoder
from trackmaster.rl.config.training import TrainConfig


def write_run(folder: Path, *, channels: int = 1, seed: int = 3, **meta: Any) -> Path:
    """Write an encoder with its record, as a run leaves them."""
    folder.mkdir(parents=True, exist_ok=True)
    state = build_encoder(channels, generator=torch.Generator().manual_seed(seed)).state_dict()
    for key in ("0.bias", "2.bias", "4.bias", "6.bias"):
        state[key] = torch.linspace(-0.1, 0.1, len(state[key]))
    torch.save(state, folder / "encoder.pt")
    record = {
        "task": "ae", "image_size": 64, "image_normalization": "01", "image_normalization_formula": "x/255",
        "n_stack": channels, "arch_hash": arch_hash(state), **meta,
    }  # fmt: skip
    (folder / "pretrain_meta.json").write_text(json.dumps({k: v for k, v in record.items() if v != "absent"}))
    return folder / "encoder.pt"


def load_pair(save_dir: Path) -> list[dict[str, torch.Tensor]]:
    return [torch.load(save_dir / f"weights{number}.torch", weights_only=True) for number in (1, 2)]


@pytest.mark.parametrize(("name", "formula"), [("01", "x/255"), ("iqn", "(x-128)/128"), ("01", "absent")])
def test_features_are_those_of_the_encoder(tmp_path: Path, name: str, formula: str) -> None:
    encoder_pt = write_run(tmp_path / "run", image_normalization=name, image_normalization_formula=formula)
    report = init_iqn_from_encoder(encoder_pt, tmp_path / "save")
    network = IQNNetwork(64, 64, 128)
    pair = load_pair(tmp_path / "save")
    network.load_state_dict(pair[0])
    pictures = torch.randint(0, 256, (4, 1, 64, 64), dtype=torch.uint8)
    encoder = build_encoder()
    encoder.load_state_dict(torch.load(encoder_pt, weights_only=True))
    scaled = pictures / 255 if name == "01" else (pictures.float() - 128) / 128
    with torch.no_grad():
        features = network.features(pictures, torch.zeros(4, 184))[:, :512]
        assert torch.allclose(features, encoder(scaled), atol=1e-5)
    assert report.encoder.feature_error < 1e-5
    assert sum(row.applied for row in report.rows) == 8
    assert len(report.rows) == 22


def test_both_networks_are_equal_and_reproducible(tmp_path: Path) -> None:
    encoder_pt = write_run(tmp_path / "run")
    first, second = (init_iqn_from_encoder(encoder_pt, tmp_path / name, seed=5) for name in ("a", "b"))
    online, target = load_pair(tmp_path / "a")
    assert online.keys() == target.keys() == IQNNetwork(64, 64, 128).state_dict().keys()
    assert all(torch.equal(online[key], target[key]) for key in online)
    assert all(torch.equal(online[key], value) for key, value in load_pair(tmp_path / "b")[0].items())
    assert [path.name for path in first.written] == ["weights1.torch", "weights2.torch", "init.json"]
    assert {path.name for path in (tmp_path / "a").iterdir()} == {"weights1.torch", "weights2.torch", "init.json"}
    record = json.loads((tmp_path / "a" / "init.json").read_text())
    assert record["conversions"] == ["pixel scale x/255 converted to (x-128)/128"]
    assert len(record["tensors"]) == len(second.rows)


def test_appended_floats_of_the_configuration_have_their_inputs(tmp_path: Path) -> None:
    encoder_pt = write_run(tmp_path / "run")
    config = tmp_path / "rl.yaml"
    config.write_text("inputs: {extra_floats: [turbo, wheel_contact_count]}\n")
    init_iqn_from_encoder(encoder_pt, tmp_path / "save", rl_config_path=config)
    for state in load_pair(tmp_path / "save"):
        assert state["float_feature_extractor.0.weight"].shape[1] == 186
        iqn = TrainConfig.load([], config=config, environment={}).to_iqn_config(186)
        load_strict(IQNNetwork(64, 64, iqn.embedding_dim, n_floats=iqn.n_floats, float_mean=iqn.float_mean,
                               float_std=iqn.float_std), state, source="the pair")  # fmt: skip
    for wrong in ("[turbo, turbo]", "[wings]", "turbo", "[1]"):
        config.write_text(f"inputs: {{extra_floats: {wrong}}}\n")
        with pytest.raises(ConfigError, match=r"extra_floats is .*expected a list of .*turbo"):
            init_iqn_from_encoder(encoder_pt, tmp_path / "save", rl_config_path=config, overwrite=True)


def test_dry_run_writes_nothing(tmp_path: Path) -> None:
    report = init_iqn_from_encoder(write_run(tmp_path / "run"), tmp_path / "save", dry_run=True)
    assert report.written == ()
    assert not (tmp_path / "save").exists()


@pytest.mark.parametrize("how", ["mean", "sum", "last"])
def test_stacked_encoders_lose_their_extra_channels_before_the_conversion(tmp_path: Path, how: Any) -> None:
    encoder_pt = write_run(tmp_path / "run", channels=4)
    init_iqn_from_encoder(encoder_pt, tmp_path / "save", kernel_reduce=how)
    weight = torch.load(encoder_pt, weights_only=True)["0.weight"]
    expected = {"mean": weight.mean(1, keepdim=True), "sum": weight.sum(1, keepdim=True), "last": weight[:, -1:]}[how]
    found = load_pair(tmp_path / "save")[0]["img_head.0.weight"]
    assert torch.allclose(found, expected * 128 / 255, atol=1e-7)


def test_patching_changes_the_picture_head_only(tmp_path: Path) -> None:
    networks = [IQNNetwork(64, 64, 128, generator=torch.Generator().manual_seed(n)).state_dict() for n in (1, 2)]
    for number, state in enumerate(networks, start=1):
        wrapped = {f"_orig_mod.{key}": value.contiguous() for key, value in state.items()}
        torch.save(wrapped, tmp_path / f"weights{number}.torch")
    (tmp_path / "optimizer1.torch").write_bytes(b"kept")
    init_iqn_from_encoder(write_run(tmp_path / "run"), tmp_path, fresh=False)
    patched = load_pair(tmp_path)
    for before, after in zip(networks, patched, strict=True):
        for key, value in before.items():
            assert torch.equal(value, after[key]) != key.startswith("img_head.")
    assert all(torch.equal(patched[0][key], patched[1][key]) for key in patched[0] if key.startswith("img_head."))
    assert (tmp_path / "optimizer1.torch").read_bytes() == b"kept"


def test_a_trained_agent_is_not_replaced_by_accident(tmp_path: Path) -> None:
    encoder_pt, save = write_run(tmp_path / "run"), tmp_path / "save"
    init_iqn_from_encoder(encoder_pt, save)
    init_iqn_from_encoder(encoder_pt, save, seed=6)  # nothing was trained in between
    state = load_pair(save)[0]
    state["A_head.2.bias"] += 1
    torch.save(state, save / "weights1.torch")
    (save / "optimizer1.torch").write_bytes(b"of the trained agent")
    with pytest.raises(PretrainError, match="was trained"):
        init_iqn_from_encoder(encoder_pt, save)
    assert torch.equal(load_pair(save)[0]["A_head.2.bias"], state["A_head.2.bias"])
    init_iqn_from_encoder(encoder_pt, save, overwrite=True)
    assert not (save / "optimizer1.torch").exists(), "an optimiser of other weights would only mislead"
    assert (save / "earlier-1" / "optimizer1.torch").read_bytes() == b"of the trained agent"
    assert torch.equal(load_pair(save / "earlier-1")[0]["A_head.2.bias"], state["A_head.2.bias"]), "nothing is lost"
    init_iqn_from_encoder(encoder_pt, save, overwrite=True)
    assert not (save / "earlier-2").exists(), "what nothing trained since is replaced, not collected"


@pytest.mark.parametrize(
    ("meta", "sentence"),
    [
        ({"image_normalization": "iqn", "image_normalization_formula": "absent"}, "without saying the formula"),
        ({"image_normalization": "iqn", "image_normalization_formula": "(x-127.5)/127.5"}, "known are"),
        ({"image_normalization": "imagenet"}, "known are"),
        ({"arch_hash": "0" * 16}, "different runs"),
        ({"image_size": 128}, "128x128"),
        ({"image_size": None}, "does not say its picture size"),
    ],
)
def test_records_that_do_not_fit_are_refused(tmp_path: Path, meta: dict[str, Any], sentence: str) -> None:
    with pytest.raises(PretrainError, match=sentence):
        init_iqn_from_encoder(write_run(tmp_path / "run", **meta), tmp_path / "save")
    assert not (tmp_path / "save").exists()


def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    meta = {"image_size": 64, "image_normalization": "01"}
    good = build_encoder().state_dict()
    for state, sentence in (
        ({"weight": torch.zeros(3)}, "no convolution"),
        ({**good, "2.weight": torch.zeros(32, 16, 3, 3)}, r"2\.weight: \(32, 16, 3, 3\)"),
        ({key: value for key, value in good.items() if key != "6.bias"}, r"6\.bias: missing"),
        ({**good, "8.bias": torch.zeros(3)}, "the agent's is nothing"),
        ({**good, "4.bias": torch.full((64,), float("nan"))}, "not finite"),
    ):
        with pytest.raises(PretrainError, match=sentence):
            prepare_encoder(state, meta, "mean", Path("encoder.pt"))
    prefixed = {f"_orig_mod.{key}": value for key, value in good.items()}
    assert arch_hash(prepare_encoder(prefixed, meta, "mean", Path("encoder.pt")).state) == "15736da0a73bded6"


def test_pairs_that_cannot_be_patched_are_refused(tmp_path: Path) -> None:
    encoder_pt, save = write_run(tmp_path / "run"), tmp_path / "save"
    save.mkdir()
    with pytest.raises(PretrainError, match="no pair to patch"):
        init_iqn_from_encoder(encoder_pt, save, fresh=False)
    for number in (1, 2):
        torch.save({"A_head.0.weight": "text"}, save / f"weights{number}.torch")
    with pytest.raises(TrackmasterError, match="expected a state dict of tensors"):
        init_iqn_from_encoder(encoder_pt, save, fresh=False)
    for number in (1, 2):
        torch.save({"some": torch.zeros(1)}, save / f"weights{number}.torch")
    with pytest.raises(TrackmasterError, match="no network of this agent"):
        init_iqn_from_encoder(encoder_pt, save, fresh=False)
    large = IQNNetwork(120, 160, 64).state_dict()
    for number in (1, 2):
        torch.save(large, save / f"weights{number}.torch")
    with pytest.raises(PretrainError, match="5632 picture features"):
        init_iqn_from_encoder(encoder_pt, save, fresh=False)
    (save / "weights1.torch").write_bytes(b"cut")
    with pytest.raises(TrackmasterError, match="no file of weights"):
        init_iqn_from_encoder(encoder_pt, save, fresh=False)


def test_a_missing_encoder_is_named_and_not_its_record(tmp_path: Path) -> None:
    write_run(tmp_path / "run")
    (tmp_path / "empty").mkdir()
    for wrong in (tmp_path / "nowhere.pt", tmp_path / "run" / "encodr.pt", tmp_path / "empty"):
        with pytest.raises(PretrainError, match="no such file") as caught:
            init_iqn_from_encoder(wrong, tmp_path / "save")
        assert "pretrain_meta" not in str(caught.value)


def test_a_missing_record_is_named(tmp_path: Path) -> None:
    encoder_pt = write_run(tmp_path / "run")
    record = (tmp_path / "run" / "pretrain_meta.json").rename(tmp_path / "elsewhere.json")
    with pytest.raises(PretrainError, match=r"pretrain_meta\.json"):
        init_iqn_from_encoder(encoder_pt, tmp_path / "save")
    init_iqn_from_encoder(encoder_pt, tmp_path / "save", meta_json=record)
    with pytest.raises(ConfigError, match="no such file"):
        init_iqn_from_encoder(encoder_pt, tmp_path / "s", meta_json=record, rl_config_path=tmp_path / "rl.yaml")


def test_from_frames_to_the_agent_by_command(
    make_config: Any, tmp_path: Path, frames_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = pretrain.run(make_config(framework="native", n_stack=3, epochs=1)).path
    argv = ["inject", "--encoder-pt", str(run / "encoder.pt"), "--save-dir", str(tmp_path / "save")]
    assert cli.main([*argv, "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "nothing was written" in said
    assert "first-layer kernels of 3 frames reduced by mean" in said
    assert "feature norm after the kernel reduction: " in said, "measured on the frames the record names"
    assert cli.main([*argv, "--kernel-reduce", "sum", "--frames-dir", str(frames_dir)]) == 0
    assert "wrote" in capsys.readouterr().out
    assert cli.main([*argv[:2], str(run / "checkpoints" / "last.ckpt")]) == 1
    assert "is a training state for resuming" in capsys.readouterr().err

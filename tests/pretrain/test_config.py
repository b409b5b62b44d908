"""Names, flags and priorities are those of the seed documents."""

from pathlib import Path

import pytest

from trackmaster.errors import ConfigError
from trackmaster.pretrain import PretrainConfig
from trackmaster.pretrain.agent_shape import AgentShape, read_agent_shape
from trackmaster.pretrain.config import RL_CONFIG_DEFAULT


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # no default YAML file here


def test_defaults_are_the_contracts() -> None:
    config = PretrainConfig.load()
    assert (config.task, config.framework, config.image_normalization) == ("ae", "lightning", "01")
    assert (config.epochs, config.batch_size, config.lr, config.grad_clip) == (50, 128, 1e-3, 1.0)
    assert (config.val_fraction, config.seed, config.n_stack, config.stack_mode) == (0.0, 42, 1, "channel")
    assert (config.lightning.patience, config.lightning.tensorboard_dir, config.lightning.save_top_k) == (10, "tb", 1)


def test_the_shipped_file_names_every_field(repository_root: Path) -> None:
    config = PretrainConfig.load(config=repository_root / "config_files" / "pretrain_config.yaml")
    assert config.output_dir == Path("output/ptretrain/vis")
    assert (config.lightning.tensorboard_dir, config.lightning.early_stopping) == ("tensorboard", False)
    fields = PretrainConfig()
    differing = {"output_dir": fields.output_dir, "prefetch_factor": 2, "lightning": fields.lightning}
    assert config.model_copy(update=differing) == fields


def test_every_flag_of_the_seeds_is_known() -> None:
    flags = (
        "--data-dir a --output-dir b --run-name c --task simclr --framework native --rl-config-path d.yaml "
        "--image-normalization iqn --epochs 3 --batch-size 4 --lr 0.1 --workers 1 --grad-clip 2 --vae-latent 5 "
        "--proj-dim 6 --temperature 0.7 --n-stack 4 --stack-mode concat --val-fraction 0.1 --seed 8 --kl-weight 0.2 "
        "--no-tqdm --preprocess-cache-dir e --cache-load-in-ram --cache-build-workers 2 --no-tensorboard "
        "--no-csv-logger --tensorboard-dir f --csv-dir g --checkpoint-dir h --save-top-k -1 --no-early-stopping "
        "--patience 9 --accelerator cpu --precision bf16-mixed --log-every-n-steps 10 --deterministic"
    )
    config = PretrainConfig.load(flags.split())
    assert (config.task, config.framework, config.n_stack, config.use_tqdm) == ("simclr", "native", 4, False)
    options = config.lightning
    assert (options.tensorboard, options.csv_logger, options.early_stopping) == (False, False, False)
    assert (options.save_top_k, options.patience, options.log_every_n_steps) == (-1, 9, 10)
    assert (options.tensorboard_dir, options.csv_dir, options.checkpoint_dir) == ("f", "g", "h")
    assert options.deterministic
    assert PretrainConfig.load(["--profiler", "simple"]).lightning.profiler == "simple"


def test_flags_beat_environment_beats_file_beats_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my.yaml").write_text("epochs: 2\nlr: 0.2\nseed: 2\nlightning: {patience: 2, csv_dir: two}\n")
    monkeypatch.setenv("PRETRAIN_LR", "0.3")
    monkeypatch.setenv("PRETRAIN_SEED", "3")
    monkeypatch.setenv("PRETRAIN_LIGHTNING__PATIENCE", "3")
    config = PretrainConfig.load(["--config", "my.yaml", "--seed", "4"])
    assert (config.epochs, config.lr, config.seed, config.batch_size) == (2, 0.3, 4, 128)
    assert (config.lightning.patience, config.lightning.csv_dir) == (3, "two")
    made = PretrainConfig(epochs=2)
    assert (made.lr, made.seed, made.lightning.patience) == (1e-3, 42, 10), (
        "a configuration made in code is what it says"
    )


def test_the_first_default_file_wins_and_the_second_is_found(tmp_path: Path) -> None:
    second = tmp_path / "config_files" / "pretrain" / "vis" / "pretrain_config.yaml"
    second.parent.mkdir(parents=True)
    second.write_text("epochs: 7\n")
    assert PretrainConfig.load().epochs == 7
    (tmp_path / "config_files" / "pretrain_config.yaml").write_text("seed: 1\n")
    assert PretrainConfig.load().epochs == 50


def test_variables_of_behavioural_cloning_are_none_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRETRAIN_BC_EPOCHS", "3")
    PretrainConfig.load()
    monkeypatch.setenv("PRETRAIN_EPOCH", "3")
    with pytest.raises(ConfigError, match="PRETRAIN_EPOCHS"):
        PretrainConfig.load()


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--framework", "lightly"], "simclr on single frames"),
        (["--framework", "lightly", "--task", "simclr", "--n-stack", "2"], "simclr on single frames"),
        (["--framework", "native", "--profiler", "simple"], "no profiler"),
        (["--val-fraction", "1"], "val_fraction"),
        (["--n-stack", "33"], "n_stack"),
        (["--image-size", "64"], "--image-size"),
    ],
)
def test_contradictions_are_refused(flags: list[str], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        PretrainConfig.load(flags)


def test_picture_size_comes_from_the_rl_configuration(tmp_path: Path) -> None:
    path = tmp_path / "rl.yaml"
    path.write_text("neural_network: {w_downsized: 160, h_downsized: 112, iqn_embedding_dimension: 64}\ntraining: {}\n")
    assert read_agent_shape(path) == AgentShape(width=160, height=112, embedding_dim=64)
    assert read_agent_shape(RL_CONFIG_DEFAULT) == AgentShape(64, 64)
    with pytest.raises(ConfigError, match="no such file"):
        read_agent_shape(tmp_path / "none.yaml")
    path.write_text("neural_network: {w_downsized: wide}\n")
    with pytest.raises(ConfigError, match="w_downsized is 'wide'"):
        read_agent_shape(path)

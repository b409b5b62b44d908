"""The training configuration: files that ship with the project, defaults, and refusals."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from trackmaster.env.layout import OBS_MEAN, OBS_STD
from trackmaster.errors import ConfigError
from trackmaster.rl.config.training import TrainConfig

CONFIGS = Path("config_files/rl")


@pytest.fixture
def configs(repository_root: Path) -> Path:
    return repository_root / CONFIGS


def test_default_file_spells_out_every_default(configs: Path) -> None:
    written = yaml.safe_load((configs / "config_default.yaml").read_text())
    default = TrainConfig()
    assert set(written) == set(TrainConfig.model_fields)
    for section, values in written.items():
        if isinstance(values, dict):
            assert set(values) == set(type(getattr(default, section)).model_fields), section
    loaded = TrainConfig.load(config=configs / "config_default.yaml").model_dump()
    expected = default.model_dump()
    assert loaded.pop("map_cycle")["entries"]
    expected.pop("map_cycle")
    assert loaded == expected


def test_quick_preset_loads_and_names_a_bundled_track(configs: Path) -> None:
    quick = TrainConfig.load(config=configs / "config_quick.yaml")
    assert 0 < quick.training.max_minutes <= 30
    assert {entry.map_path for entry in quick.map_cycle.entries} == {"bundled:first_steps"}
    quick.to_iqn_config()


def test_published_defaults() -> None:
    config = TrainConfig()
    iqn = config.to_iqn_config()
    assert (iqn.image_width, iqn.embedding_dim, iqn.iqn_n, iqn.iqn_k, iqn.iqn_kappa) == (64, 128, 8, 32, 0.005)
    assert iqn.use_ddqn
    assert config.mini_race.horizon_actions == 140
    np.testing.assert_array_equal(iqn.float_mean, OBS_MEAN)
    np.testing.assert_array_equal(iqn.float_std, OBS_STD)
    size, start = config.memory_schedules()
    assert (size(0), start(0), size(5_000_000), start(7e6)) == (50_000, 20_000, 100_000, 150_000)


def test_clock_is_normalised_by_half_the_window() -> None:
    config = TrainConfig.load(["--environment.temporal-mini-race-duration-ms", "3000"])
    iqn = config.to_iqn_config()
    assert iqn.float_mean is not None
    assert iqn.float_std is not None
    assert (iqn.float_mean[0], iqn.float_std[0]) == (30, 30)
    np.testing.assert_array_equal(iqn.float_mean[1:], OBS_MEAN[1:])


def test_extra_floats_lengthen_the_input() -> None:
    iqn = TrainConfig().to_iqn_config(187)
    assert iqn.float_mean is not None
    assert iqn.float_mean.shape == (187,)
    assert iqn.float_mean[184:].tolist() == [0, 0, 0]


def test_schedules_run_faster_all_alike() -> None:
    slow = TrainConfig().to_iqn_config()
    fast = TrainConfig.load(["--training.global-schedule-speed", "8"]).to_iqn_config()
    for name in ("lr", "gamma", "epsilon", "epsilon_boltzmann"):
        assert getattr(fast, name)(100_000) == pytest.approx(getattr(slow, name)(800_000)), name


def test_whole_configuration_survives_its_own_file(tmp_path: Path) -> None:
    config = TrainConfig.load(["--training.batch-size", "64", "--run-name", "x"])
    path = tmp_path / "snapshot.yaml"
    path.write_text(config.to_yaml())
    assert TrainConfig.load(config=path) == config


@pytest.mark.parametrize(("text", "message"), [
    ("training: {batchsize: 3}", "batch_size"),
    ("exploration: {random_action_weights: [1, 2]}", "12 numbers"),
    ("run_name: ../elsewhere", "run_name"),
    ("state_normalization: {float_inputs_mean: [1, 2]}", "has 2 numbers"),
    ("training: {lr_schedule: [[10, 1], [5, 1]]}", "lr_schedule"),
    ("neural_network: {number_memories_trained_on_between_target_network_updates: 5}", "once per batch"),
    ("memory: {memory_size_schedule: []}", "memory_size_schedule.*at least one point"),
    ("memory: {memory_size_schedule: [[0, 0, 0]]}", "at least 1 row"),
    ("memory: {memory_size_schedule: [[0, -5, 0]]}", "at least 1 row"),
    ("memory: {memory_size_schedule: [[0, 100, -1]]}", "at least 0 rows"),
    ("memory: {memory_size_schedule: [[9, 100, 10], [5, 200, 10]]}", "frames that grow"),
    ("training: {lr_schedule: []}", "lr_schedule.*at least one point"),
    ("training: {lr_schedule: [[0, .nan]]}", "lr_schedule.*finite"),
    ("training: {lr_schedule: [[0, 0]]}", "lr_schedule.*above 0"),
    ("training: {lr_schedule: [[-3, 1]]}", "lr_schedule.*from 0 or more"),
    ("training: {gamma_schedule: [[0, 1.5]]}", "gamma_schedule.*at most 1"),
    ("training: {weight_decay_lr_ratio: .inf}", "weight_decay_lr_ratio.*finite"),
    ("exploration: {epsilon_schedule: [[0, 2]]}", "epsilon_schedule.*at most 1"),
    ("exploration: {epsilon_boltzmann_schedule: [[0, -0.1]]}", "epsilon_boltzmann_schedule.*at least 0"),
    ("rewards: {constant_reward_per_ms: -.inf}", "constant_reward_per_ms.*finite"),
    ("rewards: {shaped_reward_dist_to_cur_vcp: .nan}", "shaped_reward_dist_to_cur_vcp.*finite"),
    ("state_normalization: {float_inputs_std: [1, 0, 1]}", "deviation must be positive, number 1 is 0"),
    ("state_normalization: {float_inputs_mean: [.nan]}", "float_inputs_mean.*finite"),
    ("performance: {autocast: fp8}", "autocast.*'bf16'"),
    ("environment: {temporal_mini_race_duration_ms: 1000}", "20 decisions long, but its clock is drawn up to 30"),
    ("map_cycle: {entries: [{short_name: a, map_path: x}, {short_name: a, map_path: y}]}", "two different tracks"),
    ("map_cycle: {entries: [{short_name: a, map_path: x}, {short_name: a, map_path: x, "
     "cutoff_rollout_if_no_vcp_passed_within_duration_ms: 9000}]}", "entries of 'a' say different"),
])  # fmt: skip
def test_impossible_settings_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        TrainConfig.load(config=path).to_iqn_config()


def test_a_price_on_metres_bounds_returns_like_a_pay() -> None:
    bounds = [
        TrainConfig.load(["--rewards.reward-per-m-advanced-along-centerline", pay]).to_iqn_config().q_bound
        for pay in ("0.01", "-0.01")
    ]
    assert bounds[0] == bounds[1] > 0

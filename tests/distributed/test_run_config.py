"""Every key and every command of the TMRL documents is accepted; what is unknown or contradictory is not."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from trackmaster.distributed.config_json.command import main, parser
from trackmaster.distributed.config_json.config import RunConfig
from trackmaster.distributed.config_json.file import merged, parse_json, read_json, read_run_config, run_config
from trackmaster.distributed.config_json.folder import FOLDERS, RunFolder
from trackmaster.distributed.config_json.roles import interface_options, make_columns, make_env
from trackmaster.distributed.config_json.verbs import (
    RunSettings,
    TrainerVerbConfig,
    WorkerVerbConfig,
    prepared,
    run_worker,
)
from trackmaster.env.ids import interface_named
from trackmaster.errors import ConfigError
from trackmaster.rl.samples.chunk import ColumnSpec

SEED_CONFIG = {
    "RUN_NAME": "trackmaster_v1", "WINDOW_WIDTH": 256, "WINDOW_HEIGHT": 128, "IMG_WIDTH": 64, "IMG_HEIGHT": 64,
    "IMG_GRAYSCALE": True, "IMG_HIST_LEN": 4, "ACT_BUF_LEN": 4, "LOCALHOST_WORKER": True, "LOCALHOST_TRAINER": False,
    "PUBLIC_IP_SERVER": "127.0.0.1", "PORT": 6666, "PASSWORD": "trackmaster_secure_pwd", "SECURITY": None,
    "MAX_EPOCHS": 100, "ROUNDS_PER_EPOCH": 10, "TRAINING_STEPS_PER_ROUND": 1000, "UPDATE_MODEL_INTERVAL": 1000,
    "UPDATE_BUFFER_INTERVAL": 100, "MEMORY_SIZE": 1000000, "BATCH_SIZE": 256,
    "ENVIRONMENT_STEPS_BEFORE_TRAINING": 2000, "MAX_TRAINING_STEPS_PER_ENVIRONMENT_STEP": 1.0, "CUDA_TRAINING": True,
    "CUDA_INFERENCE": False, "WANDB_PROJECT": "trackmaster", "WANDB_ENTITY": "your_username",
    "WANDB_RUN_ID": "run_001", "WANDB_KEY": "your_wandb_api_key",
}  # fmt: skip
TMRL_CONFIG = {
    "RUN_NAME": "SAC_4_imgs_pretrained", "RESET_TRAINING": False, "BUFFERS_MAXLEN": 500000,
    "RW_MAX_SAMPLES_PER_EPISODE": 1000, "CUDA_TRAINING": True, "CUDA_INFERENCE": False, "VIRTUAL_GAMEPAD": True,
    "DEBUG_MODE": False, "LOCALHOST_WORKER": True, "LOCALHOST_TRAINER": True, "PUBLIC_IP_SERVER": "0.0.0.0",
    "PASSWORD": "YourRandomPasswordHere", "TLS": False, "TLS_HOSTNAME": "default", "TLS_CREDENTIALS_DIRECTORY": "",
    "NB_WORKERS": -1, "WANDB_PROJECT": "tmrl", "WANDB_ENTITY": "tmrl", "WANDB_KEY": "YourWandbApiKey", "PORT": 55555,
    "LOCAL_PORT_SERVER": 55556, "LOCAL_PORT_TRAINER": 55557, "LOCAL_PORT_WORKER": 55558, "BUFFER_SIZE": 536870912,
    "HEADER_SIZE": 12, "SAVE_MODEL_EVERY": 0, "MAX_EPOCHS": 10000, "ROUNDS_PER_EPOCH": 100,
    "TRAINING_STEPS_PER_ROUND": 200, "MAX_TRAINING_STEPS_PER_ENVIRONMENT_STEP": 4.0,
    "ENVIRONMENT_STEPS_BEFORE_TRAINING": 1000, "UPDATE_MODEL_INTERVAL": 200, "UPDATE_BUFFER_INTERVAL": 200,
    "MEMORY_SIZE": 1000000, "BATCH_SIZE": 256,
    "ALG": {
        "ALGORITHM": "SAC", "LEARN_ENTROPY_COEF": False, "LR_ACTOR": 0.00001, "LR_CRITIC": 0.00005,
        "LR_ENTROPY": 0.0003,
        "GAMMA": 0.995, "POLYAK": 0.995, "TARGET_ENTROPY": -0.5, "ALPHA": 0.01, "REDQ_N": 10, "REDQ_M": 2,
        "REDQ_Q_UPDATES_PER_POLICY_UPDATE": 20, "OPTIMIZER_ACTOR": "adam", "OPTIMIZER_CRITIC": "adam",
        "BETAS_ACTOR": [0.997, 0.997], "BETAS_CRITIC": [0.997, 0.997], "L2_ACTOR": 0.0, "L2_CRITIC": 0.0,
    },
    "ENV": {
        "RTGYM_INTERFACE": "TM20FULL", "WINDOW_WIDTH": 256, "WINDOW_HEIGHT": 128, "SLEEP_TIME_AT_RESET": 1.5,
        "IMG_HIST_LEN": 4, "IMG_WIDTH": 64, "IMG_HEIGHT": 64, "IMG_GRAYSCALE": True, "LINUX_X_OFFSET": 64,
        "LINUX_Y_OFFSET": 70, "IMG_SCALE_CHECK_ENV": 1.0,
        "RTGYM_CONFIG": {
            "time_step_duration": 0.05, "start_obs_capture": 0.04, "time_step_timeout_factor": 1.0, "act_buf_len": 2,
            "benchmark": False, "wait_on_done": True, "ep_max_length": 1000,
            "interface_kwargs": {"save_replays": False},
        },
        "REWARD_CONFIG": {
            "END_OF_TRACK": 100.0, "CONSTANT_PENALTY": 0.0, "CHECK_FORWARD": 500, "CHECK_BACKWARD": 10,
            "FAILURE_COUNTDOWN": 10, "MIN_STEPS": 70, "MAX_STRAY": 100.0,
        },
    },
    "__VERSION__": "0.6.0",
}  # fmt: skip
COMMANDS = (
    "--server", "--trainer", "--worker", "--install", "--trainer --wandb", "--expert", "--test", "--benchmark",
    "--record-reward", "--record-reward --use-keyboard", "--check-environment", '-d {"RUN_NAME":"b"} --worker',
    "--worker --config other.json", "--worker --data-dir elsewhere",
)  # fmt: skip


def written(path: Path, values: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values))
    return path


def test_the_seeds_file_is_accepted_and_is_the_default(tmp_path: Path, repository_root: Path) -> None:
    config = read_run_config(written(tmp_path / "config.json", SEED_CONFIG))
    for name, value in SEED_CONFIG.items():
        assert getattr(config, name) == value
    defaults = RunConfig()
    personal = {"WANDB_ENTITY", "WANDB_RUN_ID", "WANDB_KEY", "WINDOW_WIDTH", "WINDOW_HEIGHT"}
    for name in SEED_CONFIG.keys() - personal:
        assert getattr(defaults, name) == SEED_CONFIG[name], name
    for document in (repository_root.parent / "shared" / "seeds").glob("003*.txt"):
        printed = re.findall(r"```json\n(.*?)```", document.read_text(), re.DOTALL)
        assert [json.loads(text) for text in printed] == [SEED_CONFIG]


def test_tmrls_file_is_accepted_and_means_the_same(tmp_path: Path) -> None:
    config = read_run_config(written(tmp_path / "config.json", TMRL_CONFIG))
    assert (config.ACT_BUF_LEN, config.IMG_WIDTH, config.WINDOW_WIDTH, config.SECURITY) == (2, 64, 256, None)
    assert "act_buf_len" not in config.ENV.RTGYM_CONFIG
    assert config.ENV.RTGYM_CONFIG["start_obs_capture"] == 0.04
    assert config.ALG.BETAS_ACTOR == (0.997, 0.997)
    assert config.server_for_trainer == "127.0.0.1"
    secure = run_config(merged(TMRL_CONFIG, {"TLS": True}), source="x")
    assert secure.SECURITY == "TLS"


def test_the_reward_of_tmrls_file_pays_on_the_simulator(tmp_path: Path) -> None:
    changes = {"ENV": {"RTGYM_INTERFACE": "SIMULATOREXACTLIDAR", "RTGYM_CONFIG": {"interface_kwargs": {}}}}
    file = {**TMRL_CONFIG, "ENV": {**TMRL_CONFIG["ENV"], **changes["ENV"]}}
    env = make_env(read_run_config(written(tmp_path / "config.json", file)), RunFolder(tmp_path))
    env.reset()
    go = np.array([1.0, -1.0, 0.0], dtype=np.float32)
    assert sum(env.step(go)[1] for _ in range(40)) > 1
    env.close()


@pytest.mark.parametrize(
    ("said", "name", "window"),
    [
        ({"WINDOW_WIDTH": 320, "WINDOW_HEIGHT": 200}, "TM20FULL", (320, 200)),
        ({"WINDOW_WIDTH": 640, "WINDOW_HEIGHT": 360}, "TM20LIDAR", (640, 360)),
        ({"WINDOW_WIDTH": 800}, "TM20LIDARPROGRESS", (800, 488)),
        ({}, "TM20FULL", (256, 128)),
    ],
)
def test_the_games_window_is_made_as_the_file_says(
    tmp_path: Path, said: dict[str, int], name: str, window: tuple[int, int]
) -> None:
    config = RunConfig.model_validate({**said, "ENV": {"RTGYM_INTERFACE": name}})
    interface = interface_named(name)(**interface_options(config, RunFolder(tmp_path)))
    assert interface.window == window


def test_a_file_says_what_the_samples_of_its_workers_look_like() -> None:
    def box(*shape: int, dtype: str = "f4") -> spaces.Box:
        return spaces.Box(-1, 1, shape, dtype) if dtype == "f4" else spaces.Box(0, 255, shape, np.uint8)

    action = box(3)
    full = spaces.Tuple((box(1), box(1), box(1), box(4, 64, 64, dtype="u1"), *[action] * 4))
    columns = make_columns(RunConfig())(full, action)
    flags = {"reward", "terminated", "truncated"}
    assert columns.keys() == {"action", "obs.0", "obs.1", "obs.2", "obs.3", *flags}
    assert columns["obs.3"] == ColumnSpec((64, 64), "|u1")
    checked = make_columns(RunConfig(DEBUG_MODE=True))(full, action)
    assert checked == {**columns, "crc": ColumnSpec((12,), "<u4")}
    lidar = make_columns(run_config({"ENV": {"RTGYM_INTERFACE": "TM20LIDAR"}}, source="x"))
    assert lidar(spaces.Tuple((box(1), box(4, 19), action)), action)["obs.1"] == ColumnSpec((19,), "<f4")


def test_every_tmrl_key_has_a_meaning_or_is_said_to_have_none() -> None:
    def keys(values: Any, path: tuple[str, ...] = ()) -> Any:
        for name, value in values.items():
            yield (*path, name)
            if isinstance(value, dict) and name in ("ALG", "ENV"):
                yield from keys(value, (*path, name))

    for path in keys(TMRL_CONFIG):
        values: Any = TMRL_CONFIG
        for name in path:
            values = values[name]
        alone: Any = values
        for name in reversed(path):
            alone = {name: alone}
        run_config(alone, source="one key")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"RUN_NAMES": "x"}, r"'RUN_NAMES' is not a setting. Did you mean 'RUN_NAME'\?"),
        ({"batch_size": 1}, r"'batch_size' is not a setting. Did you mean 'BATCH_SIZE'\?"),
        ({"ALG": {"LR_ACTR": 1}}, r"'ALG.LR_ACTR' is not a setting. Did you mean 'LR_ACTOR'\?"),
        ({"ENV": {"IMG_WITH": 1}}, r"'ENV.IMG_WITH' is not a setting. Did you mean 'IMG_WIDTH'\?"),
        ({"ENV": {"RTGYM_CONFIG": {"time_step": 1}}}, r"RTGYM_CONFIG.time_step' is not a setting. Did you mean"),
        ({"ENV": {"REWARD_CONFIG": {"MAX_STRAYS": 1}}}, r"Did you mean 'MAX_STRAY'\?"),
        ({"ACT_BUF_LEN": 4, "ENV": {"RTGYM_CONFIG": {"act_buf_len": 2}}}, "says 2 and 'ACT_BUF_LEN' says 4"),
        ({"SECURITY": "TLS", "TLS": False}, "'TLS' says None and 'SECURITY' says 'TLS'"),
        ({"IMG_WIDTH": 64, "ENV": {"IMG_WIDTH": 96}}, "'ENV.IMG_WIDTH' says 96 and 'IMG_WIDTH' says 64"),
        ({"TLS": "yes"}, "'TLS' is 'yes', expected true or false"),
        ({"PORT": "six"}, "'PORT'.*found 'six'"),
        ({"ALG": {"ALGORITHM": "DQN"}}, "'ALG.ALGORITHM'"),
        ({"ALG": {"BETAS_ACTOR": [1.0, 0.9]}}, "'ALG.BETAS_ACTOR.0': .*less than 1, found 1.0"),
        ({"ENV": {"RTGYM_CONFIG": 5}}, "'ENV.RTGYM_CONFIG': .*found 5"),
        ({"ENV": {"RTGYM_CONFIG": {"interface_kwargs": [1]}}}, r"interface_kwargs is \[1\], expected an object"),
    ],
)
def test_unknown_and_contradictory_keys_are_refused(tmp_path: Path, change: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_run_config(written(tmp_path / "config.json", change))


def test_the_same_value_in_both_places_is_no_contradiction() -> None:
    assert run_config({"IMG_WIDTH": 96, "ENV": {"IMG_WIDTH": 96}}, source="x").IMG_WIDTH == 96


def test_changes_go_over_the_file_in_either_spelling(tmp_path: Path) -> None:
    path = written(tmp_path / "config.json", TMRL_CONFIG)
    assert read_run_config(path, changes={"ACT_BUF_LEN": 6}).ACT_BUF_LEN == 6
    assert read_run_config(path, changes={"SECURITY": "TLS"}).SECURITY == "TLS"
    changed = read_run_config(path, changes={"ENV": {"RTGYM_CONFIG": {"ep_max_length": 9}}})
    assert changed.ENV.RTGYM_CONFIG["ep_max_length"] == 9
    assert changed.ENV.RTGYM_CONFIG["wait_on_done"] is True


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('# config.json on all machines:\n{"PORT": 6666}', "JSON has no comments: take out '# config.json on all"),
        ('{\n// port\n"PORT": 6666}', "JSON has no comments: take out '// port'"),
        ('{"PORT": 1, "PORT": 2}', "the key 'PORT' stands twice"),
        ("[1]", "found a list"),
        ("", "this is not JSON"),
        ("[" * 100_000, "this is not JSON"),
    ],
)
def test_what_is_no_json_gets_a_sentence(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_json(text, source="config.json")
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_json(path)
    with pytest.raises(ConfigError, match="--install"):
        read_json(tmp_path / "none.json")


def test_the_network_listing_is_accepted_without_its_comment() -> None:
    text = '{"LOCALHOST_WORKER": false, "LOCALHOST_TRAINER": false, "PUBLIC_IP_SERVER": "192.168.1.100", "PORT": 6666}'
    config = run_config(parse_json(text, source="x"), source="x")
    assert config.server_for_worker == config.server_for_trainer == "192.168.1.100"


def test_folders_and_names(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "TmrlData")
    assert folder.install() is True
    assert {p.name for p in folder.root.iterdir()} == set(FOLDERS)
    assert read_run_config(folder.config_file) == RunConfig()
    folder.config_file.write_text(json.dumps({"RUN_NAME": "mine"}))
    assert folder.install() is False
    assert read_run_config(folder.config_file).RUN_NAME == "mine"
    assert folder.worker_model("run").relative_to(folder.root).as_posix() == "weights/run.tmod"
    assert folder.trainer_model("run").relative_to(folder.root).as_posix() == "weights/run_t.tmod"
    assert folder.checkpoint("run").relative_to(folder.root).as_posix() == "checkpoints/run_t.tcpt"
    assert folder.worker_model("../../etc").parent == folder.root / "weights"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_line_is_accepted(command: str) -> None:
    parser().parse_args(command.split())


def test_a_folder_that_cannot_be_written_is_told_at_the_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    for root, reason in (("file", "Not a directory"), ("locked", "Permission denied")):
        if root == "locked":
            monkeypatch.setattr("os.access", lambda *_: False)
        assert main(["--trainer", "--data-dir", str(tmp_path / root)], run_verb=lambda *_: 1) == 1
        said = capsys.readouterr().err
        assert f"cannot be written there ({reason}). Name another folder with --data-dir." in said
        assert "Traceback" not in said


@pytest.mark.parametrize("flag", ["--episodes", "--test-episode-interval"])
def test_episodes_are_counted_from_zero(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--worker", flag, "-1"], run_verb=lambda *_: 1)
    assert "'-1' is no number of episodes" in capsys.readouterr().err


def test_two_roles_at_once_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--server", "--worker"], []):
        with pytest.raises(SystemExit):
            parser().parse_args(words)
    capsys.readouterr()


def test_settings_are_told_at_the_start_without_secrets(tmp_path: Path) -> None:
    said: list[str] = []
    settings = RunSettings(data_dir=tmp_path, config_json='{"RUN_NAME": "b", "PASSWORD": "hush", "HEADER_SIZE": 12}')
    config, folder = prepared(settings, say=said.append)
    assert config.RUN_NAME == "b"
    assert folder.config_file.exists()
    assert said[-2].startswith("Run b: settings from ")
    assert said[-1].startswith("HEADER_SIZE: accepted and not needed")
    assert "hush" not in "".join(said)
    other = written(tmp_path / "other.json", {"RUN_NAME": "c"})
    assert prepared(RunSettings(data_dir=tmp_path, config_json=str(other)), say=said.append)[0].RUN_NAME == "c"
    assert prepared(WorkerVerbConfig(data_dir=tmp_path), say=said.append, benchmark=True)[0].ENV.RTGYM_CONFIG == {
        "benchmark": True
    }


def test_record_reward_is_the_verb_of_that_name(tmp_path: Path) -> None:
    calls: list[Any] = []
    run = ["--record-reward", "--use-keyboard", "--data-dir", str(tmp_path)]
    said: list[str] = []
    assert main(run, run_verb=lambda *call: calls.append(call) or 0, say=said.append) == 0
    assert calls == [("record reward", ["--output", str(tmp_path / "reward" / "reward.npy")])]
    from trackmaster.cli import VERBS

    assert {"record reward", "trainer", "worker", "server"} <= VERBS.keys()


SMALL = {
    "RUN_NAME": "small", "MAX_EPOCHS": 1, "ROUNDS_PER_EPOCH": 1, "TRAINING_STEPS_PER_ROUND": 4, "BATCH_SIZE": 8,
    "MEMORY_SIZE": 2000, "ENVIRONMENT_STEPS_BEFORE_TRAINING": 20, "RW_MAX_SAMPLES_PER_EPISODE": 15,
    "CUDA_TRAINING": False, "ENV": {"RTGYM_INTERFACE": "SIMULATOREXACTLIDAR"}, "DEBUG_MODE": True,
}  # fmt: skip


def test_install_check_test_and_benchmark(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--data-dir", str(tmp_path), "--config", json.dumps(SMALL)]

    def run(*words: str) -> list[str]:
        said: list[str] = []
        assert main([*words, *where], run_verb=lambda *_: 1, say=said.append) == 0, capsys.readouterr().err
        return said

    assert run("--install")[0].endswith("holds the defaults now.")
    assert len([line for line in run("--check-environment") if "reward" in line]) >= 10
    assert run("--test", "--episodes", "2")[-1].startswith("2 test episodes, mean return")
    run_worker(
        WorkerVerbConfig(data_dir=tmp_path, config_json=json.dumps(SMALL), benchmark=True, steps=20), say=lambda _: None
    )
    assert main(["--worker", "--data-dir", str(tmp_path), "--config", '{"PROT": 1}'], run_verb=lambda *_: 1) == 1
    assert "Did you mean 'PORT'" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="--expert and --test are different kinds"):
        run_worker(WorkerVerbConfig(data_dir=tmp_path, expert=True, test=True))


def test_other_algorithms_name_the_verb_that_trains_them(
    tmp_path: Path, repository_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from trackmaster.distributed.config_json.roles import ELSEWHERE

    for algorithm in ("PPO", "IQN"):
        changes = json.dumps(SMALL | {"ALG": {"ALGORITHM": algorithm}})
        words = ["--trainer", "--data-dir", str(tmp_path), "--config", changes]
        assert main(words, run_verb=lambda *_: 1, say=lambda _: None) == 1
        assert f"trackmaster train --config {ELSEWHERE[algorithm]}" in capsys.readouterr().err
        assert (repository_root / ELSEWHERE[algorithm]).is_file()


@pytest.mark.parametrize("algorithm", ["SAC", "REDQSAC"])
def test_agents_get_the_numbers_of_the_file(algorithm: str) -> None:
    from gymnasium import spaces

    from trackmaster.distributed.config_json.config import AlgSection
    from trackmaster.distributed.config_json.roles import make_agent_cls

    alg = AlgSection(
        ALGORITHM=algorithm, GAMMA=0.5, ALPHA=0.3, LR_ACTOR=0.1, OPTIMIZER_ACTOR="sgd", BETAS_CRITIC=(0.5, 0.6),
        REDQ_N=3, LEARN_ENTROPY_COEF=True, TARGET_ENTROPY=-2.0,
    )  # fmt: skip
    agent = make_agent_cls(alg)(
        observation_space=spaces.Box(-1, 1, (4,)), action_space=spaces.Box(-1, 1, (3,)), device="cpu"
    )
    assert (agent.gamma, agent.target_entropy, agent.learn_entropy_coef) == (0.5, -2.0, True)
    assert agent.n_critics == (3 if algorithm == "REDQSAC" else 2)


@pytest.mark.skipif(sys.platform == "win32", reason="processes are ended by SIGINT")
def test_the_printed_commands_run(tmp_path: Path, repository_root: Path) -> None:
    """The three command lines as they are printed, from a checkout, with a small config.json in the home folder."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = RunFolder(tmp_path / "TmrlData")
    folder.install()
    written(folder.config_file, SMALL | {"PORT": port})
    env = os.environ | {"HOME": str(tmp_path), "PYTHONPATH": str(repository_root / "src"), "OMP_NUM_THREADS": "1"}
    started: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for role in ("server", "trainer", "worker"):
            with (tmp_path / f"{role}.log").open("wb") as log:
                started[role] = subprocess.Popen(
                    [sys.executable, "trackmaster_training.py", f"--{role}"], cwd=repository_root, env=env, stdout=log,
                    stderr=subprocess.STDOUT,
                )  # fmt: skip
        code = started["trainer"].wait(400)
        assert code == 0, (tmp_path / "trainer.log").read_text()
        for role in ("worker", "server"):
            started[role].send_signal(signal.SIGINT)
            assert started[role].wait(120) == 130, (tmp_path / f"{role}.log").read_text()
    finally:
        for process in started.values():
            process.kill()
            process.wait()
    text = (tmp_path / "trainer.log").read_text()
    assert "CRC check passed" in text
    assert "epoch 1/1, round 1/1: memory_len" in text
    assert folder.checkpoint("small").exists()
    assert folder.trainer_model("small").exists()
    assert (folder.logs("small") / "metrics.jsonl").exists()
    assert "train episode: return" in (tmp_path / "worker.log").read_text()
    assert "Traceback" not in "".join((tmp_path / f"{r}.log").read_text() for r in started)


def test_verbs_take_the_same_settings() -> None:
    assert TrainerVerbConfig.load(["--wandb", "--config-json", '{"RUN_NAME": "b"}']).wandb
    assert WorkerVerbConfig.load(["--test", "--episodes", "3"]).episodes == 3

"""The roles of the seed made from a ``config.json``: which environment, memory, compressor, policy and agent."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from trackmaster.distributed.collected import sample_columns
from trackmaster.distributed.config_json.config import AlgSection, RunConfig
from trackmaster.distributed.config_json.folder import RunFolder
from trackmaster.distributed.config_json.partials import partial
from trackmaster.distributed.link.server_link import MakeColumns
from trackmaster.distributed.rollout_worker import RolloutWorker
from trackmaster.distributed.server import Server
from trackmaster.distributed.trainer import Trainer
from trackmaster.distributed.training_offline import TorchTrainingOffline
from trackmaster.env.ids import make_realtime
from trackmaster.errors import ConfigError
from trackmaster.rl.device import resolve_device
from trackmaster.rl.memory.tm_memories import (
    MemoryTMFull,
    MemoryTMLidar,
    MemoryTMLidarProgress,
    get_local_buffer_sample_lidar,
    get_local_buffer_sample_lidar_progress,
    get_local_buffer_sample_tm20_imgs,
)
from trackmaster.rl.samples.scaling import scaled_exact_lidar, scaled_full, scaled_lidar, scaled_lidar_progress

Say = Callable[[str], None]
VIRTUAL = "SIMULATOR"
"""Beginning of the names of interfaces that wait for nobody."""
TM2020 = "TM20"
ELSEWHERE = {"PPO": "config_files/rl/config_ppo.yaml", "IQN": "config_files/rl/config_quick.yaml"}
"""Algorithms whose workers drive many cars side by side."""


@dataclass(frozen=True)
class Layout:
    """What belongs together: the memory rebuilds what the compressor leaves out of what the preprocessor makes."""

    memory: Callable[..., Any]
    compressor: Callable[..., Any]
    preprocessor: Callable[[Any], Any]


FULL = Layout(MemoryTMFull, get_local_buffer_sample_tm20_imgs, scaled_full)
LIDAR = Layout(MemoryTMLidar, get_local_buffer_sample_lidar, scaled_lidar)
EXACT_LIDAR = Layout(MemoryTMLidar, get_local_buffer_sample_lidar, scaled_exact_lidar)
LIDAR_PROGRESS = Layout(MemoryTMLidarProgress, get_local_buffer_sample_lidar_progress, scaled_lidar_progress)


def layout_of(interface: str) -> Layout:
    """Return memory, compressor and preprocessor for the observations of an interface."""
    for ending, layout in (("LIDARPROGRESS", LIDAR_PROGRESS), ("EXACTLIDAR", EXACT_LIDAR), ("LIDAR", LIDAR)):
        if interface.endswith(ending):
            return layout
    return FULL


def make_server(config: RunConfig, *, say: Say = print) -> Server:
    """Return a listening server."""
    return Server(
        security=config.SECURITY, password=config.PASSWORD, port=config.PORT,
        max_workers=config.NB_WORKERS if config.NB_WORKERS >= 0 else None,
        keys_dir=config.TLS_CREDENTIALS_DIRECTORY or None, allow_insecure=config.ALLOW_INSECURE, say=say,
    )  # fmt: skip


def make_env(config: RunConfig, folder: RunFolder) -> Any:
    """Return the environment that a worker drives."""
    return make_realtime(config.ENV.RTGYM_INTERFACE, realtime_entries(config, folder))


def realtime_entries(config: RunConfig, folder: RunFolder) -> dict[str, Any]:
    """Return rtgym's dictionary without the interface's class."""
    entries = {name: value for name, value in config.ENV.RTGYM_CONFIG.items() if name != "interface"}
    entries["act_buf_len"] = config.ACT_BUF_LEN
    entries["interface_kwargs"] = interface_options(config, folder) | (entries.get("interface_kwargs") or {})
    return entries


def interface_options(config: RunConfig, folder: RunFolder) -> dict[str, Any]:
    """Return what the keys of the file mean to the class of the interface."""
    options: dict[str, Any] = {"img_hist_len": config.IMG_HIST_LEN}
    if layout_of(config.ENV.RTGYM_INTERFACE) is FULL:
        options |= {"resize_to": (config.IMG_WIDTH, config.IMG_HEIGHT), "grayscale": config.IMG_GRAYSCALE}
    if config.ENV.RTGYM_INTERFACE.startswith(TM2020):
        options |= {
            "gamepad": config.VIRTUAL_GAMEPAD, "sleep_at_reset_s": config.ENV.SLEEP_TIME_AT_RESET,
            "reward_path": folder.reward_file, "window_width": config.WINDOW_WIDTH,
            "window_height": config.WINDOW_HEIGHT,
        }  # fmt: skip
    if config.ENV.REWARD_CONFIG:
        from trackmaster.env.demo.reward import DemoRewardConfig

        constants: dict[str, Any] = {name.lower(): value for name, value in config.ENV.REWARD_CONFIG.items()}
        options["reward_config"] = DemoRewardConfig(**constants)
    return options


def make_worker(
    config: RunConfig, folder: RunFolder, *, standalone: bool = False, say: Say = print, **options: Any
) -> RolloutWorker:
    """Return a worker.

    Args:
        config: the whole file.
        folder: where the policy is kept.
        standalone: without a server.
        say: where lines for people go.
        options: further arguments of ``RolloutWorker``.
    """
    interface = config.ENV.RTGYM_INTERFACE
    return RolloutWorker(
        env_cls=functools.partial(make_env, config, folder),
        actor_module_cls=make_actor,
        sample_compressor=layout_of(interface).compressor,
        obs_preprocessor=layout_of(interface).preprocessor,
        device=_device(cuda=config.CUDA_INFERENCE, key="CUDA_INFERENCE", say=say),
        max_samples_per_episode=config.RW_MAX_SAMPLES_PER_EPISODE,
        model_path=folder.worker_model(config.RUN_NAME),
        model_path_history=folder.worker_history(config.RUN_NAME),
        model_history=config.SAVE_MODEL_EVERY,
        crc_debug=config.DEBUG_MODE,
        standalone=standalone,
        server_ip=config.server_for_worker,
        server_port=config.PORT,
        password=config.PASSWORD,
        security=config.SECURITY,
        max_buf_len=config.BUFFERS_MAXLEN,
        allow_insecure=config.ALLOW_INSECURE,
        drop_when_full=not interface.startswith(VIRTUAL),
        columns=make_columns(config),
        say=say,
        **options,
    )


def make_trainer(config: RunConfig, folder: RunFolder, *, say: Say = print, **options: Any) -> Trainer:
    """Return a trainer; it looks at an environment of its own only for the spaces."""
    return Trainer(
        training_cls=make_training_cls(config, folder, say=say),
        server_ip=config.server_for_trainer,
        server_port=config.PORT,
        password=config.PASSWORD,
        security=config.SECURITY,
        model_path=folder.trainer_model(config.RUN_NAME),
        checkpoint_path=folder.checkpoint(config.RUN_NAME),
        logs_path=folder.logs(config.RUN_NAME),
        model_history=config.SAVE_MODEL_EVERY,
        reset_training=config.RESET_TRAINING,
        allow_insecure=config.ALLOW_INSECURE,
        columns=make_columns(config),
        say=say,
        **options,
    )


def make_columns(config: RunConfig) -> MakeColumns:
    """Return what makes the columns of the samples of every worker of this file from its two spaces."""
    compressor = layout_of(config.ENV.RTGYM_INTERFACE).compressor
    return functools.partial(sample_columns, compress=compressor, crc_debug=config.DEBUG_MODE)


def make_training_cls(config: RunConfig, folder: RunFolder, *, say: Say = print) -> Callable[[], TorchTrainingOffline]:
    """Return what makes the training of a run."""
    layout, entries = layout_of(config.ENV.RTGYM_INTERFACE), realtime_entries(config, folder)
    memory = functools.partial(
        layout.memory, memory_size=config.MEMORY_SIZE, batch_size=config.BATCH_SIZE,
        imgs_obs=entries["interface_kwargs"]["img_hist_len"],
        act_buf_len=config.ACT_BUF_LEN if entries.get("act_in_obs", True) else 0,
        observed_as=layout.preprocessor.__name__, crc_debug=config.DEBUG_MODE, say=say,
    )  # fmt: skip
    return partial(
        TorchTrainingOffline,
        env_cls=functools.partial(make_env, config, folder),
        memory_cls=memory,
        training_agent_cls=make_agent_cls(config.ALG),
        epochs=config.MAX_EPOCHS,
        rounds=config.ROUNDS_PER_EPOCH,
        steps=config.TRAINING_STEPS_PER_ROUND,
        update_buffer_interval=config.UPDATE_BUFFER_INTERVAL,
        update_model_interval=config.UPDATE_MODEL_INTERVAL,
        max_training_steps_per_env_step=config.MAX_TRAINING_STEPS_PER_ENVIRONMENT_STEP,
        start_training=config.ENVIRONMENT_STEPS_BEFORE_TRAINING,
        device=_device(cuda=config.CUDA_TRAINING, key="CUDA_TRAINING", say=say),
        say=say,
    )


def make_actor(observation_space: Any, action_space: Any) -> Any:
    """Return the policy of the agents here, with fresh weights."""
    from trackmaster.rl.continuous.gaussian_actor import GaussianActor

    return GaussianActor(observation_space, action_space)


def make_agent_cls(alg: AlgSection) -> Callable[..., Any]:
    """Return what makes the agent from (observation_space, action_space, device).

    Raises:
        ConfigError: the algorithm trains in another way.
    """
    from trackmaster.rl.continuous.redq import REDQTrainingAgent
    from trackmaster.rl.continuous.sac import SACTrainingAgent

    if alg.ALGORITHM in ELSEWHERE:
        raise ConfigError(
            f"ALG.ALGORITHM {alg.ALGORITHM} trains with 'trackmaster train --config {ELSEWHERE[alg.ALGORITHM]}', which "
            "drives many cars at once and waits for them; SAC and REDQSAC train with this trainer."
        )
    options: dict[str, Any] = {
        "gamma": alg.GAMMA, "polyak": alg.POLYAK, "alpha": alg.ALPHA, "lr_actor": alg.LR_ACTOR,
        "lr_critic": alg.LR_CRITIC, "learn_entropy_coef": alg.LEARN_ENTROPY_COEF,
        "target_entropy": alg.TARGET_ENTROPY, "lr_entropy": alg.LR_ENTROPY, "optimizer_actor": alg.OPTIMIZER_ACTOR,
        "optimizer_critic": alg.OPTIMIZER_CRITIC, "l2_actor": alg.L2_ACTOR, "l2_critic": alg.L2_CRITIC,
    }  # fmt: skip
    options |= _betas(alg)
    if alg.ALGORITHM == "REDQSAC":
        return functools.partial(
            REDQTrainingAgent, n=alg.REDQ_N, m=alg.REDQ_M,
            q_updates_per_policy_update=alg.REDQ_Q_UPDATES_PER_POLICY_UPDATE, **options,
        )  # fmt: skip
    return functools.partial(SACTrainingAgent, **options)


def _betas(alg: AlgSection) -> Mapping[str, tuple[float, float]]:
    given = {"betas_actor": alg.BETAS_ACTOR, "betas_critic": alg.BETAS_CRITIC}
    return {name: betas for name, betas in given.items() if betas is not None}


def _device(*, cuda: bool, key: str, say: Say) -> str:
    if not cuda:
        return "cpu"
    device = resolve_device("auto")
    if device == "cpu":
        say(f"{key} is true, but PyTorch sees no CUDA GPU: computing on the CPU instead.")
    return device

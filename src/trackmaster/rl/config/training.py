"""The configuration of a training run, and what of it each part is told."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from pydantic_settings import SettingsConfigDict

from trackmaster.config import Section, Settings
from trackmaster.env.config import EnvConfig, LooksConfig, RewardConfig
from trackmaster.env.layout import MARGIN_CAP_M, N_FLOATS, OBS_MEAN, OBS_STD
from trackmaster.errors import ConfigError
from trackmaster.rl.config.base import Points
from trackmaster.rl.config.continuous import Algorithm, PolicySection, PPOSection, REDQSection, SACSection
from trackmaster.rl.config.iqn import ExplorationSection, MemorySection, NeuralNetworkSection, TrainingSection
from trackmaster.rl.config.run import EvaluationSection, GuardsSection, NetworkSection, PerformanceSection
from trackmaster.rl.config.world import (
    EnvironmentSection,
    InputsSection,
    MapCycleSection,
    MapEntry,
    RewardsSection,
    StateNormalizationSection,
)
from trackmaster.rl.device import DeviceChoice
from trackmaster.rl.iqn.config import IQNConfig
from trackmaster.rl.memory.targets import MiniRace
from trackmaster.rl.schedules import Schedule
from trackmaster.units import TICK_MS

__all__ = ["MapEntry", "TrainConfig"]


class TrainConfig(Settings):
    """Train a driving agent: flags beat ``TRAIN_*`` variables beat the YAML file beat defaults."""

    # Without the partial update the sections, too, remember which of their settings were said and which are defaults.
    model_config = SettingsConfigDict(env_prefix="TRAIN_", nested_model_default_partial_update=False)
    default_yaml: ClassVar[tuple[str, ...]] = ("config_files/rl/config_default.yaml",)

    run_name: str = Field(default="default", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """Names the folders of the run: ``save/<run_name>`` and ``tensorboard/<run_name>``."""
    algorithm: Algorithm = "iqn"
    """What learns: IQN with the 12 actions, or SAC, REDQ or PPO with analog ones."""
    resume: Path | None = None
    """Folder of an earlier run to continue, with the configuration it was started with."""
    fresh: bool = False
    """Begin anew even if the run exists; the old folder is moved aside."""
    device: DeviceChoice = "auto"
    """Where the learner computes; auto takes a CUDA GPU where there is one."""
    use_tqdm: bool = True
    """Draw a progress bar on a terminal; lines only when off or without a terminal."""
    environment: EnvironmentSection = EnvironmentSection()
    policy: PolicySection = PolicySection()
    sac: SACSection = SACSection()
    redq: REDQSection = REDQSection()
    ppo: PPOSection = PPOSection()
    guards: GuardsSection = GuardsSection()
    neural_network: NeuralNetworkSection = NeuralNetworkSection()
    training: TrainingSection = TrainingSection()
    memory: MemorySection = MemorySection()
    exploration: ExplorationSection = ExplorationSection()
    rewards: RewardsSection = RewardsSection()
    map_cycle: MapCycleSection = MapCycleSection()
    evaluation: EvaluationSection = EvaluationSection()
    performance: PerformanceSection = PerformanceSection()
    network: NetworkSection = NetworkSection()
    inputs: InputsSection = InputsSection()
    state_normalization: StateNormalizationSection = StateNormalizationSection()

    @model_validator(mode="after")
    def _window_is_long_enough(self) -> Self:
        _ = self.mini_race  # refuses, before anything runs, a clock that could pass the end of the window
        return self

    @model_validator(mode="after")
    def _ppo_learns_from_all_it_drives(self) -> Self:
        kinds = [e for e in self.map_cycle.entries if not (e.is_exploration and e.fill_buffer)]
        if self.algorithm == "ppo" and kinds:
            raise ConfigError(
                f"PPO learns from every episode that is driven, so the entry of {kinds[0].short_name!r} in map_cycle "
                "needs is_exploration: true and fill_buffer: true. Evaluations drive without exploring anyway."
            )
        return self

    @model_validator(mode="after")
    def _only_iqn_has_these(self) -> Self:
        asked = {
            "memory.prio_alpha": self.memory.prio_alpha > 0,
            "training.pretrain_encoder_path and the pretrain_*_freeze flags": bool(self.training.part_rules()),
        }
        named = [name for name, is_set in asked.items() if is_set]
        if self.algorithm != "iqn" and named:
            raise ConfigError(
                f"{' and '.join(named)} would do nothing: they belong to IQN, and algorithm is {self.algorithm}. Leave "
                "them out."
            )
        return self

    @classmethod
    def load(
        cls,
        argv: Sequence[str] = (),
        *,
        config: str | Path | None = None,
        prog: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Self:
        """Resolve all sources; beside ``--resume`` no default file is read, for the run has settings of its own."""
        loaded = super().load(argv, config=config, prog=prog, environment=environment)
        if loaded.resume is None or not cls.default_yaml:
            return loaded
        beside = _BesideResume.load(argv, config=config, prog=prog, environment=environment)
        return cls(**{name: getattr(beside, name) for name in beside.model_fields_set})

    def said(self) -> dict[str, Any]:
        """Return the settings that a flag, a variable or a file named, by dotted name, whatever their value."""
        values: dict[str, Any] = {}
        for name in self.model_fields_set:
            value = getattr(self, name)
            if isinstance(value, Section):
                values.update({f"{name}.{field}": getattr(value, field) for field in value.model_fields_set})
            else:
                values[name] = value
        return values

    def to_yaml(self) -> str:
        """Return the configuration as YAML text, without what opens a server: it stands beside every run's results."""
        if self.network.join is None:
            return super().to_yaml()
        network = self.network.model_copy(update={"join": None})
        return self.model_copy(update={"network": network}).to_yaml()

    @property
    def action_ms(self) -> int:
        """Race time of one decision."""
        return self.environment.tm_engine_step_per_action * TICK_MS

    @property
    def mini_race(self) -> MiniRace:
        """The window over which rewards are summed."""
        horizon = max(1, self.environment.temporal_mini_race_duration_ms // self.action_ms)
        return MiniRace(horizon, self.training.oversample_long_term_steps, self.training.oversample_maximum_term_steps)

    @property
    def run_dir(self) -> Path:
        """Folder with weights, statistics and metrics."""
        return self.resume if self.resume is not None else self.performance.save_dir / self.run_name

    def to_env_config(self, *, evaluation: bool = False, uids: Mapping[str, str] | None = None) -> EnvConfig:
        """Return the environment's part; evaluation always begins at the start line.

        Args:
            evaluation: whether to judge instead of to train.
            uids: map uid by ``short_name``, so that limits of a single track find it.
        """
        e, n, r = self.environment, self.neural_network, self.rewards
        is_analog = self.algorithm != "iqn"
        return EnvConfig(
            image_width=n.w_downsized,
            image_height=n.h_downsized,
            images=self.policy.images if is_analog else True,
            n_frames=n.n_frames,
            actions="analog" if is_analog else "keys",
            floats=self.policy.floats if is_analog else "iqn",
            extra_floats=self.inputs.extra_floats,
            ticks_per_action=e.tm_engine_step_per_action,
            stall_limit_ms=e.cutoff_rollout_if_no_vcp_passed_within_duration_ms,
            stall_limit_ms_by_track=self._stall_limits_ms(uids or {}),
            time_limit_ms=e.cutoff_rollout_if_race_not_finished_within_duration_ms,
            deck_height_m=float("-inf") if e.deck_height is None else e.deck_height,
            snapshot_start_fraction=0.0 if evaluation else e.snapshot_start_fraction,
            snapshot_margin_ticks=e.snapshot_margin_ticks,
            looks=LooksConfig() if evaluation else e.looks,
            reward=RewardConfig(
                per_ms=r.constant_reward_per_ms,
                per_m=r.reward_per_m_advanced_along_centerline,
                final_speed_s=r.final_speed_reward_as_if_duration_s,
                speedslide=r.engineered_speedslide_reward,
                neoslide=r.engineered_neoslide_reward,
                kamikaze=r.engineered_kamikaze_reward,
                close_to_line=r.engineered_close_to_vcp_reward,
                potential_per_m=r.shaped_reward_dist_to_cur_vcp,
                potential_ahead=r.shaped_reward_point_to_vcp_ahead,
            ),
        )

    def to_iqn_config(self, n_floats: int = N_FLOATS) -> IQNConfig:
        """Return the agent's part.

        Args:
            n_floats: length of the environment's float vector, extras included.

        Raises:
            ConfigError: a normalisation table has the wrong length.
        """
        n, t, x = self.neural_network, self.training, self.exploration
        mean, std = self._normalisation(n_floats)
        return IQNConfig(
            lr=self._schedule("lr_schedule", t.lr_schedule),
            gamma=self._schedule("gamma_schedule", t.gamma_schedule, "linear"),
            epsilon=self._schedule("epsilon_schedule", x.epsilon_schedule),
            epsilon_boltzmann=self._schedule("epsilon_boltzmann_schedule", x.epsilon_boltzmann_schedule),
            image_height=n.h_downsized,
            image_width=n.w_downsized,
            n_frames=n.n_frames,
            n_floats=n_floats,
            embedding_dim=n.iqn_embedding_dimension,
            float_hidden_dim=n.float_hidden_dim,
            dense_hidden_dimension=n.dense_hidden_dimension,
            float_mean=mean,
            float_std=std,
            iqn_n=n.iqn_n,
            iqn_k=n.iqn_k,
            iqn_kappa=n.iqn_kappa,
            loss=n.iqn_loss,
            use_ddqn=n.use_ddqn,
            optimizer=t.optimizer,
            beta1=t.adam_beta1,
            beta2=t.adam_beta2,
            adam_epsilon=t.adam_epsilon,
            weight_decay_lr_ratio=t.weight_decay_lr_ratio,
            clip_grad_norm=n.clip_grad_norm,
            clip_grad_value=n.clip_grad_value,
            soft_update_tau=n.soft_update_tau,
            target_update_interval=n.number_memories_trained_on_between_target_network_updates,
            batch_size=t.batch_size,
            q_bound=self._return_bound(),
            tau_epsilon_boltzmann=x.tau_epsilon_boltzmann,
            epsilon_spread=x.epsilon_spread,
            random_action_weights=x.random_action_weights,
            autocast=self.performance.autocast,
            use_jit=n.use_jit,
            compile_mode=n.compile_mode,
            acting=self.performance.acting,
            parts=t.part_rules(),
        )

    def memory_schedules(self) -> tuple[Schedule, Schedule]:
        """Return the rows of the memory and the rows before learning starts, by frames."""
        points, speed = self.memory.memory_size_schedule, self.training.global_schedule_speed
        size = Schedule([(f, s) for f, s, _ in points], "staircase", speed=speed, name="memory_size_schedule")
        start = Schedule([(f, s) for f, _, s in points], "staircase", speed=speed, name="memory_size_schedule")
        return size, start

    def beta_schedule(self) -> Schedule:
        """Return how far weights make up for draws by priority, by frames."""
        return self._schedule("prio_beta_schedule", self.memory.prio_beta_schedule, "linear")

    def _stall_limits_ms(self, uids: Mapping[str, str]) -> dict[str, int]:
        """Return the limits of single tracks by map uid."""
        limits: dict[str, int] = {}
        for entry in self.map_cycle.entries:
            limit = entry.cutoff_rollout_if_no_vcp_passed_within_duration_ms
            if limit is not None and entry.short_name in uids:
                limits[uids[entry.short_name]] = limit
        return limits

    def _schedule(self, name: str, points: Points, kind: Literal["exponential", "linear"] = "exponential") -> Schedule:
        return Schedule(points, kind, speed=self.training.global_schedule_speed, name=name)

    def _normalisation(self, n_floats: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        extras = n_floats - N_FLOATS
        tables = []
        for name, table, default, fill in (
            ("float_inputs_mean", self.state_normalization.float_inputs_mean, OBS_MEAN, 0.0),
            ("float_inputs_std", self.state_normalization.float_inputs_std, OBS_STD, 1.0),
        ):
            vector = np.array(table, dtype=np.float32) if table is not None else np.append(default, [fill] * extras)
            if vector.shape != (n_floats,):
                raise ConfigError(f"state_normalization.{name} has {len(vector)} numbers, expected {n_floats}.")
            tables.append(vector.astype(np.float32))
        mean, std = tables
        if self.state_normalization.float_inputs_mean is None:
            mean[0] = self.mini_race.horizon_actions / 2
        if self.state_normalization.float_inputs_std is None:
            std[0] = self.mini_race.horizon_actions / 2
        return mean, std

    def _return_bound(self) -> float:
        """No window can pay more: time, progress at 1000 km/h and the potential, with a margin of two."""
        r, steps, seconds = self.rewards, self.mini_race.horizon_actions, self.action_ms / 1000
        per_m = abs(r.reward_per_m_advanced_along_centerline)
        per_decision = abs(r.constant_reward_per_ms) * self.action_ms + per_m * 278 * seconds
        engineered = abs(r.engineered_speedslide_reward) + abs(r.engineered_neoslide_reward)
        engineered += abs(r.engineered_kamikaze_reward) + 25 * abs(r.engineered_close_to_vcp_reward)
        speed = per_m * r.final_speed_reward_as_if_duration_s * 278
        potential = 25 * abs(r.shaped_reward_dist_to_cur_vcp) + 2 * abs(r.shaped_reward_point_to_vcp_ahead)
        # A finish pays the rest of the line at once, which is bounded by the longest line the margin input can show.
        finish = per_m * MARGIN_CAP_M
        return 2 * (steps * (per_decision + engineered) + speed + potential + finish)


class _BesideResume(TrainConfig):
    """What is said beside ``--resume``."""

    default_yaml = ()

"""The configuration of a training run, in the sections that the YAML files of Linesight's users have.

Frames in every schedule are decisions of 50 ms. ``to_iqn_config`` and its neighbours hand each part what it owns.
"""

from pathlib import Path
from typing import ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator
from pydantic_settings import SettingsConfigDict

from trackmaster.config import Section, Settings
from trackmaster.env.config import EnvConfig, ExtraFloats, RewardConfig
from trackmaster.env.layout import MARGIN_CAP_M, N_FLOATS, OBS_MEAN, OBS_STD
from trackmaster.errors import ConfigError
from trackmaster.rl.iqn_config import IQNConfig
from trackmaster.rl.schedules import Schedule
from trackmaster.rl.targets import MiniRace
from trackmaster.units import TICK_MS

Points = tuple[tuple[float, float], ...]
"""[frame, value] pairs."""


class EnvironmentSection(Section):
    """Cars, clock and limits of an episode."""

    game: Literal["simulator"] = "simulator"
    """Where the cars drive."""
    n_envs: int = Field(default=16, ge=1, le=4096)
    """Cars that one worker drives side by side."""
    tm_engine_step_per_action: int = Field(default=5, ge=1, le=100)
    """Physics ticks of 10 ms per decision."""
    temporal_mini_race_duration_ms: int = Field(default=7_000, ge=100)
    """Window over which rewards are summed; the agent always acts as if all of it lay ahead."""
    cutoff_rollout_if_no_vcp_passed_within_duration_ms: int = Field(default=2_000, ge=10)
    """Cut an episode off when no new zone of the reference line was reached for this long."""
    cutoff_rollout_if_race_not_finished_within_duration_ms: int = Field(default=300_000, ge=10)
    """Cut an episode off at this race time."""
    deck_height: float | None = None
    """Below this height (m) the zone stays where it is; left out, no height matters."""
    snapshot_start_fraction: float = Field(default=0.0, ge=0.0, le=1.0)
    """Share of training episodes that begin from a state an earlier episode passed through."""
    snapshot_margin_ticks: int = Field(default=200, ge=0)
    """How long before a failure such a state must lie."""


class NeuralNetworkSection(Section):
    """Picture size, network sizes, loss and target network."""

    w_downsized: int = Field(default=64, ge=36, le=1024)
    h_downsized: int = Field(default=64, ge=36, le=1024)
    n_frames: int = Field(default=1, ge=1, le=16)
    """Grey pictures per observation; 1 keeps weights interchangeable with Linesight."""
    iqn_embedding_dimension: int = Field(default=128, ge=1)
    iqn_n: int = Field(default=8, ge=2)
    """Quantile fractions per sample in training; even."""
    iqn_k: int = Field(default=32, ge=2)
    """Quantile fractions for acting; even."""
    iqn_kappa: float = Field(default=0.005, gt=0)
    """Half-width of the quadratic zone of the loss, in reward units."""
    iqn_loss: Literal["paper", "reference"] = "reference"
    """``reference`` divides each sample's loss by the spread of its own target quantiles; ``paper`` does not."""
    float_hidden_dim: int = Field(default=256, ge=1)
    dense_hidden_dimension: int = Field(default=1024, ge=2)
    use_ddqn: bool = True
    """The online network chooses the next action, the target network values it."""
    clip_grad_norm: float = Field(default=30.0, gt=0)
    clip_grad_value: float = Field(default=1000.0, gt=0)
    number_memories_trained_on_between_target_network_updates: int = Field(default=2_048, ge=1)
    soft_update_tau: float = Field(default=0.02, gt=0, le=1)


class TrainingSection(Section):
    """Optimiser, schedules and the n-step window."""

    seed: int = Field(default=444, ge=0)
    batch_size: int = Field(default=512, ge=1)
    optimizer: Literal["radam", "adamw"] = "radam"
    adam_epsilon: float = Field(default=1e-4, gt=0)
    adam_beta1: float = Field(default=0.9, ge=0, lt=1)
    adam_beta2: float = Field(default=0.999, ge=0, lt=1)
    weight_decay_lr_ratio: float = Field(default=0.02, ge=0)
    """Weight matrices shrink by this times the learning rate per update."""
    lr_schedule: Points = ((0, 1e-3), (3_000_000, 5e-5), (12_000_000, 5e-5), (15_000_000, 1e-5))
    """Exponential between the points."""
    gamma_schedule: Points = ((1_500_000, 0.999), (2_500_000, 1.0))
    """Linear between the points."""
    global_schedule_speed: float = Field(default=1.0, gt=0)
    """Every schedule of this file runs this many times faster."""
    n_steps: int = Field(default=3, ge=1, le=64)
    discard_non_greedy_actions_in_nsteps: bool = True
    oversample_long_term_steps: int = Field(default=40, ge=0)
    oversample_maximum_term_steps: int = Field(default=5, ge=0)
    max_minutes: float = Field(default=0.0, ge=0)
    """Stop after this wall time, earlier lives of the run included; 0 trains until Ctrl+C."""
    max_frames: int = Field(default=0, ge=0)
    """Stop after this many decisions; 0 sets no limit."""


class MemorySection(Section):
    """Replay memory."""

    memory_size_schedule: tuple[tuple[int, int, int], ...] = (
        (0, 50_000, 20_000), (5_000_000, 100_000, 75_000), (7_000_000, 200_000, 150_000),
    )  # fmt: skip
    """[frame, rows, rows before learning starts], in steps."""
    number_times_single_memory_is_used_before_discard: float = Field(default=32.0, gt=0)
    """The learner pauses when it has trained on each transition this often on average."""
    min_times_single_memory_is_used: float = Field(default=0.0, ge=0)
    """Workers pause while the learner has used transitions less often than this; 0 lets them run."""
    buffer_test_ratio: float = Field(default=0.05, ge=0, le=0.5)
    """Share of episodes kept out of training for the test loss."""
    save_with_checkpoint: bool = False
    """Write the memory beside the checkpoint, so that a resumed run continues as if never stopped."""


class ExplorationSection(Section):
    """How exploring cars stray from the best known action."""

    epsilon_schedule: Points = ((0, 1.0), (50_000, 1.0), (300_000, 0.1), (3_000_000, 0.03))
    """Share of random actions; exponential between the points."""
    epsilon_boltzmann_schedule: Points = ((0, 0.15), (3_000_000, 0.03))
    """Share of actions chosen after noise on the returns; exponential between the points."""
    tau_epsilon_boltzmann: float = Field(default=0.01, ge=0)
    """Standard deviation of that noise, in reward units."""
    epsilon_spread: float = Field(default=0.0, ge=0)
    """Cars stray unequally: the last of a worker's cars with epsilon to the power of 1 + spread."""
    random_action_weights: tuple[float, ...] = ()
    """Relative weights of the 12 random actions; empty means equal."""

    @model_validator(mode="after")
    def _twelve_weights(self) -> Self:
        weights = self.random_action_weights
        if weights and (len(weights) != 12 or min(weights) < 0 or sum(weights) <= 0):
            raise ValueError("random_action_weights needs 12 numbers that are not negative, or none")
        return self


class RewardsSection(Section):
    """Coefficients of the reward; a decision costs 0.06 and a metre brings 0.01 by default."""

    constant_reward_per_ms: float = -6 / 5000
    reward_per_m_advanced_along_centerline: float = 5 / 500
    final_speed_reward_as_if_duration_s: float = Field(default=0.0, ge=0)
    """Gained speed counts as if it had lasted this long already."""
    engineered_speedslide_reward: float = 0.0
    engineered_neoslide_reward: float = 0.0
    engineered_kamikaze_reward: float = 0.0
    engineered_close_to_vcp_reward: float = 0.0
    shaped_reward_dist_to_cur_vcp: float = -0.1
    """Potential per metre of distance to the reference line, 2 to 25 m."""
    shaped_reward_point_to_vcp_ahead: float = 0.0
    """Potential for looking along the line."""


class MapEntry(Section):
    """One kind of episode in the cycle."""

    short_name: str = Field(min_length=1)
    """Name of the track in metrics and files."""
    map_path: str = Field(min_length=1)
    """A ``.Challenge.Gbx`` file, or ``bundled:<name>`` for a track that comes with the program."""
    reference_line_path: str | None = None
    """A ``.npy`` reference line or a ``.Replay.Gbx``; the track's own when left out."""
    is_exploration: bool = True
    """Whether cars stray from the greedy action."""
    fill_buffer: bool = True
    """Whether the learner may learn from these episodes."""
    repeat: int = Field(default=1, ge=1)
    """Episodes in a row."""


class MapCycleSection(Section):
    """Which tracks are driven, and how often with exploration."""

    entries: tuple[MapEntry, ...] = Field(default=(), validate_default=True)

    @model_validator(mode="after")
    def _one_file_per_name(self) -> Self:
        places: dict[str, tuple[str, str | None]] = {}
        for entry in self.entries:
            place = (entry.map_path, entry.reference_line_path)
            if places.setdefault(entry.short_name, place) != place:
                raise ValueError(f"the name {entry.short_name!r} stands for two different tracks")
        return self


class EvaluationSection(Section):
    """The gate of deterministic episodes that decides which checkpoint is the best."""

    attempts: int = Field(default=20, ge=1, le=1000)
    every_frames: int = Field(default=200_000, ge=0)
    """Decisions between two evaluations; 0 evaluates only at the end."""
    seed: int = Field(default=1, ge=0)
    """Draws the attempts' starts."""
    stop_at_finish_rate: float = Field(default=0.0, ge=0, le=1)
    """End the run when this many of the attempts finish on every track; 0 never does."""


class PerformanceSection(Section):
    """Processes, threads, intervals."""

    transport: Literal["local", "in_process"] = "local"
    """Workers as processes of their own, or worker and learner taking turns in one (deterministic)."""
    gpu_collectors_count: int = Field(default=1, ge=1, le=64)
    """Worker processes; the name is that of the reference, no GPU is needed."""
    max_rollout_queue_size: int = Field(default=4, ge=1, le=64)
    """Chunks a worker may be ahead of the learner."""
    chunk_rows: int = Field(default=200, ge=2, le=4096)
    """Rows of an episode that travel together."""
    send_shared_network_every_n_batches: int = Field(default=10, ge=1)
    """Updates between two versions of the weights; cars change theirs between episodes only."""
    learner_threads: int = Field(default=1, ge=1, le=256)
    worker_threads: int = Field(default=1, ge=1, le=256)
    autocast: Literal["auto", "off", "bf16", "fp16"] = "auto"
    """Number format of matrix products; auto takes bf16 where the processor has it."""
    save_interval_s: float = Field(default=300.0, gt=0)
    metrics_interval_s: float = Field(default=30.0, gt=0)
    save_dir: Path = Path("save")
    tensorboard_dir: Path = Path("tensorboard")


class InputsSection(Section):
    """What is appended to the 184 floats."""

    extra_floats: tuple[ExtraFloats, ...] = ()


class StateNormalizationSection(Section):
    """Means and deviations of the floats; the environment's table where left out."""

    float_inputs_mean: tuple[float, ...] | None = None
    float_inputs_std: tuple[float, ...] | None = None


class TrainConfig(Settings):
    """Train a driving agent: flags beat ``TRAIN_*`` variables beat the YAML file beat defaults."""

    model_config = SettingsConfigDict(env_prefix="TRAIN_")
    default_yaml: ClassVar[tuple[str, ...]] = ("config_files/rl/config_default.yaml",)

    run_name: str = Field(default="default", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """Names the folders of the run: ``save/<run_name>`` and ``tensorboard/<run_name>``."""
    resume: Path | None = None
    """Folder of an earlier run to continue, with the configuration it was started with."""
    fresh: bool = False
    """Begin anew even if the run exists; the old folder is moved aside."""
    device: str = "cpu"
    """Where the learner computes: cpu or cuda."""
    use_tqdm: bool = True
    """Draw a progress line on a terminal."""
    environment: EnvironmentSection = EnvironmentSection()
    neural_network: NeuralNetworkSection = NeuralNetworkSection()
    training: TrainingSection = TrainingSection()
    memory: MemorySection = MemorySection()
    exploration: ExplorationSection = ExplorationSection()
    rewards: RewardsSection = RewardsSection()
    map_cycle: MapCycleSection = MapCycleSection()
    evaluation: EvaluationSection = EvaluationSection()
    performance: PerformanceSection = PerformanceSection()
    inputs: InputsSection = InputsSection()
    state_normalization: StateNormalizationSection = StateNormalizationSection()

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

    def to_env_config(self, *, evaluation: bool = False) -> EnvConfig:
        """Return the environment's part; evaluation always begins at the start line."""
        e, n, r = self.environment, self.neural_network, self.rewards
        return EnvConfig(
            image_width=n.w_downsized, image_height=n.h_downsized, n_frames=n.n_frames,
            extra_floats=self.inputs.extra_floats, ticks_per_action=e.tm_engine_step_per_action,
            stall_limit_ms=e.cutoff_rollout_if_no_vcp_passed_within_duration_ms,
            time_limit_ms=e.cutoff_rollout_if_race_not_finished_within_duration_ms, deck_height_m=float("-inf") if e.deck_height is None else e.deck_height,
            snapshot_start_fraction=0.0 if evaluation else e.snapshot_start_fraction,
            snapshot_margin_ticks=e.snapshot_margin_ticks,
            reward=RewardConfig(
                per_ms=r.constant_reward_per_ms, per_m=r.reward_per_m_advanced_along_centerline,
                final_speed_s=r.final_speed_reward_as_if_duration_s, speedslide=r.engineered_speedslide_reward,
                neoslide=r.engineered_neoslide_reward, kamikaze=r.engineered_kamikaze_reward,
                close_to_line=r.engineered_close_to_vcp_reward, potential_per_m=r.shaped_reward_dist_to_cur_vcp,
                potential_ahead=r.shaped_reward_point_to_vcp_ahead,
            ),
        )  # fmt: skip

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
            lr=self._schedule("lr_schedule", t.lr_schedule), gamma=self._schedule("gamma_schedule", t.gamma_schedule, "linear"),
            epsilon=self._schedule("epsilon_schedule", x.epsilon_schedule),
            epsilon_boltzmann=self._schedule("epsilon_boltzmann_schedule", x.epsilon_boltzmann_schedule),
            image_height=n.h_downsized, image_width=n.w_downsized, n_frames=n.n_frames, n_floats=n_floats,
            embedding_dim=n.iqn_embedding_dimension, float_hidden_dim=n.float_hidden_dim,
            dense_hidden_dimension=n.dense_hidden_dimension, float_mean=mean, float_std=std, iqn_n=n.iqn_n, iqn_k=n.iqn_k,
            iqn_kappa=n.iqn_kappa, loss=n.iqn_loss, use_ddqn=n.use_ddqn, optimizer=t.optimizer, beta1=t.adam_beta1,
            beta2=t.adam_beta2, adam_epsilon=t.adam_epsilon, weight_decay_lr_ratio=t.weight_decay_lr_ratio,
            clip_grad_norm=n.clip_grad_norm, clip_grad_value=n.clip_grad_value, soft_update_tau=n.soft_update_tau,
            target_update_interval=n.number_memories_trained_on_between_target_network_updates, batch_size=t.batch_size,
            q_bound=self._return_bound(), tau_epsilon_boltzmann=x.tau_epsilon_boltzmann, epsilon_spread=x.epsilon_spread,
            random_action_weights=x.random_action_weights, autocast=self.performance.autocast,
        )  # fmt: skip

    def memory_schedules(self) -> tuple[Schedule, Schedule]:
        """Return the rows of the memory and the rows before learning starts, by frames."""
        points, speed = self.memory.memory_size_schedule, self.training.global_schedule_speed
        size = Schedule([(f, s) for f, s, _ in points], "staircase", speed=speed, name="memory_size_schedule")
        start = Schedule([(f, s) for f, _, s in points], "staircase", speed=speed, name="memory_size_schedule")
        return size, start

    def _schedule(self, name: str, points: Points, kind: Literal["exponential", "linear"] = "exponential") -> Schedule:
        return Schedule(points, kind, speed=self.training.global_schedule_speed, name=name)

    def _normalisation(self, n_floats: int) -> tuple[np.ndarray, np.ndarray]:
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
        """No window of this length can pay more: time, progress at 1000 km/h and the potential, with a margin of two."""
        r, steps, seconds = self.rewards, self.mini_race.horizon_actions, self.action_ms / 1000
        per_decision = abs(r.constant_reward_per_ms) * self.action_ms + r.reward_per_m_advanced_along_centerline * 278 * seconds
        engineered = abs(r.engineered_speedslide_reward) + abs(r.engineered_neoslide_reward)
        engineered += abs(r.engineered_kamikaze_reward) + 25 * abs(r.engineered_close_to_vcp_reward)
        speed = r.reward_per_m_advanced_along_centerline * r.final_speed_reward_as_if_duration_s * 278
        potential = 25 * abs(r.shaped_reward_dist_to_cur_vcp) + 2 * abs(r.shaped_reward_point_to_vcp_ahead)
        # A finish pays the rest of the line at once, which is bounded by the longest line the margin input can show.
        finish = r.reward_per_m_advanced_along_centerline * MARGIN_CAP_M
        return 2 * (steps * (per_decision + engineered) + speed + potential + finish)

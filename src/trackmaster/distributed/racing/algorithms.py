"""What a racing run is made of, by algorithm: columns, agent, memory, actors and workers."""

import math
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from trackmaster.distributed.racing.on_policy_worker import OnPolicyVectorWorker
from trackmaster.distributed.racing.vector_worker import VectorRolloutWorker
from trackmaster.distributed.transport.contract import WorkerEnd
from trackmaster.rl.actor import ActorModule
from trackmaster.rl.agent import TrainingAgent
from trackmaster.rl.config.training import TrainConfig
from trackmaster.rl.continuous.rollout_memory import RolloutMemory
from trackmaster.rl.continuous.transition_memory import TransitionMemory
from trackmaster.rl.evaluation.episodes import VectorEnvironment
from trackmaster.rl.iqn.actor import IQNActor
from trackmaster.rl.iqn.agent import IQNAgent
from trackmaster.rl.memory.priorities import Priorities
from trackmaster.rl.memory.replay import IQNMemory
from trackmaster.rl.samples.chunk import SampleSpec, iqn_sample_spec

RacingMemory = IQNMemory | TransitionMemory | RolloutMemory


class Algorithm(Protocol):
    """Makes the parts of a run that depend on what learns."""

    spec: SampleSpec
    """Columns that travel and are stored."""
    chunk_rows: int
    """Most rows of one chunk."""

    def agent(self, device: str, say: Callable[[str], None]) -> TrainingAgent:
        """Return the learner with fresh weights."""
        ...

    def memory(self) -> RacingMemory:
        """Return the empty memory."""
        ...

    def actor(self, seed: int) -> ActorModule:
        """Return an actor without weights."""
        ...

    def worker(
        self, env: VectorEnvironment, make_actor: Callable[[], ActorModule], end: WorkerEnd, **more: Any
    ) -> VectorRolloutWorker:
        """Return a worker that collects what the memory wants."""
        ...


def algorithm_of(config: TrainConfig) -> Algorithm:
    """Return the maker of a run's parts."""
    return IQNAlgorithm(config) if config.algorithm == "iqn" else ContinuousAlgorithm(config)


class IQNAlgorithm:
    """IQN with the table of 12 actions.

    Args:
        config: the whole run.
    """

    def __init__(self, config: TrainConfig) -> None:
        from trackmaster.env import ObservationBuilder

        self._config = config
        network = config.neural_network
        image = (network.n_frames, network.h_downsized, network.w_downsized)
        self.spec = iqn_sample_spec(image, ObservationBuilder(config.inputs.extra_floats).n_floats)
        self.chunk_rows = config.performance.chunk_rows
        self._iqn = config.to_iqn_config(self.spec["floats"].shape[0])

    def agent(self, device: str, say: Callable[[str], None]) -> IQNAgent:
        """Return the learner with fresh weights."""
        return IQNAgent(self._iqn, seed=self._config.training.seed, device=device, say=say)

    def memory(self) -> IQNMemory:
        """Return the empty memory."""
        config = self._config
        sizes = [rows for _, rows, _ in config.memory.memory_size_schedule]
        alpha, epsilon = config.memory.prio_alpha, config.memory.prio_epsilon
        memory = IQNMemory(
            self.spec, max(sizes), batch_size=config.training.batch_size, n_steps=config.training.n_steps,
            mini_race=config.mini_race, cut_non_greedy=config.training.discard_non_greedy_actions_in_nsteps,
            test_ratio=config.memory.buffer_test_ratio, rng=np.random.default_rng(config.training.seed),
            priorities=Priorities(max(sizes), alpha=alpha, epsilon=epsilon) if alpha > 0 else None,
            beta=config.beta_schedule(),
        )  # fmt: skip
        memory.limit = sizes[0]
        return memory

    def actor(self, seed: int) -> IQNActor:
        """Return an actor without weights."""
        return IQNActor(self._iqn, seed=seed)

    def worker(
        self, env: VectorEnvironment, make_actor: Callable[[], ActorModule], end: WorkerEnd, **more: Any
    ) -> VectorRolloutWorker:
        """Return a worker that collects what the memory wants."""
        return VectorRolloutWorker(env, make_actor, end, spec=self.spec, chunk_rows=self.chunk_rows, **more)


class ContinuousAlgorithm:
    """SAC, REDQ or PPO with analog actions.

    Args:
        config: the whole run.
    """

    def __init__(self, config: TrainConfig) -> None:
        from trackmaster.env.driver_floats import WIDTHS
        from trackmaster.env.spaces import observation_space
        from trackmaster.nn.observation_layout import analog_action_space
        from trackmaster.rl.carried import HIDDEN_COLUMN
        from trackmaster.rl.continuous.columns import continuous_sample_spec, frame_history

        self._config = config
        self.observation_space = observation_space(config.to_env_config(), WIDTHS[config.policy.floats])
        self.action_space = analog_action_space()
        self.networks = config.policy.networks()
        self.history = frame_history(self.observation_space)
        n_actions = self.action_space.shape[0]
        extras: dict[str, tuple[int, ...]] = {}
        if config.policy.network == "cnn_lstm":
            from trackmaster.nn.recurrent import STATE_SIZE

            extras[HIDDEN_COLUMN] = (STATE_SIZE,)
        if config.algorithm == "ppo":
            extras |= {"draw": (n_actions,), "log_prob": ()}
        self.spec = continuous_sample_spec(self.observation_space, n_actions, extras=extras)
        self.chunk_rows = config.performance.chunk_rows
        if config.algorithm == "ppo":  # a car's whole part of a rollout travels as one chunk, or advantages are cut
            self.chunk_rows = max(self.chunk_rows, self.rollout_steps + max(self.history.values(), default=1) + 1)

    @property
    def rollout_steps(self) -> int:
        """Decisions per car and rollout of PPO."""
        cars = self._config.environment.n_envs * self._workers
        return math.ceil(self._config.ppo.n_steps / cars)

    def agent(self, device: str, say: Callable[[str], None]) -> TrainingAgent:
        """Return the learner with fresh weights."""
        from trackmaster.rl.continuous.ppo import PPOTrainingAgent
        from trackmaster.rl.continuous.redq import REDQTrainingAgent
        from trackmaster.rl.continuous.sac import SACTrainingAgent

        del say
        config, sees, does = self._config, self.observation_space, self.action_space
        common: dict[str, Any] = {"networks": self.networks, "seed": config.training.seed}
        if config.algorithm == "ppo":
            return PPOTrainingAgent(sees, does, device, **config.ppo.options() | common)
        if config.algorithm == "redq":
            return REDQTrainingAgent(sees, does, device, **config.redq.options() | common)
        return SACTrainingAgent(sees, does, device, **config.sac.options() | common)

    def memory(self) -> TransitionMemory | RolloutMemory:
        """Return the empty memory."""
        config = self._config
        if config.algorithm == "ppo":
            return RolloutMemory(self.spec, config.ppo.n_steps, history=self.history, gamma=config.ppo.gamma)
        sizes = [rows for _, rows, _ in config.memory.memory_size_schedule]
        gamma = config.redq.gamma if config.algorithm == "redq" else config.sac.gamma
        memory = TransitionMemory(
            self.spec, max(sizes), batch_size=config.training.batch_size, history=self.history, gamma=gamma,
            rng=np.random.default_rng(config.training.seed),
        )  # fmt: skip
        memory.limit = sizes[0]
        return memory

    def actor(self, seed: int) -> ActorModule:
        """Return an actor without weights."""
        from trackmaster.rl.continuous.gaussian_actor import GaussianActor

        return GaussianActor(self.observation_space, self.action_space, networks=self.networks, seed=seed)

    def worker(
        self, env: VectorEnvironment, make_actor: Callable[[], ActorModule], end: WorkerEnd, **more: Any
    ) -> VectorRolloutWorker:
        """Return a worker that collects what the memory wants."""
        more |= {"spec": self.spec, "chunk_rows": self.chunk_rows, "history": self.history}
        if self._config.algorithm == "ppo":
            return OnPolicyVectorWorker(env, make_actor, end, rollout_steps=self.rollout_steps, **more)
        return VectorRolloutWorker(env, make_actor, end, **more)

    @property
    def _workers(self) -> int:
        performance = self._config.performance
        return 1 if performance.transport == "in_process" else performance.gpu_collectors_count

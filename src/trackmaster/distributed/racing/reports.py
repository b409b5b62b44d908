"""What a racing trainer tells of its agent beside the losses: counters, schedules, the state of the memory."""

from typing import Protocol

from torch import nn

from trackmaster.distributed.racing.run_stats import RunStats
from trackmaster.rl.agent import TrainingAgent
from trackmaster.rl.continuous.ppo import PPOTrainingAgent
from trackmaster.rl.continuous.rollout_memory import RolloutMemory
from trackmaster.rl.continuous.sac import SACTrainingAgent
from trackmaster.rl.continuous.transition_memory import TransitionMemory
from trackmaster.rl.iqn.agent import IQNAgent
from trackmaster.rl.memory.replay import IQNMemory


class Report(Protocol):
    """Numbers of one kind of agent."""

    loss: str
    """The metric that stands for the loss in lines for people."""

    def note_update(self, stats: RunStats) -> None:
        """Copy the agent's own counters into those of the run."""
        ...

    def values(self) -> dict[str, float]:
        """Return numbers of this moment."""
        ...

    def words(self) -> str:
        """Return the most telling of them as words for one line."""
        ...


def report_of(agent: TrainingAgent, memory: IQNMemory | TransitionMemory | RolloutMemory) -> Report:
    """Return what tells about this kind of agent."""
    if isinstance(agent, IQNAgent) and isinstance(memory, IQNMemory):
        return IQNReport(agent, memory)
    assert not isinstance(memory, IQNMemory)
    return ActorCriticReport(agent, memory)


class IQNReport:
    """Exploration rates, discount and target network, under Linesight's names."""

    loss = "Training/loss"

    def __init__(self, agent: IQNAgent, memory: IQNMemory) -> None:
        self._agent, self._memory = agent, memory

    def note_update(self, stats: RunStats) -> None:
        """Copy the counters of the target network."""
        stats.cumul_number_target_network_updates = self._agent.target_updates
        stats.cumul_number_single_memories_used_next_target_network_update = (
            stats.cumul_number_single_memories_used + self._agent.memories_until_target_update
        )

    def values(self) -> dict[str, float]:
        """Return schedules, and what weights, gradients and quantiles are like."""
        agent = self._agent
        rates, lr = agent.rates(), agent.config.lr(agent.frames)
        priorities = self._memory.priorities
        return {
            **self._diagnostics(),
            **({} if priorities is None else priorities.spread()),
            "Training/learning_rate": lr,
            "Training/weight_decay": agent.config.weight_decay_lr_ratio * lr,
            "Training/n_steps": float(self._memory.n_steps),
            "Training/discard_non_greedy_actions_in_nsteps": float(self._memory.cut_non_greedy),
            "Training/frozen_parts": float(len(agent.frozen)),
            "RL/gamma": self._agent.gamma,
            "RL/epsilon": rates.epsilon,
            "RL/epsilon_boltzmann": rates.epsilon_boltzmann,
            "RL/tau_epsilon_boltzmann": rates.tau_boltzmann,
        }

    def _diagnostics(self) -> dict[str, float]:
        """Look at held-out transitions where there are any: drawing those changes nothing that training draws."""
        return self._agent.diagnostics(self._memory.sample(test=True)) if self._memory.n_test else {}

    def words(self) -> str:
        """Return how much cars stray."""
        return f"epsilon {self._agent.rates().epsilon:.3g}"


class ActorCriticReport:
    """Entropy weight, learning rates, lengths of weights, variety of the memory."""

    loss = "loss_critic"

    def __init__(self, agent: TrainingAgent, memory: TransitionMemory | RolloutMemory) -> None:
        self._agent, self._memory = agent, memory

    def note_update(self, stats: RunStats) -> None:
        """Target networks move with every update: there is nothing to count."""

    def values(self) -> dict[str, float]:
        """Return numbers of this moment."""
        networks = {name: part for name, part in vars(self._agent).items() if isinstance(part, nn.Module)}
        lengths = {
            f"Network/weights/{name}/L2": sum(float(p.detach().square().sum()) for p in part.parameters()) ** 0.5
            for name, part in networks.items()
            if not name.startswith("_")
        }
        return lengths | self._memory.variety() | self._rates()

    def words(self) -> str:
        """Return how much the policy strays."""
        rates = self._rates()
        return ", ".join(f"{name.split('/')[-1]} {value:.3g}" for name, value in rates.items() if name != "RL/gamma")

    def _rates(self) -> dict[str, float]:
        agent = self._agent
        if isinstance(agent, SACTrainingAgent):
            return {"RL/gamma": agent.gamma, "RL/alpha": agent.alpha}
        if isinstance(agent, PPOTrainingAgent):
            return {"RL/gamma": agent.gamma, "Training/learning_rate": agent.lr}
        return {}

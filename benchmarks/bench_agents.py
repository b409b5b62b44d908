"""Updates per second of SAC and REDQ on one thread, beside the same update written plainly.

The plain update is that of the TMRL seed's listing: critics one after the other, PyTorch's default Adam, targets moved
parameter by parameter. Times are CPU time; what is compared are ratios within one run.

    python benchmarks/bench_agents.py
"""

import copy
import itertools
import time
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import torch
from torch import Tensor, nn

from trackmaster.nn.policy_networks import PolicyNetworks
from trackmaster.rl.continuous.batches import TransitionBatch
from trackmaster.rl.continuous.redq import REDQTrainingAgent
from trackmaster.rl.continuous.sac import SACTrainingAgent

N_FLOATS, N_ACTIONS, BATCH = 115, 3, 256
SPACE = gym.spaces.Dict({"floats": gym.spaces.Box(-1, 1, (N_FLOATS,))})
ACTION = gym.spaces.Box(-1, 1, (N_ACTIONS,))
WARM_UP, ROUNDS, UPDATES = 3, 3, 15


class PlainSAC:
    """The seed's update with the critics and the actor of the same sizes."""

    def __init__(self) -> None:
        self.actor = PolicyNetworks().actor(SPACE, ACTION)
        self.q1, self.q2 = (self._critic() for _ in range(2))
        self.targets = copy.deepcopy(self.q1), copy.deepcopy(self.q2)
        self.pi_optimizer = torch.optim.Adam(self.actor.parameters(), lr=1e-3)
        self.q_optimizer = torch.optim.Adam(itertools.chain(self.q1.parameters(), self.q2.parameters()), lr=1e-3)

    def train(self, batch: TransitionBatch) -> None:
        """Do one update."""
        obs, action, reward, next_obs, terminated, _ = batch
        with torch.no_grad():
            after, log_prob = self.actor.sample(next_obs)
            judged = [self._judge(q, next_obs, after) for q in self.targets]
            y = reward + 0.99 * (1 - terminated) * (torch.min(*judged) - 0.2 * log_prob)
        loss = sum(((self._judge(q, obs, action) - y) ** 2).mean() for q in (self.q1, self.q2))
        self.q_optimizer.zero_grad()
        loss.backward()
        self.q_optimizer.step()
        drawn, log_prob = self.actor.sample(obs)
        value = torch.min(self._judge(self.q1, obs, drawn), self._judge(self.q2, obs, drawn))
        self.pi_optimizer.zero_grad()
        (0.2 * log_prob - value).mean().backward()
        self.pi_optimizer.step()
        with torch.no_grad():
            for slow, fast in zip(self.targets, (self.q1, self.q2), strict=True):
                for p_slow, p_fast in zip(slow.parameters(), fast.parameters(), strict=True):
                    p_slow.mul_(0.995).add_(0.005 * p_fast)

    @staticmethod
    def _critic() -> nn.Sequential:
        sizes = (N_FLOATS + N_ACTIONS, 256, 256)
        hidden = [layer for a, b in itertools.pairwise(sizes) for layer in (nn.Linear(a, b), nn.ReLU())]
        return nn.Sequential(*hidden, nn.Linear(256, 1))

    @staticmethod
    def _judge(critic: nn.Module, obs: Any, action: Tensor) -> Tensor:
        return critic(torch.cat((obs["floats"], action), dim=1))[:, 0]


def some_batch() -> TransitionBatch:
    obs, after = ({"floats": torch.randn(BATCH, N_FLOATS)} for _ in range(2))
    flags = torch.zeros(BATCH)
    return TransitionBatch(obs, torch.rand(BATCH, N_ACTIONS) * 2 - 1, torch.randn(BATCH), after, flags, flags)


def updates_per_s(train: Callable[[Any], Any], batch: TransitionBatch) -> float:
    started = time.process_time()
    for _ in range(UPDATES):
        train(batch)
    return UPDATES / (time.process_time() - started)


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    agents = {
        "plain": PlainSAC(),
        "sac": SACTrainingAgent(SPACE, ACTION),
        "redq, 10 critics": REDQTrainingAgent(SPACE, ACTION),
    }
    batch = some_batch()
    for agent in agents.values():
        for _ in range(WARM_UP):
            agent.train(batch)
    found = {name: [] for name in agents}
    for _ in range(ROUNDS):  # in turns, so that a busy machine hits all alike
        for name, agent in agents.items():
            found[name].append(updates_per_s(agent.train, batch))
    for name, rates in found.items():
        ratio = sorted(rate / plain for rate, plain in zip(rates, found["plain"], strict=True))[ROUNDS // 2]
        print(f"{name}: {max(rates):.0f} updates/s of CPU time, {ratio:.2f} of plain")


if __name__ == "__main__":
    main()

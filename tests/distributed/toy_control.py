"""A toy of continuous control and a small soft actor-critic; importable in worker processes of the tests."""

from typing import Any

import numpy as np
import torch
from gymnasium import Env, spaces
from torch import nn

from trackmaster.rl.agent import TrainingAgent
from trackmaster.rl.torch_actor import TorchActorModule, no_grad_copy

STEPS = 12
SIDE = 6


class Follow(Env):
    """Move a point by the action towards a target that the episode began with; 0 is the best reward of a step."""

    def __init__(self, seed: int = 0, length: int = STEPS) -> None:
        self.observation_space = spaces.Box(-2.0, 2.0, (2,), np.float32)
        self.action_space = spaces.Box(-1.0, 1.0, (1,), np.float32)
        self._rng, self._length = np.random.default_rng(seed), length
        self._place = self._target = 0.0
        self._step = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        self._place, self._target = self._rng.uniform(-1, 1, 2)
        self._step = 0
        return self._observe(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self._place = float(np.clip(self._place + 0.5 * float(action[0]), -2, 2))
        self._step += 1
        error = abs(self._place - self._target)
        return self._observe(), -error, False, self._step >= self._length, {"error": error}

    def _observe(self) -> Any:
        return np.array([self._place, self._target], np.float32)


class Actor(TorchActorModule):
    """A squashed Gaussian."""

    def __init__(self, observation_space: Any, action_space: Any) -> None:
        super().__init__(observation_space, action_space)
        n = int(np.prod(action_space.shape))
        self.trunk = nn.Sequential(nn.Linear(features(observation_space), 32), nn.ReLU())
        self.mean, self.log_std = nn.Linear(32, n), nn.Linear(32, n)

    def forward(self, obs: Any, test: bool = False, compute_logprob: bool = True) -> Any:
        hidden = self.trunk(flat(obs))
        mean, std = self.mean(hidden), self.log_std(hidden).clamp(-5, 1).exp()
        raw = mean if test else mean + std * torch.randn_like(std)
        logp = None
        if compute_logprob:
            logp = torch.distributions.Normal(mean, std).log_prob(raw).sum(-1)
            logp = logp - (2 * (np.log(2) - raw - nn.functional.softplus(-2 * raw))).sum(-1)
        return torch.tanh(raw), logp


class Critic(nn.Module):
    def __init__(self, observation_space: Any, action_space: Any) -> None:
        super().__init__()
        n = features(observation_space) + int(np.prod(action_space.shape))
        self.net = nn.Sequential(nn.Linear(n, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, obs: Any, action: torch.Tensor) -> torch.Tensor:
        return self.net(torch.cat((flat(obs), action), -1)).squeeze(-1)


class ActorCriticModel(nn.Module):
    """What the seed's agent is made of."""

    def __init__(self, observation_space: Any, action_space: Any) -> None:
        super().__init__()
        self.actor = Actor(observation_space, action_space)
        self.q1, self.q2 = Critic(observation_space, action_space), Critic(observation_space, action_space)


def features(space: Any) -> int:
    parts = space.spaces if isinstance(space, spaces.Tuple) else [space]
    return sum(int(np.prod(part.shape)) for part in parts)


def flat(obs: Any) -> torch.Tensor:
    parts = obs if isinstance(obs, tuple) else (obs,)
    scaled = [p.to(torch.float32) / 255 if p.dtype == torch.uint8 else p for p in parts]
    return torch.cat([part.reshape(len(part), -1) for part in scaled], -1)


class ToySAC(TrainingAgent):
    """Soft actor-critic in a few lines."""

    def __init__(self, observation_space: Any, action_space: Any, device: Any, lr: float = 3e-3) -> None:
        super().__init__(observation_space, action_space, device)
        torch.manual_seed(0)
        self.model = ActorCriticModel(observation_space, action_space)
        self.target = no_grad_copy(self.model)
        self.pi = torch.optim.Adam(self.model.actor.parameters(), lr=lr)
        self.q = torch.optim.Adam([*self.model.q1.parameters(), *self.model.q2.parameters()], lr=lr)

    def train(self, batch: Any) -> dict[str, float]:
        obs, action, reward, new, terminated, _ = batch
        with torch.no_grad():
            drawn, logp = self.model.actor(new)
            value = torch.min(self.target.q1(new, drawn), self.target.q2(new, drawn)) - 0.02 * logp
            backup = reward + 0.9 * (1 - terminated) * value
        loss = sum(((q(obs, action) - backup) ** 2).mean() for q in (self.model.q1, self.model.q2))
        self.q.zero_grad()
        loss.backward()
        self.q.step()
        drawn, logp = self.model.actor(obs)
        loss_pi = (0.02 * logp - torch.min(self.model.q1(obs, drawn), self.model.q2(obs, drawn))).mean()
        self.pi.zero_grad()
        loss_pi.backward()
        self.pi.step()
        with torch.no_grad():
            for slow, fast in zip(self.target.parameters(), self.model.parameters(), strict=True):
                slow.lerp_(fast, 0.02)
        return {"loss_critic": loss.item(), "loss_actor": loss_pi.item()}

    def get_actor(self) -> Actor:
        return no_grad_copy(self.model.actor)

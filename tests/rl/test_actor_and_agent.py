"""The base classes give an actor and an agent whatever a subclass leaves out."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import nn

from trackmaster.nn.weights import WeightsError
from trackmaster.rl.actor import ActorModule
from trackmaster.rl.agent import TrainingAgent
from trackmaster.rl.files.agent_state import remember_constructed

SEEN = spaces.Tuple((spaces.Box(-1, 1, (2,)), spaces.Dict({"b": spaces.Box(0, 1, (1,)), "a": spaces.Box(0, 1, (3,))})))
ACTIONS = spaces.Box(-1.0, 1.0, (2,))


class Sum(ActorModule):
    """Answers with the sum of what it sees."""

    def act(self, obs, test=False):
        total = obs[0].sum() + obs[1]["a"].sum() + obs[1]["b"].sum()
        return np.array([total, float(test)])


class Doubled(ActorModule):
    def act_batch(self, observation, test, rank=None):
        return 2 * observation["x"], {}


def test_one_environment_and_many_follow_from_each_other() -> None:
    rows = [SEEN.sample() for _ in range(3)]
    batch = (
        np.stack([r[0] for r in rows]),
        {k: np.stack([r[1][k] for r in rows]) for k in ("a", "b")},
    )
    actions, columns = Sum(SEEN, ACTIONS).act_batch(batch, np.array([True, False, True]))
    np.testing.assert_allclose(actions, [Sum().act(row, test) for row, test in zip(rows, (1, 0, 1), strict=True)])
    assert columns["greedy"].tolist() == [True, False, True]
    np.testing.assert_array_equal(Doubled().act({"x": np.array([1.0, 4.0])}), [2.0, 8.0])


def test_an_actor_that_chooses_nothing_says_so() -> None:
    class Lost(ActorModule):
        pass

    with pytest.raises(NotImplementedError, match="Lost chooses no actions"):
        Lost().act(np.zeros(1))
    with pytest.raises(NotImplementedError, match="Lost chooses no actions"):
        Lost().act_batch(np.zeros((2, 1)), np.zeros(2, bool))


class Tabled(ActorModule):
    """Keeps its numbers in a JSON file of its own."""

    def __init__(self, observation_space=None, action_space=None):
        super().__init__(observation_space, action_space)
        self.table = [0.0]

    def save(self, path):
        Path(path).write_text(json.dumps(self.table))

    def load(self, path, device):
        fresh = type(self)()
        fresh.table = json.loads(Path(path).read_text())
        return fresh


def test_an_actor_with_a_file_of_its_own_travels_as_that_file() -> None:
    sender, receiver = Tabled(), Tabled()
    sender.table = [1.5, 2.5]
    receiver.load_tensors(sender.tensors())
    assert receiver.table == [1.5, 2.5]


def test_an_actor_without_weights_takes_none(tmp_path: Path) -> None:
    assert Sum().tensors() == {}
    with pytest.raises(WeightsError, match="Sum got 1 tensors"):
        Sum().load_tensors({"w": torch.zeros(1)})
    Sum().save(tmp_path / "sum.tmod")
    assert isinstance(Sum().load(tmp_path / "sum.tmod", "cpu"), Sum)


class Learner(TrainingAgent):
    """Follows noise with momentum; everything it is made of is an attribute."""

    def __init__(self, observation_space, action_space, device, lr=0.1, gamma=0.9):
        super().__init__(observation_space, action_space, device)
        torch.manual_seed(3)
        self.network = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
        self.log_alpha = torch.zeros(1, requires_grad=True)
        self.optimizer = torch.optim.Adam([*self.network.parameters(), self.log_alpha], lr=lr)
        self.schedule = torch.optim.lr_scheduler.StepLR(self.optimizer, step_size=5, gamma=0.5)
        self.generator = torch.Generator().manual_seed(5)
        self.rng = np.random.default_rng(7)
        self.updates, self.gamma = 0, gamma

    def train(self, batch):
        seen = torch.randn((8, 2), generator=self.generator) + self.rng.normal()
        loss = (self.gamma * self.network(seen) + self.log_alpha).square().mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.schedule.step()
        self.updates += 1
        return {"loss": loss.item()}

    def get_actor(self):
        return Sum(self.observation_space, self.action_space)


def made(**options: float) -> Learner:
    agent = Learner(SEEN, ACTIONS, "cpu", **options)
    remember_constructed(agent)
    return agent


def test_a_saved_agent_goes_on_exactly(tmp_path: Path) -> None:
    agent, other = made(), made()
    for _ in range(7):
        agent.train(None)
    state = json.loads(json.dumps(agent.save(tmp_path)))
    other.load(tmp_path, state)
    assert other.updates == 7
    assert [agent.train(None) for _ in range(5)] == [other.train(None) for _ in range(5)]


def test_options_of_the_new_run_win_where_training_left_them_alone(tmp_path: Path) -> None:
    agent = made()
    for _ in range(7):  # the schedule has halved the rate by now; gamma is as it was given
        agent.train(None)
    state = agent.save(tmp_path)
    other = made(gamma=0.5)
    other.load(tmp_path, state)
    assert other.gamma == 0.5
    assert other.optimizer.param_groups[0]["lr"] == 0.05
    constant = made()
    constant.train(None)
    other = made(lr=0.01)
    other.load(tmp_path, constant.save(tmp_path))
    assert other.optimizer.param_groups[0]["lr"] == 0.01
    assert other.optimizer.state_dict()["state"][0]["exp_avg"].abs().sum() > 0, "the moments stay"


def test_another_network_is_refused(tmp_path: Path) -> None:
    agent, other = made(), made()
    state = agent.save(tmp_path)
    other.network = nn.Sequential(nn.Linear(2, 5), nn.BatchNorm1d(5), nn.Linear(5, 1))
    with pytest.raises(WeightsError, match=r"network\.safetensors.*shape"):
        other.load(tmp_path, state)
    (tmp_path / "optimizer.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"optimizer\.safetensors: no such file"):
        made().load(tmp_path, state)


def test_agents_without_schedules_or_held_out_samples_need_nothing() -> None:
    agent = made()
    agent.set_frames(10)
    assert np.isnan(agent.test_loss(None))
    assert agent.actor_tensors() == {}

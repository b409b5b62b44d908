"""What a worker gets from a network, and what a trainer hands out."""

import json

import numpy as np
import torch
from gymnasium import spaces
from torch import nn

from trackmaster.rl.torch_actor import TorchActorModule, no_grad_copy

SEEN = spaces.Tuple((spaces.Box(0.0, 1.0, (2,), np.float64), spaces.Box(0, 255, (4, 6, 6), np.uint8)))
ACTIONS = spaces.Box(-1.0, 1.0, (3,), np.float32)


class Actor(TorchActorModule):
    def __init__(self, observation_space, action_space):
        super().__init__(observation_space, action_space)
        self.head = nn.Linear(2, 3)
        self.drop = nn.Dropout(0.5)

    def forward(self, obs, test=False, compute_logprob=True):
        floats, images = obs
        assert floats.dtype == torch.float32
        assert images.dtype == torch.uint8
        assert images.shape[1:] == (4, 6, 6)
        mean = torch.tanh(self.head(self.drop(floats)))
        action = mean if test else mean + 0.1 * torch.randn_like(mean)
        return action, action.sum(-1) if compute_logprob else None


class Squeezing(Actor):
    """Returns no batch axis, as some actors do."""

    def act(self, obs, test=False):
        return super().act(obs, test)[0]


def test_a_worker_gets_an_action_without_batch_axis() -> None:
    for kind in (Actor, Squeezing):
        torch.manual_seed(0)
        actor = kind(SEEN, ACTIONS).no_grad_copy()
        obs = SEEN.sample()
        action = actor.act_(obs, test=True)
        assert action.shape == (3,)
        assert action.dtype == np.float32
        np.testing.assert_array_equal(action, actor.act_(obs, test=True))
        assert (action != actor.act_(obs)).any()


def test_many_cars_get_their_own_kind_of_action() -> None:
    actor = Actor(SEEN, ACTIONS).no_grad_copy()
    rows = [SEEN.sample() for _ in range(5)]
    batch = (np.stack([r[0] for r in rows]).astype(np.float32), np.stack([r[1] for r in rows]))
    test = np.array([True, False, True, True, False])
    actions, columns = actor.act_batch(batch, test)
    assert actions.shape == (5, 3)
    for i in np.flatnonzero(test):
        np.testing.assert_allclose(actions[i], actor.act_(rows[i], test=True), atol=1e-6)
    np.testing.assert_array_equal(columns["greedy"], test)


def test_a_copy_for_acting_shares_nothing_and_needs_no_gradients() -> None:
    actor = Actor(SEEN, ACTIONS)
    for copy in (actor.no_grad_copy(), no_grad_copy(actor)):
        before = copy.head.weight.clone()
        with torch.no_grad():
            actor.head.weight.add_(1.0)
        assert torch.equal(copy.head.weight, before)
        assert not copy.training
        assert not any(p.requires_grad for p in copy.parameters())
    assert all(p.requires_grad for p in actor.parameters())


def test_weights_travel_and_are_saved(tmp_path) -> None:
    actor, other = Actor(SEEN, ACTIONS), Actor(SEEN, ACTIONS)
    other.load_tensors(actor.tensors())
    assert torch.equal(other.head.weight, actor.head.weight)
    for name in ("a.tmod", "a.json"):
        third = Actor(SEEN, ACTIONS)
        actor.save(tmp_path / name)
        assert third.load(tmp_path / name, "cpu") is third
        assert torch.equal(third.head.bias, actor.head.bias)
    assert json.loads((tmp_path / "a.json").read_text()).keys() == actor.state_dict().keys()

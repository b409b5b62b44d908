"""The agent learns a return distribution, survives bad batches, and comes back from a file as it was."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from trackmaster.errors import ConfigError
from trackmaster.nn.iqn import stratified_tau
from trackmaster.nn.weights import WeightsError, load_strict
from trackmaster.rl.exploration import ActingError, ExplorationRates, choose_actions
from trackmaster.rl.files.torch_files import load_torch
from trackmaster.rl.iqn.actor import IQNActor
from trackmaster.rl.iqn.agent import IQNAgent
from trackmaster.rl.iqn.config import IQNConfig
from trackmaster.rl.memory.replay import Batch
from trackmaster.rl.schedules import Schedule


def batch_of(n: int, seed: int, *, reward: torch.Tensor | None = None, gamma: float = 1.0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    image = torch.zeros((n, 1, 36, 36), dtype=torch.uint8)
    floats, nxt = torch.randn((n, 3), generator=generator), torch.randn((n, 3), generator=generator)
    action = torch.randint(0, 12, (n,), generator=generator)
    made = torch.randn(n, generator=generator) if reward is None else reward
    return Batch(image, floats, action, made, torch.full((n,), gamma), image, nxt)


def chain_batch(rng: np.random.Generator) -> Batch:
    """Two states: from 0 to 1 without pay, from 1 to the end for a pay that is uniform between 0 and 1.

    Every state and action is seen with one pay from each quarter, so that few updates are enough.
    """
    state, action, stratum = (x.ravel() for x in np.meshgrid(np.arange(2), np.arange(12), np.arange(4), indexing="ij"))
    n = len(state)
    floats, nxt = torch.zeros((n, 3)), torch.zeros((n, 3))
    floats[:, 1], nxt[:, 1] = torch.from_numpy(state), 1.0
    image = torch.zeros((n, 1, 36, 36), dtype=torch.uint8)
    pay = torch.from_numpy(np.where(state == 1, (stratum + rng.random(n)) / 4, 0.0)).float()
    gamma = torch.from_numpy(np.where(state == 1, 0.0, 1.0)).float()
    return Batch(image, floats, torch.from_numpy(action), pay, gamma, image, nxt)


@pytest.mark.learns
@pytest.mark.parametrize("loss", ["paper", "reference"])
def test_agent_learns_the_return_distribution_of_a_chain(tiny_config: IQNConfig, loss: str) -> None:
    config = dataclasses.replace(
        tiny_config, lr=Schedule([(0, 1e-2), (720, 1e-4)], "exponential"), loss=loss, embedding_dim=4, batch_size=96,
        target_update_interval=96, soft_update_tau=0.3,
    )  # fmt: skip
    agent, rng = IQNAgent(config, seed=1), np.random.default_rng(0)
    states = torch.zeros((2, 3))
    states[1, 1] = 1.0
    grid = torch.linspace(0.1, 0.9, 9)
    for step in range(800):
        agent.set_frames(step)
        agent.train(chain_batch(rng))
    with torch.no_grad():
        image = torch.zeros((2, 1, 36, 36), dtype=torch.uint8)
        quantiles = agent.online(image, states, grid.repeat_interleave(2)[:, None])[0].view(9, 2, 12)
    error = quantiles - grid[:, None, None]
    # Of each state, mean over the actions, which are all paid alike.
    assert error.mean(dim=2).abs().max() < 0.02
    assert error.abs().mean() < 0.01


def test_equal_seeds_learn_equally(tiny_config: IQNConfig) -> None:
    agents = [IQNAgent(tiny_config, seed=3) for _ in range(2)]
    for agent in agents:
        for step in range(3):
            agent.train(batch_of(64, step))
        agent.test_loss(batch_of(64, 9))
    assert all(
        (a == b).all() for a, b in zip(agents[0].online.parameters(), agents[1].online.parameters(), strict=True)
    )


def test_saved_agent_has_identical_q_and_goes_on_identically(tiny_config: IQNConfig, tmp_path: Path) -> None:
    agent = IQNAgent(tiny_config, seed=3)
    for step in range(3):
        agent.train(batch_of(64, step))
    state = agent.save(tmp_path)
    other = IQNAgent(tiny_config, seed=77)
    other.load(tmp_path, state)
    observation = {"image": np.zeros((4, 1, 36, 36), np.uint8), "floats": np.eye(4, 3, dtype=np.float32)}
    np.testing.assert_array_equal(agent.get_actor().q_values(observation), other.get_actor().q_values(observation))
    assert agent.train(batch_of(64, 9)) == other.train(batch_of(64, 9))
    np.testing.assert_array_equal(agent.get_actor().q_values(observation), other.get_actor().q_values(observation))


def test_bad_batches_after_a_resume_roll_back_to_the_saved_optimiser(tiny_config: IQNConfig, tmp_path: Path) -> None:
    agent = IQNAgent(tiny_config, seed=3)
    for step in range(3):
        agent.train(batch_of(64, step))
    state = agent.save(tmp_path)
    saved = agent.optimizer.state_dict()["state"]
    other = IQNAgent(tiny_config, seed=77)
    other.load(tmp_path, state)
    for _ in range(3):
        metrics = other.train(batch_of(64, 9, reward=torch.full((64,), float("nan"))))
    assert metrics["Guard/rollback"] == 1
    restored = other.optimizer.state_dict()["state"]
    assert restored.keys() == saved.keys()
    for number, values in saved.items():
        for name, value in values.items():
            assert torch.equal(torch.as_tensor(restored[number][name]), torch.as_tensor(value)), name


@pytest.mark.parametrize("loss", ["paper", "reference"])
def test_test_loss_is_on_the_scale_of_the_training_loss(tiny_config: IQNConfig, loss: str) -> None:
    agent = IQNAgent(dataclasses.replace(tiny_config, loss=loss), seed=3)
    for step in range(5):
        agent.train(batch_of(64, step))
    means = (agent.normalise.mean_spread, agent.normalise.mean_divisor)
    agent._test_generator.set_state(agent._generator.get_state())
    tested = agent.test_loss(batch_of(64, 9))
    assert (agent.normalise.mean_spread, agent.normalise.mean_divisor) == means
    agent.normalise.decay = 1.0  # the training loss with means that stand still
    assert agent.train(batch_of(64, 9))["Training/loss"] == pytest.approx(tested, rel=1e-6)


def test_weights_of_another_normalisation_are_converted(tiny_config: IQNConfig, tmp_path: Path) -> None:
    agent = IQNAgent(tiny_config, seed=3)
    state = agent.save(tmp_path)
    changed = dataclasses.replace(
        tiny_config, float_mean=np.array([1, -2, 3], np.float32), float_std=np.array([2, 4, 0.5], np.float32)
    )
    other = IQNAgent(changed, seed=77)
    other.load(tmp_path, state)
    observation = {"image": np.zeros((4, 1, 36, 36), np.uint8), "floats": np.eye(4, 3, dtype=np.float32)}
    np.testing.assert_allclose(
        agent.get_actor().q_values(observation), other.get_actor().q_values(observation), atol=1e-4, rtol=1e-4
    )
    with pytest.raises(WeightsError, match="version 99"):
        other.load(tmp_path, state | {"float_layout_version": 99})


def test_nan_batch_changes_nothing_and_repeated_ones_roll_back(tiny_config: IQNConfig) -> None:
    agent = IQNAgent(tiny_config, seed=3)
    agent.train(batch_of(64, 0))
    agent.guard.keep()
    good = [p.clone() for p in agent.online.parameters()]
    bad = batch_of(64, 1, reward=torch.full((64,), float("nan")))
    metrics = agent.train(bad)
    assert metrics["Guard/nonfinite"] == 1
    assert all((a == b).all() for a, b in zip(good, agent.online.parameters(), strict=True))
    with torch.no_grad():
        agent.online.V_head[2].bias.fill_(float("nan"))
    assert [agent.train(batch_of(64, k))["Guard/rollback"] for k in (2, 3)] == [0, 1]
    assert all((a == b).all() for a, b in zip(good, agent.online.parameters(), strict=True))
    assert np.isfinite(agent.train(batch_of(64, 5))["Training/loss"])


def test_incredible_returns_roll_back(tiny_config: IQNConfig) -> None:
    agent = IQNAgent(dataclasses.replace(tiny_config, q_bound=50.0), seed=3)
    with torch.no_grad():
        agent.online.V_head[2].bias.fill_(1e4)
    assert [agent.train(batch_of(64, k))["Guard/rollback"] for k in range(3)] == [0, 0, 1]
    assert abs(agent.train(batch_of(64, 5))["RL/avg_Q"]) < 50


def test_target_network_follows_slowly_and_on_its_schedule(tiny_config: IQNConfig) -> None:
    agent = IQNAgent(dataclasses.replace(tiny_config, target_update_interval=128, soft_update_tau=0.25), seed=3)
    start = [p.clone() for p in agent.target.parameters()]
    agent.train(batch_of(64, 0))
    assert all((a == b).all() for a, b in zip(start, agent.target.parameters(), strict=True))
    agent.train(batch_of(64, 1))
    for before, after, online in zip(start, agent.target.parameters(), agent.online.parameters(), strict=True):
        torch.testing.assert_close(after, before + 0.25 * (online - before))


def test_changed_optimiser_settings_hold_after_loading(tiny_config: IQNConfig, tmp_path: Path) -> None:
    agent = IQNAgent(tiny_config, seed=3)
    agent.train(batch_of(64, 0))
    state = agent.save(tmp_path)
    changed = dataclasses.replace(
        tiny_config,
        adam_epsilon=1e-8,
        beta1=0.5,
        beta2=0.9,
        weight_decay_lr_ratio=0.5,
        lr=Schedule([(0, 7.0)], "linear"),
    )
    other = IQNAgent(changed, seed=3)
    other.load(tmp_path, state)
    groups = other.optimizer.param_groups
    assert [(g["eps"], g["betas"], g["weight_decay"], g["lr"]) for g in groups] == [
        (1e-8, (0.5, 0.9), decay, 7.0) for decay in (0.5, 0.0)
    ]
    first = next(agent.online.parameters()), next(other.online.parameters())
    averages = agent.optimizer.state[first[0]]["exp_avg"], other.optimizer.state[first[1]]["exp_avg"]
    assert averages[0].abs().sum() > 0
    torch.testing.assert_close(*averages)


def test_another_kind_of_optimiser_is_refused(tiny_config: IQNConfig, tmp_path: Path) -> None:
    state = IQNAgent(tiny_config, seed=3).save(tmp_path)
    other = IQNAgent(dataclasses.replace(tiny_config, optimizer="adamw"), seed=3)
    with pytest.raises(WeightsError, match=r"optimizer1\.torch: was written by radam, .* asks for adamw"):
        other.load(tmp_path, state)
    torch.save({"state": {}, "param_groups": []}, tmp_path / "optimizer1.torch")
    with pytest.raises(WeightsError, match="does not belong to this network"):
        IQNAgent(tiny_config, seed=3).load(tmp_path, state)


def test_weight_decay_spares_biases(tiny_config: IQNConfig) -> None:
    agent = IQNAgent(dataclasses.replace(tiny_config, weight_decay_lr_ratio=0.5), seed=3)
    decayed = {id(p) for g in agent.optimizer.param_groups if g["weight_decay"] for p in g["params"]}
    for name, parameter in agent.online.named_parameters():
        assert (id(parameter) in decayed) == name.endswith("weight")


def test_actor_tensors_carry_weights_and_rates(tiny_config: IQNConfig) -> None:
    agent = IQNAgent(tiny_config, seed=3)
    actor = agent.get_actor()
    assert actor.rates == ExplorationRates(pytest.approx(0.1), pytest.approx(0.1), 0.01)
    agent.train(batch_of(64, 0))
    observation = {"image": np.zeros((4, 1, 36, 36), np.uint8), "floats": np.eye(4, 3, dtype=np.float32)}
    before = actor.q_values(observation)
    np.testing.assert_array_equal(before, actor.q_values(observation))
    actor.load_tensors(agent.actor_tensors())
    assert not np.array_equal(before, actor.q_values(observation)), "the old actor must not share the learner's weights"
    single = {name: array[0] for name, array in observation.items()}
    assert actor.act(single, test=True) == actor.q_values(observation)[0].argmax()


@pytest.mark.parametrize("content", [b"", b"not a file of weights", b"PK\x03\x04 cut"])
def test_damaged_weights_end_in_a_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "weights1.torch"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="cannot be read as weights"):
        load_torch(path)
    with pytest.raises(WeightsError, match="no such file"):
        load_torch(tmp_path / "missing.torch")


@pytest.mark.parametrize(("content", "named"), [
    ({0: torch.zeros(2)}, "under 0"), ({"A_head.0.weight": 1.0}, "holds a float"), ({"model": {}}, "holds a dict"),
    ({"A_head.0.bias": torch.zeros(4, dtype=torch.complex64)}, "plain tensors"),
    ({"A_head.0.bias": torch.zeros(4).to_sparse()}, "plain tensors"),
])  # fmt: skip
def test_foreign_weights_end_in_a_sentence_that_names_the_file(
    tiny_config: IQNConfig, tmp_path: Path, content: dict[Any, Any], named: str
) -> None:
    path = tmp_path / "foreign.torch"
    torch.save(content, path)
    actor = IQNActor(tiny_config, seed=0)
    with pytest.raises(WeightsError, match=rf"foreign\.torch: .*{named}"):
        load_strict(actor.network, load_torch(path), source=str(path))


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("is_zip", [True, False])
def test_a_weights_file_with_changed_bytes_is_read_or_refused(
    tiny_config: IQNConfig, tmp_path: Path, is_zip: bool
) -> None:
    network, path = IQNActor(tiny_config, seed=0).network, tmp_path / "weights1.torch"
    torch.save(network.state_dict(), path, _use_new_zipfile_serialization=is_zip)
    whole, rng, refused = path.read_bytes(), np.random.default_rng(0), 0
    for _ in range(150):
        changed = bytearray(whole)
        for place in rng.integers(0, 3_000, 4):
            changed[place] = rng.integers(256)
        path.write_bytes(changed)
        try:
            load_strict(network, load_torch(path), source=str(path))
        except WeightsError:
            refused += 1
    assert refused > 50, "the changes must do damage"


def test_python_objects_in_a_weights_file_are_never_unpickled(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (exec, ("raise SystemExit('executed')",))

    torch.save({"a": Hostile()}, tmp_path / "weights1.torch")
    with pytest.raises(WeightsError, match="Python objects"):
        load_torch(tmp_path / "weights1.torch")


def test_settings_without_effect_are_refused(tiny_config: IQNConfig) -> None:
    with pytest.raises(ConfigError, match="once per batch"):
        dataclasses.replace(tiny_config, target_update_interval=32)
    with pytest.raises(ConfigError, match="even number"):
        dataclasses.replace(tiny_config, iqn_n=7)


def test_returns_that_are_no_numbers_choose_no_action() -> None:
    q = np.zeros((3, 12), np.float32)
    q[1, 4] = np.nan
    with pytest.raises(ActingError, match="return of nan from action 4 of car 1"):
        choose_actions(q, ExplorationRates(), np.zeros(3, dtype=bool), np.random.default_rng(0))


def test_exploration_shares() -> None:
    n = 40_000
    q = np.tile(np.array([0.0, 1.0, 0.995, 0.0], np.float32), (n, 1))
    rng, everyone = np.random.default_rng(0), np.ones(n, dtype=bool)
    action, greedy = choose_actions(q, ExplorationRates(epsilon=0.2), everyone, rng)
    np.testing.assert_allclose(np.bincount(action) / n, [0.05, 0.85, 0.05, 0.05], atol=0.01)
    np.testing.assert_array_equal(greedy, action == 1)
    action, _ = choose_actions(q, ExplorationRates(epsilon_boltzmann=0.5, tau_boltzmann=0.01), everyone, rng)
    share = (action == 2).mean()  # half of the time the second action wins with P(N(0, 1.41 * .01) > .005) = .362
    assert share == pytest.approx(0.5 * 0.362, abs=0.01)
    action, greedy = choose_actions(q, ExplorationRates(epsilon=1.0), ~everyone, rng)
    assert (action == 1).all()
    assert greedy.all()
    weights = np.array([3.0, 0.0, 1.0, 0.0])
    action, _ = choose_actions(q, ExplorationRates(epsilon=1.0), everyone, rng, random_weights=weights)
    np.testing.assert_allclose(np.bincount(action, minlength=4) / n, [0.75, 0, 0.25, 0], atol=0.01)
    action, _ = choose_actions(q, ExplorationRates(epsilon=0.2), everyone, rng, exponent=np.full(n, 2.0))
    assert (action != 1).mean() == pytest.approx(0.75 * 0.04, abs=0.005)


def test_taus_differ_between_updates_of_one_agent(tiny_config: IQNConfig) -> None:
    generator = torch.Generator().manual_seed(tiny_config.batch_size)
    assert not torch.equal(stratified_tau(4, 8, generator=generator), stratified_tau(4, 8, generator=generator))


def test_an_actor_computes_in_full_precision_whatever_the_learner_does(tiny_config: IQNConfig) -> None:
    generator = np.random.default_rng(5)
    observation = {
        "image": generator.integers(0, 256, (6, 1, 36, 36), dtype=np.uint8),
        "floats": generator.normal(size=(6, tiny_config.n_floats)).astype(np.float32),
    }
    exact = IQNAgent(tiny_config, seed=0).get_actor().q_values(observation)
    beside_bf16 = IQNAgent(dataclasses.replace(tiny_config, autocast="bf16"), seed=0).get_actor()
    assert np.array_equal(beside_bf16.q_values(observation), exact)

"""The listings of the TMRL concepts document run with ``tmrl`` replaced by ``trackmaster.tmrl``.

They are read from the document where it lies beside the checkout, otherwise from the copy of their code below the
tests. Completed is only what they leave open: ``...``, comments in the place of code, undefined names.
"""

import itertools
import json
import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from types import ModuleType
from typing import Any

import gymnasium.spaces as spaces
import numpy as np
import pytest
import torch
from torch import nn
from torch.optim import Adam

from trackmaster.distributed.transport.in_process import InProcessTransport
from trackmaster.errors import ConfigError

FIXTURE = Path(__file__).with_name("tmrl_listings.txt")
SECURE = "secure_password"
FULL = spaces.Tuple((
    spaces.Box(0.0, 1000.0, (1,)), spaces.Box(0.0, 6.0, (1,)), spaces.Box(0.0, np.inf, (1,)),
    spaces.Box(0, 255, (4, 64, 64), np.uint8), *(spaces.Box(-1.0, 1.0, (3,)) for _ in range(4)),
))  # fmt: skip
PEDALS = spaces.Box(-1.0, 1.0, (3,), np.float32)


def listings() -> dict[str, str]:
    """Return the listings by a word that only one of them holds."""
    found: dict[str, str] = {}
    name = ""
    for line in FIXTURE.read_text(encoding="utf-8").splitlines():
        if line.startswith("### "):
            name = line.removeprefix("### ")
            found[name] = ""
        elif name:
            found[name] += line + "\n"
    return found


LISTINGS = listings()


def code(name: str, *completions: tuple[str, str]) -> str:
    """Return a listing with the other root and what it leaves open filled in."""
    text = re.sub(r"\btmrl\b", "trackmaster.tmrl", LISTINGS[name])
    for opened, filled in completions:
        assert opened in text, f"{opened!r} does not stand in the listing {name}"
        text = text.replace(opened, filled)
    return text


def run(name: str, *completions: tuple[str, str], **known: Any) -> dict[str, Any]:
    """Run a listing in a namespace that holds what it takes for granted, and return the namespace."""
    space: dict[str, Any] = {"np": np, "torch": torch, "nn": nn, "spaces": spaces} | known
    exec(compile(code(name, *completions), f"<{name}>", "exec"), space)  # the test's own listings
    return space


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The toy of continuous control."""
    import importlib

    for folder in ("distributed", "rl"):
        monkeypatch.syspath_prepend(Path(__file__).parents[1] / folder)
    yield importlib.import_module("toy_control")
    for name in ("toy_control", "delayed_world"):
        sys.modules.pop(name, None)


def port_of(server: Any) -> tuple[str, str]:
    return "6666", str(server.port)


def test_the_copy_is_what_the_document_prints(repository_root: Path) -> None:
    documents = sorted((repository_root.parent / "shared" / "seeds").glob("003*.txt"))
    if not documents:
        pytest.skip("the document does not lie beside this checkout")
    printed = {textwrap.dedent(t).strip() for t in re.findall(r"```\w+\n(.*?)```", documents[0].read_text(), re.DOTALL)}
    assert {text.strip() for text in LISTINGS.values()} <= printed


def test_server() -> None:
    space = run("server", ("port=6666", "port=0"))
    try:
        assert space["server"].port > 0
    finally:
        space["server"].close()


def test_worker_trainer_and_server_together(toy: ModuleType, tmp_path: Path) -> None:
    """The three listings of the roles as one run, each in its thread."""
    import threading

    server = run("server", ("port=6666", "port=0"))["server"]
    try:
        from trackmaster.tmrl.memory import GenericTorchMemory
        from trackmaster.tmrl.util import partial

        memory_cls = partial(GenericTorchMemory, memory_size=2_000, batch_size=16)
        files = (
            ("path/to/trainer_weights.tmod", str(tmp_path / "t.tmod")),
            ("path/to/checkpoint.tcpt", str(tmp_path / "c.tcpt")),
        )
        small = (("epochs=10", "epochs=2"), ("rounds=50", "rounds=2"), ("steps=2000", "steps=50"))
        worker_space: dict[str, Any] = {}

        def drive() -> None:
            text = (
                ("path/to/weights.tmod", str(tmp_path / "w.tmod")),
                port_of(server),
                ("worker.run(", "worker.run(nb_episodes=30, "),
            )
            worker_space.update(run("worker", *text, env_cls=toy.Follow, actor_module_cls=toy.Actor, compressor=None))
            worker_space["worker"].close()

        thread = threading.Thread(target=drive)
        thread.start()
        space = run(
            "trainer", *files, *small, port_of(server), ('device="cuda"', 'device="cpu"'),
            env_cls=toy.Follow, memory_cls=memory_cls, training_agent_cls=toy.ToySAC,
        )  # fmt: skip
        thread.join()
        space["trainer"].close()
        training = space["trainer"].training
        assert training.total_updates == 200
        assert training.total_updates <= training.total_samples
        assert (tmp_path / "t.tmod").exists()
        assert (tmp_path / "c.tcpt").exists()
        assert worker_space["worker"].env_steps == 30 * toy.STEPS
    finally:
        server.close()


def test_real_time_configuration() -> None:
    from rtgym import RealTimeGymInterface

    class TMInterface(RealTimeGymInterface):
        pass

    from trackmaster.env.realtime.config import RealTimeConfig

    config = RealTimeConfig.from_dict(run("rtgym configuration", TMInterface=TMInterface)["config"])
    assert (config.act_buf_len, config.reset_act_buf, config.time_step_duration) == (4, False, 0.05)


def test_real_time_interface() -> None:
    """Open are the bodies; they are filled in by a subclass of what the listing defines."""
    from trackmaster.env.realtime.clock import VirtualClock
    from trackmaster.env.realtime.environment import RealTimeEnv

    listed = run("rtgym interface")["TMInterface"]

    class Complete(listed):
        def get_observation_space(self):
            return spaces.Tuple((spaces.Box(0.0, 1.0, (1,)),))

        def get_action_space(self):
            return spaces.Box(-1.0, 1.0, (3,), np.float32)

        def reset(self, seed=None, options=None):
            return [np.zeros(1, np.float32)], {}

        def get_obs_rew_terminated_info(self):
            return [np.ones(1, np.float32)], 1.0, False, {}

    config = run("rtgym configuration", TMInterface=Complete)["config"]
    env = RealTimeEnv(config, clock=VirtualClock())
    obs, _ = env.reset()
    np.testing.assert_array_equal(obs[-1], [0.0, 0.0, 0.0])
    obs, reward, *_ = env.step(np.array([1.0, 0.0, 0.5], np.float32))
    assert len(obs) == 5
    assert reward == 1.0
    env.close()


def test_actor_module() -> None:
    logic = ("        # Your policy logic here\n        pass", "        return np.zeros(3) if test else np.ones(3)")
    actor = run("actor", logic)["MyActorModule"](FULL, PEDALS)
    assert actor.act_(FULL.sample(), test=True).tolist() == [0, 0, 0]
    assert actor.act_(FULL.sample()).tolist() == [1, 1, 1]


TORCH_ACTOR = (
    ("            # Your layers\n", "            nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1)\n"),
    (
        "        # Forward pass logic\n        pass",
        "        action = torch.tanh(self.network(obs))\n"
        "        return action, (action.sum(-1) if compute_logprob else None)",
    ),
)


def test_torch_actor_module(toy: ModuleType) -> None:
    env = toy.Follow()
    actor = run("torch actor", *TORCH_ACTOR)["MyTorchActorModule"](env.observation_space, env.action_space)
    action = actor.act_(env.reset()[0])
    assert action.shape == (1,), "the listing returns the batch axis, the worker gets none"
    action, logp = actor(torch.zeros((5, 2)))
    assert action.shape == (5, 1)
    assert logp.shape == (5,)


def test_json_weights(toy: ModuleType, tmp_path: Path) -> None:
    env = toy.Follow()
    own = run("torch actor", *TORCH_ACTOR)["MyTorchActorModule"]
    space = run("json weights", TorchActorModule=own)
    make = space["MyActorModule"]
    actor, other = (make(env.observation_space, env.action_space) for _ in range(2))
    actor.save(tmp_path / "a.tmod")
    json.loads((tmp_path / "a.tmod").read_text())
    assert other.load(tmp_path / "a.tmod", "cpu") is other
    assert all(torch.equal(a, b) for a, b in zip(actor.parameters(), other.parameters(), strict=True))
    strict = own(env.observation_space, env.action_space).load(tmp_path / "a.tmod", "cpu")
    assert torch.equal(next(strict.parameters()), next(actor.parameters())), "ours reads the same file"


def batch_of(toy: ModuleType, n: int = 32) -> Any:
    generator = torch.Generator().manual_seed(0)
    obs, new = torch.randn((2, n, 2), generator=generator)
    return obs, torch.rand((n, 1), generator=generator) * 2 - 1, torch.zeros(n), new, torch.zeros(n), torch.zeros(n)


def test_training_agent(toy: ModuleType) -> None:
    env = toy.Follow()
    completions = (
        ("ActorCriticModel(...)", "ActorCriticModel(observation_space, action_space)"),
        ("torch.optim.Adam(...)", "torch.optim.Adam(self.actor_critic.parameters())"),
        ("compute_loss(...)", "compute_loss(self.actor_critic, batch)"),
    )

    def compute_loss(model: Any, batch: Any) -> Any:
        return (model.q1(batch[0], batch[1]) - 1.0).square().mean() + model.actor(batch[0])[0].square().mean()

    space = run("training agent", *completions, ActorCriticModel=toy.ActorCriticModel, compute_loss=compute_loss)
    agent = space["MyTrainingAgent"](env.observation_space, env.action_space, "cpu")
    losses = [agent.train(batch_of(toy))["loss"] for _ in range(50)]
    assert losses[-1] < losses[0]
    actor = agent.get_actor()
    assert not any(p.requires_grad for p in actor.parameters())
    assert actor.act_(env.reset()[0]).shape == (1,)


SAC_NAMES = {"Adam": Adam, "deepcopy": deepcopy, "itertools": itertools}


def sac(toy: ModuleType) -> Any:
    from trackmaster.tmrl.training import TrainingAgent
    from trackmaster.tmrl.util import no_grad_copy

    space = run(
        "sac", TrainingAgent=TrainingAgent, ActorCriticModel=toy.ActorCriticModel, no_grad_copy=no_grad_copy,
        **SAC_NAMES,
    )  # fmt: skip
    return space["SACTrainingAgent"]


def test_sac_agent_and_its_hyper_parameters(toy: ModuleType) -> None:
    env = toy.Follow()
    values = run("sac hyper-parameters")
    options = {name: values[name] for name in ("gamma", "polyak", "alpha", "lr_actor", "lr_critic")}
    agent = sac(toy)(env.observation_space, env.action_space, "cpu", **options)
    metrics = agent.train(batch_of(toy))
    assert set(metrics) == {"loss_actor", "loss_critic"}
    assert agent.actor_tensors().keys() == agent.get_actor().state_dict().keys()
    from trackmaster.tmrl.memory import GenericTorchMemory

    memory = GenericTorchMemory("cpu", 1, batch_size=values["batch_size"], memory_size=values["memory_size"])
    assert (memory.batch_size, memory.memory_size) == (256, 1_000_000)


@pytest.mark.learns
def test_sac_agent_learns_over_the_roles(toy: ModuleType) -> None:
    """The agent of the document with our roles, memory and worker."""
    import functools

    from trackmaster.tmrl.memory import GenericTorchMemory
    from trackmaster.tmrl.networking import RolloutWorker, Trainer
    from trackmaster.tmrl.training_offline import TorchTrainingOffline
    from trackmaster.tmrl.util import partial

    torch.manual_seed(0)
    link = InProcessTransport()
    worker = RolloutWorker(toy.Follow, toy.Actor, end=link, say=lambda _: None)
    link.pump = functools.partial(worker.run, test_episode_interval=1, nb_episodes=1, verbose=False)
    training_cls = partial(
        TorchTrainingOffline, env_cls=toy.Follow,
        memory_cls=partial(GenericTorchMemory, memory_size=5_000, batch_size=32, seed=1),
        training_agent_cls=partial(sac(toy), gamma=0.9, polyak=0.98, alpha=0.02, lr_actor=3e-3, lr_critic=3e-3),
        epochs=1, rounds=8, steps=100, update_buffer_interval=10, update_model_interval=10, start_training=100,
        device="cpu", say=lambda _: None,
    )  # fmt: skip
    trainer = Trainer(training_cls, end=link, say=lambda _: None)
    before = np.mean([r for r, _ in worker.run_episodes(nb_episodes=10)])
    trainer.run()
    worker.update_actor_weights()
    assert np.mean([r for r, _ in worker.run_episodes(nb_episodes=10)]) > before / 2


MEMORY = (
    (
        "            self.data.append(...)",
        "            if last is not None:\n"
        "                self.data.append((last, action, reward, obs, terminated, truncated, info))\n"
        "            last = obs",
    ),
    ("        # Decompress and store samples\n", "        last = None\n"),
)  # fmt: skip


def test_memory(toy: ModuleType) -> None:
    import functools

    space = run("memory", *MEMORY)
    link = InProcessTransport()
    from trackmaster.tmrl.networking import RolloutWorker

    worker = RolloutWorker(toy.Follow, toy.Actor, end=link, say=lambda _: None)
    worker.run(nb_episodes=3)
    memory = functools.partial(space["MyMemory"], memory_size=30, batch_size=8)(device="cpu", nb_steps=2)
    for chunk in link.recv_chunks(0.0):
        memory.append(chunk)
    assert len(memory) == 30
    batches = list(memory)
    assert len(batches) == 2
    assert batches[0][0].shape == (8, 2)
    assert memory.get_transition(0)[3].shape == (2,)


def compressors() -> list[Callable[..., Any]]:
    return [run("compressor")["my_sample_compressor"], run("image compressor")["compress_sample"]]


def test_compressors_on_the_observations_of_the_document() -> None:
    obs = FULL.sample()
    shapes = [[np.shape(leaf) for leaf in c(PEDALS.sample(), obs, 0.0, False, False, {})[1]] for c in compressors()]
    assert shapes == [[(1,)] * 3 + [(4, 64, 64)], [(1,)] * 3 + [(64, 64)]]


def test_compressed_samples_are_rebuilt(toy: ModuleType) -> None:
    """The image compressor over our worker, memory and checksums."""
    import importlib

    from trackmaster.tmrl.memory import MemoryTMFull
    from trackmaster.tmrl.networking import RolloutWorker

    world = importlib.import_module("delayed_world")

    class Drawn(toy.Actor):
        def act_(self, obs: Any, test: bool = False) -> Any:
            return self.action_space.sample()

    link = InProcessTransport()
    worker = RolloutWorker(
        world.DelayedWorld, Drawn, sample_compressor=compressors()[1], crc_debug=True, end=link, say=lambda _: None
    )
    worker.run(nb_episodes=4)
    said: list[str] = []
    memory = MemoryTMFull("cpu", 20, memory_size=100, batch_size=16, crc_debug=True, say=said.append)
    for chunk in link.recv_chunks(0.0):
        memory.append(chunk)
    list(memory)
    assert len(said) == 20
    assert all(line.startswith("CRC check passed") for line in said)


def test_rebuilding_of_the_document(toy: ModuleType) -> None:
    """The listing is a method; open is ``get_prev_obs``, and it knows no borders."""
    from trackmaster.tmrl.memory import TorchMemory

    method = run("get_transition")["get_transition"]

    class Rebuilding(TorchMemory):
        def __init__(self, device: Any, nb_steps: int, **options: Any) -> None:
            super().__init__(device, nb_steps, **options)
            self.data: list[Any] = []

        def append_buffer(self, buffer: Any) -> None:
            self.data += buffer.memory

        def __len__(self) -> int:
            return max(0, len(self.data) - 4)

        def get_prev_obs(self, item: int) -> Any:
            return (*self.data[item][1], *(self.data[i][0] for i in range(item - 3, item + 1)))

        def get_transition(self, item: int) -> Any:
            return method(self, item + 4)

    memory = Rebuilding("cpu", 1, batch_size=4)
    samples = [(np.full(3, k, np.float32), (np.full(1, k, np.float32),), 0.0, False, False, {}) for k in range(9)]
    memory.append_buffer(type("Buffer", (), {"memory": samples})())
    last, action, _, new, *_ = memory.get_transition(0)
    assert action.tolist() == [4, 4, 4]
    assert [float(leaf.flat[0]) for leaf in new] == [4, 1, 2, 3, 4]
    assert [float(leaf.flat[0]) for leaf in last] == [3, 0, 1, 2, 3]
    assert memory.sample()[0][0].shape == (4, 1)


WORKER = "RolloutWorker(toy.Follow, toy.Actor, standalone=True{})"


def test_checksum_debugging(toy: ModuleType) -> None:
    from trackmaster.tmrl.networking import RolloutWorker
    from trackmaster.tmrl.util import partial

    made = run("memory", *MEMORY)["MyMemory"]
    space = run(
        "crc", ("crc_debug=True, ...)\nworker", "crc_debug=True, memory_size=50)\nworker"),
        ("RolloutWorker(..., crc_debug=True, ...)", WORKER.format(", crc_debug=True")), MyMemory=made,
        partial=partial, RolloutWorker=RolloutWorker, toy=toy,
    )  # fmt: skip
    assert space["memory_cls"](device="cpu", nb_steps=1).memory_size == 50
    space["worker"].collect_train_episode()
    assert "crc_sample" in space["worker"].buffer.memory[-1][5]


@pytest.mark.filterwarnings("ignore:.*precision lowered by casting")  # the listing's own bounds are float64
def test_spaces_and_preprocessor(toy: ModuleType) -> None:
    observation_space = run("observation space", H=64, W=64)["observation_space"]
    action_space = run("action space")["action_space"]
    from trackmaster.distributed.observed import buffered_actions

    assert buffered_actions(observation_space, action_space) == 4
    speed, *_ = run(
        "preprocessor", ("RolloutWorker(..., ", "RolloutWorker(toy.Follow, toy.Actor, standalone=True, "),
        RolloutWorker=lambda *_, **options: options, toy=toy,
    )["obs_preprocessor"](FULL.sample())  # fmt: skip
    assert 0 <= speed[0] <= 1


def test_ppo_hyper_parameters_are_names_of_the_agent() -> None:
    ppo = pytest.importorskip("trackmaster.rl.continuous.ppo", reason="PPO is not part of this build")
    values = run("ppo hyper-parameters")
    options = {name: value for name, value in values.items() if isinstance(value, (int, float)) and name[0] != "_"}
    assert ppo.PPOTrainingAgent(spaces.Box(-1, 1, (4,)), PEDALS, "cpu", **options)


NETWORK_NAMES = {"F": nn.functional}


@pytest.mark.parametrize("name", ["vanilla cnn", "vit", "cnn lstm"])
def test_networks(name: str) -> None:
    """The listings take two of the four actions; ours use all (``trackmaster.nn``)."""
    space = run(name, **NETWORK_NAMES)
    kind = {"vanilla cnn": "VanillaCNN", "vit": "VisionTransformerActor", "cnn lstm": "CNNLSTMActor"}[name]
    features = {"_calculate_flat_features": lambda _: 128, "_calculate_cnn_output": lambda _: 64 * 11 * 11}
    network = type(kind, (space[kind],), features)()
    obs = tuple(torch.from_numpy(np.asarray(leaf, np.float32))[None] for leaf in FULL.sample())
    obs = (obs[0], obs[1], torch.zeros((1, 1)), *obs[3:])
    found = network(obs)
    assert (found[0] if isinstance(found, tuple) else found).shape == (1, 256)


@pytest.mark.parametrize("name", ["no security", "tls", "local address"])
def test_network_settings_are_accepted_arguments(name: str, tmp_path: Path) -> None:
    from trackmaster.distributed.link.server_link import ServerLink

    space = run(name)
    given = {k: space[k] for k in ("security", "password", "server_ip", "server_port") if k in space}
    assert ServerLink(**({"password": SECURE} | given)).address().tls == (given.get("security") == "TLS")


def test_plain_text_to_another_machine_is_refused() -> None:
    from trackmaster.distributed.link.server_link import ServerLink

    with pytest.raises(ConfigError, match="in plain text"):
        ServerLink("192.168.1.100", 6666, SECURE).address()
    with pytest.raises(ConfigError, match="asks for a password"):
        ServerLink("192.168.1.100", 6666).address()


def test_every_listing_is_used() -> None:
    source = Path(__file__).read_text(encoding="utf-8")
    assert [name for name in LISTINGS if f'"{name}"' not in source] == []

"""SAC, REDQ and PPO on Gymnasium's Pendulum-v1: a sanity check whose outcome everybody knows.

A policy that swings the pendulum up and holds it has a mean return of about -150; doing nothing has about -1200. Prints
the deterministic return over 20 episodes after every so many decisions, with the CPU time used.

    python benchmarks/sanity_pendulum.py sac
"""

import sys
import time
from typing import Any

import gymnasium as gym
import numpy as np
import torch

from trackmaster.nn.policy_networks import PolicyNetworks
from trackmaster.rl.continuous.columns import continuous_sample_spec
from trackmaster.rl.continuous.gaussian_actor import GaussianActor
from trackmaster.rl.continuous.ppo import PPOTrainingAgent
from trackmaster.rl.continuous.redq import REDQTrainingAgent
from trackmaster.rl.continuous.rollout_memory import RolloutMemory
from trackmaster.rl.continuous.sac import SACTrainingAgent
from trackmaster.rl.continuous.transition_memory import TransitionMemory
from trackmaster.rl.samples.chunk import Chunk

OBSERVATION = gym.spaces.Dict({"floats": gym.spaces.Box(-8.0, 8.0, (3,), np.float32)})
ACTION = gym.spaces.Box(-2.0, 2.0, (1,), np.float32)
KNOWN = {"draw": (1,), "log_prob": ()}
NETWORKS = PolicyNetworks(hidden_sizes=(64, 64))
REWARD_SCALE = 0.1
EPISODE = 200
SOLVED = -200.0


def episode(actor: GaussianActor, env: Any, seed: int | None, *, test: bool) -> tuple[list[Any], float]:
    """Drive one episode with every pendulum; return the rows of each and the mean return."""
    floats, _ = env.reset(seed=seed)
    n = env.num_envs
    rows = [({"floats": floats}, np.zeros((n, 1), np.float32), np.zeros(n), {})]
    for _ in range(EPISODE):
        action, told = actor.act_batch({"floats": floats.astype(np.float32)}, np.full(n, test))
        floats, reward, _, _, _ = env.step(action)
        rows.append(({"floats": floats}, action, reward, told))
    return rows, float(sum(row[2] for row in rows).mean())


def chunks(rows: list[Any], spec: Any, version: int) -> list[Chunk]:
    """Return the rows of every pendulum as one chunk."""
    n, made = len(rows[0][1]), []
    for i in range(n):
        columns = {name: np.zeros((len(rows), *c.shape), c.dtype) for name, c in spec.items()}
        for k, (seen, action, reward, told) in enumerate(rows):
            columns["floats"][k], columns["action"][k] = seen["floats"][i], action[i]
            columns["reward"][k] = REWARD_SCALE * reward[i]
            for name in told.keys() & columns.keys():
                columns[name][k] = told[name][i]
        columns["truncated"][-1] = True
        made.append(Chunk("pendulum", version * n + i, 0, i, 0, 0, version, columns, end_of_episode=True))
    return made


def main(name: str) -> None:
    torch.set_num_threads(1)
    env, judge = (gym.make_vec("Pendulum-v1", n, vectorization_mode="sync") for n in (8, 20))
    common: dict[str, Any] = {"networks": NETWORKS, "seed": 0}
    soft = {"gamma": 0.98, "alpha": 0.1, "lr_actor": 1e-3, "lr_critic": 1e-3, "learn_entropy_coef": True}
    started, played = time.process_time(), 0
    if name == "ppo":
        env = gym.make_vec("Pendulum-v1", 32, vectorization_mode="sync")
        agent: Any = PPOTrainingAgent(OBSERVATION, ACTION, gamma=0.95, lr=1e-3, batch_size=256, **common)
        spec = continuous_sample_spec(OBSERVATION, 1, extras=KNOWN)
        memory: Any = RolloutMemory(spec, 32 * EPISODE)
    else:
        kind = REDQTrainingAgent if name == "redq" else SACTrainingAgent
        more = {"n": 5, "m": 2, "q_updates_per_policy_update": 2} if name == "redq" else {}
        agent = kind(OBSERVATION, ACTION, **soft, **more, **common)
        spec = continuous_sample_spec(OBSERVATION, 1)
        memory = TransitionMemory(spec, 50_000, batch_size=128, rng=np.random.default_rng(0))
    for version in range(100):
        rows, _ = episode(agent.get_actor(), env, version, test=False)
        if name == "ppo":
            memory.begin(version)
        for chunk in chunks(rows, spec, version):
            memory.append(chunk)
        for _ in range(1 if name == "ppo" else 400):
            agent.train(memory.sample())
        played += env.num_envs * EPISODE
        _, outcome = episode(agent.get_actor(), judge, 1_000, test=True)
        print(f"{name}: {played} decisions, {time.process_time() - started:.0f} s of CPU, return {outcome:.0f}")
        if outcome > SOLVED:
            break


if __name__ == "__main__":
    main(sys.argv[1])

"""Speed of the IQN learner, memory and actor; run ``python benchmarks/bench_iqn.py``.

Every number is the best of several rounds whose turns alternate, so a busy machine slows all candidates alike. The
asserted numbers are ratios within this run.
"""

import os
import time
from collections.abc import Callable

import numpy as np
import torch

from trackmaster.nn.iqn import IQNNetwork, fixed_tau
from trackmaster.rl.config import TrainConfig
from trackmaster.rl.iqn import IQNAgent
from trackmaster.rl.memory import Batch, IQNMemory
from trackmaster.rl.precision import cpu_has_bf16
from trackmaster.rl.samples import Chunk, iqn_sample_spec

BATCH = 512
ROUNDS = 5


def best_of_interleaved(candidates: dict[str, Callable[[], object]], rounds: int = ROUNDS) -> dict[str, float]:
    """Shortest time of each candidate in seconds."""
    best = dict.fromkeys(candidates, float("inf"))
    for run in candidates.values():
        run()
    for _ in range(rounds):
        for name, run in candidates.items():
            start = time.perf_counter()
            run()
            best[name] = min(best[name], time.perf_counter() - start)
    return best


def random_batch() -> Batch:
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (BATCH, 1, 64, 64), dtype=torch.uint8, generator=generator)
    floats = torch.randn((BATCH, 184), generator=generator)
    action = torch.randint(0, 12, (BATCH,), generator=generator)
    reward = torch.randn(BATCH, generator=generator)
    return Batch(image, floats, action, reward, torch.ones(BATCH), image.flip(0), floats.flip(0))


def bench_learner() -> None:
    batch = random_batch()
    threads = sorted({1, os.cpu_count() or 1})
    for n in threads:
        torch.set_num_threads(n)
        candidates: dict[str, Callable[[], object]] = {}
        for dtype in ("off", "bf16") if cpu_has_bf16() else ("off",):
            config = TrainConfig.load(["--performance.autocast", dtype]).to_iqn_config()
            agent = IQNAgent(config, seed=0)
            candidates[dtype.replace("off", "fp32")] = lambda agent=agent: [agent.train(batch) for _ in range(3)]
        for name, seconds in best_of_interleaved(candidates).items():
            print(f"learner, batch {BATCH}, 64x64, {name}, {n} threads: {3 * BATCH / seconds:.0f} samples/s")
    torch.set_num_threads(1)


def bench_memory() -> None:
    """Draws are compared with the same gather into fresh arrays, which is what a plain implementation does."""
    spec, rng = iqn_sample_spec((1, 64, 64), 184), np.random.default_rng(0)
    memory = IQNMemory(spec, 50_000, batch_size=BATCH, rng=np.random.default_rng(0))
    columns = {name: np.zeros((200, *c.shape), c.dtype) for name, c in spec.items()}
    columns["greedy"][:] = True
    for episode in range(250):
        columns["image"][:] = rng.integers(0, 256, columns["image"].shape, dtype=np.uint8)
        memory.append(Chunk("s", 0, 0, episode, 0, 0, 1, columns, end_of_episode=True))
    image = memory._columns["image"]

    def fresh_pictures() -> object:
        rows = rng.integers(0, 49_000, BATCH)
        return image[rows], image[rows + 3]

    def pictures_into_buffers() -> object:
        rows = rng.integers(0, 49_000, BATCH)
        np.take(image, rows, axis=0, out=memory._buffers.image.numpy(), mode="clip")
        return np.take(image, rows + 3, axis=0, out=memory._buffers.next_image.numpy(), mode="clip")

    candidates: dict[str, Callable[[], object]] = {
        "whole draw": memory.sample,
        "two pictures, fresh": fresh_pictures,
        "two pictures, reused": pictures_into_buffers,
    }
    for name, seconds in best_of_interleaved(candidates, rounds=100).items():
        print(f"memory, batch {BATCH}, {name}: {BATCH / seconds / 1e6:.2f} M samples/s")


def bench_actor() -> None:
    network = IQNNetwork(64, 64, 128).eval().requires_grad_(False)
    grid = fixed_tau(32)
    for n in (1, 32):
        image, floats = torch.zeros((n, 1, 64, 64), dtype=torch.uint8), torch.zeros((n, 184))
        tau = grid.repeat_interleave(n)[:, None]

        def plain(image=image, floats=floats, tau=tau, n=n) -> object:
            with torch.no_grad():
                return network(image, floats, tau)[0].view(32, n, 12).mean(dim=0)

        def folded(image=image, floats=floats) -> object:
            with torch.no_grad():
                return network.mean_q(image, floats, grid)

        def folded_bf16(image=image, floats=floats) -> object:
            with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
                return network.mean_q(image, floats, grid)

        candidates = {"quantile by quantile": plain, "mean before the last layer": folded}
        if cpu_has_bf16():
            candidates["mean before the last layer, bf16"] = folded_bf16
        for name, seconds in best_of_interleaved(candidates, rounds=50).items():
            print(f"actor, {n} cars, 32 quantiles, {name}: {1e6 * seconds / n:.0f} us per car")


if __name__ == "__main__":
    bench_learner()
    bench_memory()
    bench_actor()

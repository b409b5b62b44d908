"""Speed of the IQN learner, memory and actor, and of a whole run; ``python benchmarks/bench_iqn.py [PART ...]``.

Parts: learner, memory, actor, run. Turns of the candidates alternate and the best of several rounds counts, in CPU time
on one thread and in wall time on more, so a busy machine slows all candidates alike. What matters are the ratios within
this run: the learner beside a plain matrix product, reused buffers beside fresh ones, ONNX Runtime beside PyTorch.
"""

import argparse
import os
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from trackmaster.distributed.racing.environments import load_tracks
from trackmaster.distributed.racing.train import TURN_STEPS
from trackmaster.distributed.racing.workers import make_worker
from trackmaster.distributed.transport.contract import Weights
from trackmaster.distributed.transport.in_process import InProcessTransport
from trackmaster.nn.iqn import IQNNetwork, fixed_tau
from trackmaster.rl.config.training import TrainConfig
from trackmaster.rl.iqn.agent import IQNAgent
from trackmaster.rl.iqn.onnx_actor import OnnxPolicy
from trackmaster.rl.iqn.precision import cpu_has_bf16
from trackmaster.rl.memory.priorities import Priorities
from trackmaster.rl.memory.replay import Batch, IQNMemory
from trackmaster.rl.samples.chunk import Chunk, iqn_sample_spec

BATCH = 512
ROUNDS = 5


def best_of_interleaved(
    candidates: dict[str, Callable[[], object]],
    rounds: int = ROUNDS,
    clock: Callable[[], float] = time.process_time,
) -> dict[str, float]:
    """Shortest time of each candidate in seconds."""
    best = dict.fromkeys(candidates, float("inf"))
    for run in candidates.values():
        run()
    for _ in range(rounds):
        for name, run in candidates.items():
            start = clock()
            run()
            best[name] = min(best[name], clock() - start)
    return best


def random_batch() -> Batch:
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (BATCH, 1, 64, 64), dtype=torch.uint8, generator=generator)
    floats = torch.randn((BATCH, 184), generator=generator)
    action = torch.randint(0, 12, (BATCH,), generator=generator)
    reward = torch.randn(BATCH, generator=generator)
    return Batch(image, floats, action, reward, torch.ones(BATCH), image.flip(0), floats.flip(0))


def bench_learner() -> None:
    """Samples per second, and the share of the speed that a plain matrix product reaches on the same threads."""
    batch = random_batch()
    left, right = torch.randn(2048, 768), torch.randn(768, 1024)
    product_flops = 2 * 2048 * 768 * 1024
    for n in sorted({1, os.cpu_count() or 1}):
        torch.set_num_threads(n)
        candidates: dict[str, Callable[[], object]] = {"product": lambda: [left @ right for _ in range(8)]}
        for autocast in ("off", "bf16"):
            config = TrainConfig.load(["--performance.autocast", autocast, "--device", "cpu"]).to_iqn_config()
            agent = IQNAgent(config, seed=0)
            candidates[autocast.replace("off", "fp32")] = lambda agent=agent: agent.train(batch)
            if autocast == "off":
                with FlopCounterMode(display=False) as counter:
                    agent.train(batch)
        clock = time.process_time if n == 1 else time.perf_counter
        seconds = best_of_interleaved(candidates, rounds=ROUNDS if cpu_has_bf16() else 2, clock=clock)
        peak = 8 * product_flops / seconds["product"]
        flops = counter.get_total_flops()
        for name in ("fp32", "bf16"):
            note = "" if name == "fp32" or cpu_has_bf16() else " (this processor has no bf16 units: emulated)"
            print(
                f"learner, batch {BATCH}, 64x64, {name}, {n} threads: {BATCH / seconds[name]:.0f} samples/s{note}, "
                f"{flops / seconds[name] / 1e9:.0f} GFLOP/s = {100 * flops / seconds[name] / peak:.0f} % of a matrix "
                f"product ({peak / 1e9:.0f} GFLOP/s); {flops / BATCH / 1e6:.0f} MFLOP per sample"
            )
    torch.set_num_threads(1)


def bench_memory() -> None:
    """Draws are compared with the same gather into fresh arrays, which is what a plain implementation does."""
    spec, rng = iqn_sample_spec((1, 64, 64), 184), np.random.default_rng(0)
    memory = IQNMemory(spec, 50_000, batch_size=BATCH, rng=np.random.default_rng(0))
    priorities = Priorities(50_000, alpha=0.5, epsilon=2e-3)
    ranked = IQNMemory(spec, 50_000, batch_size=BATCH, rng=np.random.default_rng(0), priorities=priorities)
    columns = {name: np.zeros((200, *c.shape), c.dtype) for name, c in spec.items()}
    columns["greedy"][:] = True
    for episode in range(250):
        columns["image"][:] = rng.integers(0, 256, columns["image"].shape, dtype=np.uint8)
        for filled in (memory, ranked):
            filled.append(Chunk("s", 0, 0, episode, 0, 0, 1, columns, end_of_episode=True))
    errors = rng.random(BATCH).astype(np.float32)
    image = memory._columns["image"]

    def fresh_pictures() -> object:
        rows = rng.integers(0, 49_000, BATCH)
        return image[rows], image[rows + 3]

    def pictures_into_buffers() -> object:
        rows = rng.integers(0, 49_000, BATCH)
        np.take(image, rows, axis=0, out=memory._buffers.image.numpy(), mode="clip")
        return np.take(image, rows + 3, axis=0, out=memory._buffers.next_image.numpy(), mode="clip")

    def ranked_draw() -> object:
        batch = ranked.sample()
        return batch.report(errors) if batch.report is not None else None

    candidates: dict[str, Callable[[], object]] = {
        "whole draw": memory.sample,
        "whole draw by priority, priorities reported": ranked_draw,
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
        policy = OnnxPolicy(network, grid)
        arrays = image.numpy(), floats.numpy()
        candidates["advantages only, ONNX Runtime (what actors use)"] = lambda p=policy, a=arrays: p.advantages(*a)
        for name, seconds in best_of_interleaved(candidates, rounds=50).items():
            print(f"actor, {n} cars, 32 quantiles, {name}: {1e6 * seconds / n:.0f} us per car")


class Stopwatch:
    """CPU time per phase, by wrapping the methods that do it; what a method calls is not counted twice."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._inner = 0.0

    def watch(self, owner: Any, method: str, phase: str) -> None:
        """Count the time of one method to a phase."""
        original = getattr(owner, method)

        def timed(*args: Any, **options: Any) -> Any:
            start, outside = time.process_time(), self._inner
            self._inner = 0.0
            try:
                return original(*args, **options)
            finally:
                spent = time.process_time() - start
                self.seconds[phase] += spent - self._inner
                self._inner = outside + spent

        setattr(owner, method, timed)


def bench_run(decisions: int = 3_000) -> None:
    """Decisions per second of a run with the quick preset, worker and learner taking turns on one core."""
    config = TrainConfig.load(["--device", "cpu"], config="config_files/rl/config_quick.yaml")
    spec = iqn_sample_spec((1, 64, 64), 184)
    agent = IQNAgent(config.to_iqn_config(), seed=0)
    memory = IQNMemory(
        spec, 50_000, batch_size=config.training.batch_size, n_steps=config.training.n_steps,
        mini_race=config.mini_race, cut_non_greedy=False, rng=np.random.default_rng(0),
    )  # fmt: skip
    link = InProcessTransport(TURN_STEPS * config.environment.n_envs)
    worker = make_worker(config, link, 0, tracks=load_tracks(config))
    env, watch = worker._env, Stopwatch()
    watch.watch(env._fleet, "step", "physics")  # type: ignore[attr-defined]
    watch.watch(env._fleet, "pictures", "pictures")  # type: ignore[attr-defined]
    watch.watch(env, "step", "books, floats, reward")
    watch.watch(env, "reset", "resets and kept starts")
    watch.watch(memory, "append", "memory, storing")
    watch.watch(memory, "sample", "memory, drawing")
    watch.watch(agent, "train", "updates")
    make_actor = worker._make_actor

    def watched_actor() -> Any:
        actor = make_actor()
        watch.watch(actor, "act_batch", "acting")
        return actor

    worker._make_actor = watched_actor
    weights = Weights.pack(1, agent.actor_tensors())
    link.publish(weights)
    uses = config.memory.min_times_single_memory_is_used
    trained = 0
    while len(memory) < 5_000:  # the first chunks come after 200 rows
        worker.collect(TURN_STEPS)
        for chunk in link.recv_chunks(0.0):
            memory.append(chunk)
    agent.train(memory.sample())
    watch.seconds.clear()
    begun, start = worker.env_steps, time.process_time()
    while worker.env_steps - begun < decisions:
        worker.collect(TURN_STEPS)
        for chunk in link.recv_chunks(0.0):
            memory.append(chunk)
        while trained < uses * (worker.env_steps - begun):
            agent.train(memory.sample())
            trained += config.training.batch_size
    total, played = time.process_time() - start, worker.env_steps - begun
    watch.seconds["rest (chunks, copies)"] = total - sum(watch.seconds.values())
    print(f"run, quick preset, pictures 64x64, {uses:g} uses: {played / total:.0f} decisions per CPU second")
    for phase, seconds in sorted(watch.seconds.items(), key=lambda item: -item[1]):
        print(f"  {phase:26s} {100 * seconds / total:5.1f} %  {1e6 * seconds / played:6.0f} us per decision")
    collecting = total - sum(watch.seconds[p] for p in ("updates", "memory, drawing"))
    print(f"  collecting alone: {played / collecting:.0f} decisions per CPU second")


PARTS = {"learner": bench_learner, "memory": bench_memory, "actor": bench_actor, "run": bench_run}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="all when left out")
    torch.set_num_threads(1)
    for part in parser.parse_args().parts or PARTS:
        PARTS[part]()

"""Physics ticks per second of the simulator: one car and many, threads, a GPU, and the start of a second process.

    python benchmarks/bench_sim.py [--cars 1 64 4096] [--rounds 5] [--map FILE] [--decisions N]

Without ``--map`` the cars drive on a rolling surface of 20 000 triangles; with it on a real map (.Challenge.Gbx or
.Replay.Gbx). Random digital steering at full gas, a new decision every 5 ticks, as an agent makes it. Prints ticks per
CPU second of one thread (best of the rounds), the gain in wall time of two threads that take turns with one, and the
wall time from the start of a process to its first step with compiled kernels. With a CUDA device also its ticks per
second at 65 536 cars, and how far CPU and GPU are apart after 1 000 ticks.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import warp as wp

from trackmaster import gbx
from trackmaster.sim import World
from trackmaster.track import Pose, Track, TriangleMesh

DECISIONS = {1: 2000, 64: 400}
GPU_CARS = 65_536
COMPARED_CARS = 1_024
FIRST_STEP = (
    "from trackmaster.sim import World; from trackmaster.track import Track; "
    "from trackmaster.track.bundled import bundled_challenge; "
    "World(Track.from_challenge(bundled_challenge('first_steps').challenge), 1).step(0.0, 1.0, 0.0)"
)
TICKS_PER_DECISION = 5


def rolling_surface(cells: int = 100, cell_m: float = 8.0) -> SimpleNamespace:
    """Return a track of ``2 * cells ** 2`` triangles with gentle hills."""
    edge = (np.arange(cells + 1) - cells / 2) * cell_m
    x, z = np.meshgrid(edge, edge, indexing="ij")
    y = 1.5 * np.sin(x / 40) * np.cos(z / 55)
    corner = np.arange(cells)[:, None] * (cells + 1) + np.arange(cells)
    a, b, c, d = (part.ravel() for part in (corner, corner + 1, corner + cells + 2, corner + cells + 1))
    triangles = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)]).astype(np.int32)
    vertices = np.stack([x.ravel(), y.ravel(), z.ravel()], axis=1).astype(np.float32)
    kind = np.full(len(triangles), 16, np.uint8)
    mesh = TriangleMesh(vertices, triangles, kind, np.zeros_like(kind), np.ones(len(kind), np.bool_))
    return SimpleNamespace(
        name="hills", mesh=mesh, start=Pose(np.array([0.0, 0.5, 0.0]), np.eye(3)), triggers=(), laps=1, n_checkpoints=0
    )


def scatter(world: World, mesh: TriangleMesh, generator: np.random.Generator) -> None:
    """Put the cars on random level spots, at 5 to 40 m/s in random directions."""
    n = world.n_cars
    corners = mesh.vertices[mesh.triangles].astype(np.float64)
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(cross, axis=1)
    area[(cross[:, 1] < 0.9 * area) | ~mesh.collidable] = 0.0
    spots = corners[generator.choice(len(area), n, p=area / area.sum())].mean(axis=1) + np.array([0.0, 0.3, 0.0])
    yaw = generator.uniform(-np.pi, np.pi, n)
    rotation = np.zeros((n, 3, 3))
    rotation[:, 0, 0] = rotation[:, 2, 2] = np.cos(yaw)
    rotation[:, 0, 2], rotation[:, 2, 0] = np.sin(yaw), -np.sin(yaw)
    rotation[:, 1, 1] = 1.0
    world.place(None, spots, rotation, rotation[:, :, 2] * generator.uniform(5, 40, (n, 1)))


def inputs_of(cars: int, decisions: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return random steering (decisions, cars) and constant gas and brake (cars,)."""
    steer = np.random.default_rng(1).integers(-1, 2, (decisions, cars)).astype(np.float32)
    return steer, np.ones(cars, np.float32), np.zeros(cars, np.float32)


def measure(worlds: list[World], mesh: TriangleMesh, rounds: int, decisions: int) -> list[tuple[float, float]]:
    """Return ticks per CPU second and per wall second of the best round of each world; they take turns."""
    cars = worlds[0].n_cars
    scatter(worlds[0], mesh, np.random.default_rng(0))
    start = worlds[0].snapshot()
    steer, gas, brake = inputs_of(cars, decisions)
    best = [(float("inf"), float("inf"))] * len(worlds)
    for _ in range(rounds):
        for k, world in enumerate(worlds):
            world.restore(start)
            wp.synchronize()
            cpu, wall = time.process_time(), time.perf_counter()
            for row in steer:
                world.step(row, gas, brake, TICKS_PER_DECISION)
            wp.synchronize()
            took = time.process_time() - cpu, time.perf_counter() - wall
            best[k] = min(best[k][0], took[0]), min(best[k][1], took[1])
    ticks = decisions * TICKS_PER_DECISION * cars
    return [(ticks / cpu, ticks / wall) for cpu, wall in best]


def bench_cpu(track: SimpleNamespace | Track, cars: list[int], rounds: int, decisions: int | None) -> None:
    """Print ticks per CPU second by batch size, and what a second thread brings at the largest."""
    print("   cars   ticks / CPU s   per car, against one car")
    single = None
    for n in cars:
        world = World(track, n)
        ((cpu, _),) = measure([world], track.mesh, rounds, decisions or DECISIONS.get(n, max(20, 160_000 // n)))
        single = single or cpu
        print(f"{n:7d} {cpu:15,.0f} {cpu / single:15.2f}x")
    pair = [World(track, max(cars), threads=threads) for threads in (1, 2)]
    one, two = measure(pair, track.mesh, rounds, decisions or 20)
    print(f"two threads, {max(cars)} cars: {two[1] / one[1]:.2f} x the ticks per second of wall time of one thread")
    for world in pair:
        world.close()


def bench_gpu(track: SimpleNamespace | Track, rounds: int, decisions: int | None) -> None:
    """Print ticks per second of a CUDA device, and the distance of its cars from the CPU's after 1 000 ticks."""
    if not wp.is_cuda_available():
        print("no CUDA device here")
        return
    ((_, wall),) = measure([World(track, GPU_CARS, device="cuda:0")], track.mesh, rounds, decisions or 100)
    print(f"{wp.get_device('cuda:0').name}: {wall:,.0f} ticks/s at {GPU_CARS} cars")
    worlds = [World(track, COMPARED_CARS, device=device) for device in ("cpu", "cuda:0")]
    measure(worlds, track.mesh, 1, 1_000 // TICKS_PER_DECISION)
    ours, theirs = (world.view.position_m for world in worlds)
    apart = np.linalg.norm(ours - theirs, axis=1)
    print(
        f"CPU and GPU after 1 000 ticks, {COMPARED_CARS} cars: {np.mean(apart == 0):.1%} in the same place to the bit, "
        f"apart by {np.median(apart):.3g} m (median), {apart.max():.3g} m (most)"
    )


def bench_start() -> None:
    """Print the time of a process that imports the simulator and makes one step; the first one may compile."""
    took = []
    for _ in range(3):
        cpu, wall = children_cpu_s(), time.perf_counter()
        subprocess.run([sys.executable, "-c", FIRST_STEP], check=True)
        took.append((time.perf_counter() - wall, children_cpu_s() - cpu))
    wall, cpu = min(took[1:])
    print(f"second process, start to first step (and its end): {wall:.2f} s, of these {cpu:.2f} s CPU time")


def children_cpu_s() -> float:
    """Return the CPU time of all child processes that have ended."""
    times = os.times()
    return times.children_user + times.children_system


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cars", type=int, nargs="+", default=[1, 64, 4096])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--decisions", type=int)
    parser.add_argument("--map", type=Path)
    args = parser.parse_args()
    track: SimpleNamespace | Track = rolling_surface()
    if args.map:
        content = gbx.read(args.map)
        challenge = content if isinstance(content, gbx.Challenge) else content.challenge
        track = Track.from_challenge(challenge, allow_unknown=True)
    print(f"{track.name}: {track.mesh.n_triangles} triangles")
    bench_cpu(track, args.cars, args.rounds, args.decisions)
    bench_gpu(track, args.rounds, args.decisions)
    bench_start()


if __name__ == "__main__":
    main()

"""Physics ticks per second of the simulator, and what a batch saves over single cars.

    python benchmarks/bench_sim.py [--cars 1 64 4096] [--rounds 5] [--map FILE] [--threads 1]

Without ``--map`` the cars drive on a rolling surface of 20 000 triangles; with it on a real map (.Challenge.Gbx or
.Replay.Gbx). Random digital steering at full gas, a new decision every 5 ticks, as an agent makes it. Prints ticks per
CPU second (best of the rounds); the wall-clock column is what several threads improve.
"""

import argparse
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from trackmaster import gbx
from trackmaster.sim import World
from trackmaster.track import Pose, Track, TriangleMesh

DECISIONS = {1: 2000, 64: 400}
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


def measure(track: SimpleNamespace | Track, cars: int, rounds: int, threads: int) -> tuple[float, float]:
    """Return ticks per CPU second and per wall second of the best round."""
    generator = np.random.default_rng(0)
    world = World(track, cars, threads=threads)
    scatter(world, track.mesh, generator)
    start = world.snapshot()
    decisions = DECISIONS.get(cars, max(20, 160_000 // cars))
    steer = generator.integers(-1, 2, (decisions, cars)).astype(np.float32)
    gas, brake = np.ones(cars, np.float32), np.zeros(cars, np.float32)
    best_cpu = best_wall = float("inf")
    for _ in range(rounds):
        world.restore(start)
        cpu, wall = time.process_time(), time.perf_counter()
        for row in steer:
            world.step(row, gas, brake, TICKS_PER_DECISION)
        best_cpu = min(best_cpu, time.process_time() - cpu)
        best_wall = min(best_wall, time.perf_counter() - wall)
    world.close()
    ticks = decisions * TICKS_PER_DECISION * cars
    return ticks / best_cpu, ticks / best_wall


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cars", type=int, nargs="+", default=[1, 64, 4096])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--map", type=Path)
    args = parser.parse_args()
    track: SimpleNamespace | Track = rolling_surface()
    if args.map:
        content = gbx.read(args.map)
        challenge = content if isinstance(content, gbx.Challenge) else content.challenge
        track = Track.from_challenge(challenge, allow_unknown=True)
    print(f"{track.name}: {track.mesh.n_triangles} triangles, {args.threads} thread(s)")
    print("   cars   ticks / CPU s   ticks / wall s   per car, against one car")
    single = None
    for cars in args.cars:
        cpu, wall = measure(track, cars, args.rounds, args.threads)
        single = single or cpu
        print(f"{cars:7d} {cpu:15,.0f} {wall:16,.0f} {cpu / single:15.2f}x")


if __name__ == "__main__":
    main()

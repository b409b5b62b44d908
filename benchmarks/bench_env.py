"""Decisions per second of the racing environments on one core, with and without pictures, and of capture.

    python benchmarks/bench_env.py [--cars 1 16 64] [--decisions 3000] [--rounds 3]

One decision is 50 ms of race: five physics ticks, a 64 x 64 picture, 184 floats, reward and bookkeeping. The vector
environment is compared, in the same run and turn by turn, with single environments that are stepped one after another,
and where Gymnasium's Box2D environments are installed (pip install "gymnasium[box2d]") with CarRacing-v3.
CPU time of this process, best of the rounds; capture writes its files, so its wall time is shown as well.
"""

import argparse
import dataclasses
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import gymnasium as gym
import numpy as np

from trackmaster import gbx
from trackmaster.capture import CaptureConfig, capture
from trackmaster.env import EnvConfig, RacingEnv, RacingVectorEnv
from trackmaster.game import SimulatorGame, record_ghost
from trackmaster.gbx import Challenge, InputTimeline
from trackmaster.track import Track, line_from_path
from trackmaster.track.layout import RoadLayout


def long_straight() -> Track:
    """Return a road of 21 cells, which full gas drives in about 13 seconds."""
    road = RoadLayout(10, 1, 3, 0).straights(10).add("StadiumRoadMainCheckpoint").straights(9)
    road.add("StadiumRoadMainFinishLine").straights(4)
    track = Track.from_challenge(Challenge(uid="bench", name="Bench", blocks=tuple(road.blocks)))
    return dataclasses.replace(track, reference_line=line_from_path(track.centre_line(), map_uid=track.uid))


def cpu_s(run: Callable[[], None]) -> float:
    """Return the CPU time of one call."""
    start = time.process_time()
    run()
    return time.process_time() - start


def drive_vector(env: RacingVectorEnv, steps: int) -> None:
    """Drive all cars with full gas and little steering; ended episodes begin again."""
    rng = np.random.default_rng(0)
    for _ in range(steps):
        _, _, terminated, truncated, _ = env.step(rng.choice([0, 0, 0, 1, 2], env.num_envs))
        over = terminated | truncated
        if over.any():
            env.reset(options={"reset_mask": over})


def drive_analog(env: RacingVectorEnv, steps: int) -> None:
    """The same with analog actions."""
    rng = np.random.default_rng(0)
    actions = np.tile(np.float32([1.0, -1.0, 0.0]), (env.num_envs, 1))
    for _ in range(steps):
        actions[:, 2] = rng.uniform(-0.3, 0.3, env.num_envs)
        _, _, terminated, truncated, _ = env.step(actions)
        over = terminated | truncated
        if over.any():
            env.reset(options={"reset_mask": over})


def bench_float_sets(track: Track, cars: list[int], decisions: int, rounds: int) -> None:
    """Print decisions per CPU second of continuous agents that see no pictures."""
    for n in cars:
        steps = max(20, decisions // n)
        sets = ("telemetry", "lidar", "state")
        fleets = [RacingVectorEnv(track, n, EnvConfig(images=False, actions="analog", floats=name)) for name in sets]
        for fleet in fleets:
            fleet.reset()
        best = [float("inf")] * len(fleets)
        for _ in range(rounds):
            best = [
                min(least, cpu_s(partial(drive_analog, fleet, steps)))
                for least, fleet in zip(best, fleets, strict=True)
            ]
        rates = ", ".join(f"{name} {n * steps / least:.0f}" for name, least in zip(sets, best, strict=True))
        print(f"{n:5d} cars, analog actions, no pictures: decisions per CPU second: {rates}")


def drive_single(env: RacingEnv, steps: int) -> None:
    """Drive one car in the same way."""
    rng = np.random.default_rng(0)
    for _ in range(steps):
        _, _, terminated, truncated, _ = env.step(int(rng.choice([0, 0, 0, 1, 2])))
        if terminated or truncated:
            env.reset()


def bench_environments(track: Track, cars: list[int], decisions: int, rounds: int) -> None:
    """Print decisions per CPU second."""
    for images in (True, False):
        config = EnvConfig(images=images)
        single = RacingEnv(track, config)
        single.reset()
        fleets = [RacingVectorEnv(track, n, config) for n in cars]
        for fleet in fleets:
            fleet.reset()
        best = [float("inf")] * (len(fleets) + 1)
        steps = [decisions // 4, *(max(20, decisions // n) for n in cars)]
        runs: list[Callable[[], None]] = [partial(drive_single, single, steps[0])]
        runs += [partial(drive_vector, fleet, step) for fleet, step in zip(fleets, steps[1:], strict=True)]
        for _ in range(rounds):
            best = [min(least, cpu_s(run)) for least, run in zip(best, runs, strict=True)]
        alone = steps[0] / best[0]
        print(f"{'with 64x64 pictures' if images else 'without pictures'}:")
        print(f"  single environment {alone:9.0f} decisions/s")
        for n, step, least in zip(cars, steps[1:], best[1:], strict=True):
            rate = step * n / least
            print(f"  vector, {n:4d} cars  {rate:9.0f} decisions/s, {rate / alone:5.1f} x the single environment")


def drive_yardstick(env: gym.Env, steps: int) -> None:
    """Drive CarRacing-v3 at random: one step is one 96 x 96 picture, too."""
    rng = np.random.default_rng(0)
    for _ in range(steps):
        _, _, terminated, truncated, _ = env.step(rng.uniform([-1, 0, 0], [1, 1, 0.1]).astype(np.float32))
        if terminated or truncated:
            env.reset(seed=0)


def bench_yardstick(track: Track, rounds: int) -> None:
    """Print steps with pictures per CPU second of CarRacing-v3 beside our vector environment."""
    try:
        yardstick = gym.make("CarRacing-v3")
        yardstick.reset(seed=0)
    except gym.error.DependencyNotInstalled as error:
        print(f"CarRacing-v3: {error}")
        return
    fleet = RacingVectorEnv(track, 64, EnvConfig(images=True))
    fleet.reset()
    theirs, ours = 300, 50
    best = [float("inf")] * 2
    for _ in range(rounds):
        runs = (partial(drive_yardstick, yardstick, theirs), partial(drive_vector, fleet, ours))
        best = [min(least, cpu_s(run)) for least, run in zip(best, runs, strict=True)]
    rates = theirs / best[0], ours * 64 / best[1]
    print(f"CarRacing-v3 {rates[0]:.0f} steps/s; vector, 64 cars {rates[1]:.0f} steps/s, {rates[1] / rates[0]:.0f} x")


def bench_capture(track: Track) -> None:
    """Print verified frames per second of both modes."""
    ghost = record_ghost(SimulatorGame(watched=False), track, InputTimeline.from_keys(np.full(2_000, 1, np.uint8)))
    content = gbx.write_replay(gbx.write_challenge(track.challenge), ghost)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "replays" / "1").mkdir(parents=True)
        (folder / "replays" / "1" / "warm.replay.gbx").write_bytes(content)
        for size in (64, 256):
            for mode in ("ghost", "drive"):
                config = CaptureConfig(
                    replays_dir=folder / "replays", output_dir=folder / f"{mode}{size}", vcp_dir=folder / "vcp",
                    width=size, height=size, fps=100, mode=mode, use_tqdm=False,
                )  # fmt: skip
                start = time.process_time()
                summary = capture(config)
                used = time.process_time() - start
                print(
                    f"capture {mode:5s} {size}x{size}, 100 fps: {summary.frames / used:6.0f} frames per CPU second, "
                    f"{summary.frames / summary.wall_s:6.0f} per second of wall time"
                )


def main() -> None:
    """Run all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cars", nargs="+", type=int, default=[1, 16, 64])
    parser.add_argument("--decisions", type=int, default=3_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    track = long_straight()
    bench_environments(track, arguments.cars, arguments.decisions, arguments.rounds)
    bench_float_sets(track, arguments.cars, arguments.decisions, arguments.rounds)
    bench_yardstick(track, arguments.rounds)
    bench_capture(track)


if __name__ == "__main__":
    main()

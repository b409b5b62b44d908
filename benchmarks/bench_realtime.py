"""How evenly a real-time environment ticks while its samples are sent, at 20 Hz and at 100 Hz.

    python benchmarks/bench_realtime.py [--seconds 20] [--security TLS|none] [--rates 20 100] [--rtgym]

The environment runs in this process with a full observation (four grey pictures of 64 x 64, 16 KB) and an agent that
takes 1 ms; every second its rows go as a chunk through the outbox, over a WebSocket to a relay, and from there to a
trainer that unpacks them: both in another process. Shown is the distance in time between two captures: what an agent
feels. The same is measured without sending, and with --rtgym for rtgym's own environment (which sends nothing).
Wall time; a machine that is busy with something else shows in the largest values.
"""

import argparse
import contextlib
import multiprocessing
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from trackmaster.distributed.link.trainer_end import WebSocketTrainerEnd
from trackmaster.distributed.link.worker_end import WebSocketWorkerEnd
from trackmaster.distributed.relay.server import RelayOptions, RelayServer
from trackmaster.distributed.wire import link_spec
from trackmaster.env.realtime.clock import RealClock
from trackmaster.env.realtime.config import realtime_config
from trackmaster.env.realtime.environment import RealTimeEnv
from trackmaster.rl.samples.chunk import Chunk, ColumnSpec

SPEC = {
    "image": ColumnSpec((4, 64, 64), "|u1"),
    "floats": ColumnSpec((15,), "<f4"),
    "action": ColumnSpec((3,), "<f4"),
    "reward": ColumnSpec((), "<f4"),
}
THINKING_S = 0.001


class Camera:
    """An interface that notes when it was asked, and shows a picture of noise."""

    def __init__(self) -> None:
        self.captured_s: list[float] = []
        self._picture = np.random.default_rng(0).integers(0, 256, (4, 64, 64)).astype(np.uint8)

    def get_observation_space(self) -> gym.spaces.Tuple:
        """Four pictures."""
        return gym.spaces.Tuple((gym.spaces.Box(0, 255, (4, 64, 64), np.uint8),))

    def get_action_space(self) -> gym.spaces.Box:
        """Gas, brake, steer."""
        return gym.spaces.Box(-1, 1, (3,), np.float32)

    def get_default_action(self) -> np.ndarray:
        """Nothing."""
        return np.zeros(3, dtype=np.float32)

    def send_control(self, control: Any) -> None:
        """Drive nothing."""

    def reset(self, seed: Any = None, options: Any = None) -> tuple[list[np.ndarray], dict[str, Any]]:
        """Show the first picture."""
        del seed, options
        return [self._picture.copy()], {}

    def get_obs_rew_terminated_info(self) -> tuple[list[np.ndarray], float, bool, dict[str, Any]]:
        """Note the time."""
        self.captured_s.append(time.perf_counter())
        return [self._picture.copy()], 0.0, False, {}

    def wait(self) -> None:
        """Pause nothing."""


def think() -> None:
    """Keep the interpreter busy as an actor does."""
    until = time.perf_counter() + THINKING_S
    while time.perf_counter() < until:
        pass


def serve(pipe: Connection, security: str | None, folder: str) -> None:
    """Relay and trainer; ends when the pipe does."""
    options = RelayOptions(security=security, host="127.0.0.1", port=0, keys=Path(folder) / "keys")
    described = link_spec.describe(SPEC)
    with RelayServer(options, say=lambda _: None) as relay:
        trainer = WebSocketTrainerEnd(relay.address("trainer"), SPEC, spec=described, say=lambda _: None)
        pipe.send(relay.address("worker"))
        rows = 0
        while not pipe.poll():
            rows += sum(len(chunk) for chunk in trainer.recv_chunks(0.2))
        pipe.send(rows)
        trainer.close()


@contextlib.contextmanager
def server(security: str | None) -> Iterator[tuple[Any, Connection]]:
    """Yield the worker's address and the pipe to the process that serves it."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    with tempfile.TemporaryDirectory() as folder:
        process = context.Process(target=serve, args=(theirs, security, folder), daemon=True)
        process.start()
        yield ours.recv(), ours
        process.join(10)


def drive(env: Any, steps: int, every: int, send: Any = None) -> list[float]:
    """Drive, gathering rows and sending them every so many steps; return when observations were captured."""
    observation, _ = env.reset()
    interface = env.unwrapped.interface
    rows = {name: np.zeros((every, *column.shape), column.dtype) for name, column in SPEC.items()}
    for step in range(steps):
        think()
        observation, *_ = env.step(np.zeros(3, dtype=np.float32))
        rows["image"][step % every] = observation[0]
        if send is not None and (step + 1) % every == 0:
            send(step // every, rows)
            rows = {name: np.zeros_like(column) for name, column in rows.items()}
    return list(interface.captured_s)


def report(name: str, rate: float, captured_s: list[float], late: int) -> None:
    """Print how far the distances between captures are from the nominal one."""
    gaps_ms = 1_000 * np.diff(captured_s[3:])
    nominal_ms = 1_000 / rate
    low, high = np.percentile(gaps_ms, [1, 99])
    worst = max(nominal_ms - low, high - nominal_ms)
    print(
        f"{rate:5.0f} Hz  {name:34s} std {gaps_ms.std():6.3f}  p1 {low:7.2f}  p99 {high:7.2f}  "
        f"max {gaps_ms.max():7.2f} ms  p99 off by {worst:5.2f} ms  time-outs {late}",
        flush=True,
    )


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rates", type=float, nargs="+", default=[20.0, 100.0])
    parser.add_argument("--security", choices=("TLS", "none"), default="TLS")
    parser.add_argument("--rtgym", action="store_true")
    flags = parser.parse_args()
    security = None if flags.security == "none" else flags.security
    for rate in flags.rates:
        steps, step_s = int(flags.seconds * rate), 1.0 / rate
        config = realtime_config(
            Camera, time_step_duration=step_s, start_obs_capture=0.8 * step_s, ep_max_length=float("inf")
        )
        quiet = RealTimeEnv(config, clock=RealClock())
        report("ours, nothing sent", rate, drive(quiet, steps, int(rate)), quiet.time_outs)
        quiet.close()
        with server(security) as (address, pipe):
            end = WebSocketWorkerEnd(address, spec=link_spec.describe(SPEC), on_full="drop", say=lambda _: None)

            def send(number: int, rows: dict[str, Any], end: WebSocketWorkerEnd = end) -> None:
                end.send_chunk(
                    Chunk("", number, 0, 0, 0, 0, 0, rows, end_of_episode=False, n_steps=len(rows["reward"]))
                )

            env = RealTimeEnv(config, clock=RealClock())
            captured = drive(env, steps, int(rate), send)
            report(f"ours, sending over {flags.security}", rate, captured, env.time_outs)
            env.close()
            pipe.send(None)
            received = pipe.recv()
            print(f"          {received} of {steps // int(rate) * int(rate)} rows had arrived at the trainer")
            end.close()
        if flags.rtgym:
            import rtgym

            theirs = gym.make("real-time-gym-ts-v1", config=config, disable_env_checker=True)
            captured_s = drive_rtgym(theirs, steps)
            report(f"rtgym {getattr(rtgym, '__version__', '')}, nothing sent", rate, captured_s, 0)


def drive_rtgym(env: Any, steps: int) -> list[float]:
    """The same for rtgym, whose interface lives in its thread under a private name."""
    env.reset()
    for _ in range(steps):
        think()
        env.step(np.zeros(3, dtype=np.float32))
    interface = vars(env.unwrapped)["_RealTimeEnvTS__interface"]
    return list(interface.captured_s)


if __name__ == "__main__":
    main()

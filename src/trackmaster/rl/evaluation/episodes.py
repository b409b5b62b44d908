"""Judging an actor by deterministic episodes: greedy, fixed quantile grid, weights frozen, a fixed set of starts.

On the simulator equal starts give equal runs, so the attempts differ by their start alone; attempt 0 is undisturbed
and gives the official time.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from trackmaster.rl.actor import ActorModule, Observation
from trackmaster.rl.carried import CarriedState

Z_95 = 1.959963984540054
LOOK_EVERY = 10
"""Decisions between two looks at what the actor expects of attempt 0: at every one they would slow the evaluation."""


class VectorEnvironment(Protocol):
    """What evaluation and workers need of an environment: N cars, ended ones stand until they are reset."""

    num_envs: int

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, Mapping[str, NDArray[Any]]]:
        """Begin the episodes that ``options["reset_mask"]`` names, or all."""
        ...

    def step(
        self, actions: NDArray[Any]
    ) -> tuple[Observation, NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_], Mapping[str, NDArray[Any]]]:
        """Drive one decision with every car."""
        ...

    def close(self) -> None:
        """Let go of the simulator."""
        ...


def wilson_interval(successes: int, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a share from so many of ``n`` independent tries; it has a width at 0 and 1, too.

    Source: Wilson 1927, doi:10.1080/01621459.1927.10502953.
    """
    p = successes / n
    centre, half = p + Z_95**2 / (2 * n), Z_95 * math.sqrt(p * (1 - p) / n + Z_95**2 / (4 * n * n))
    scale = 1 + Z_95**2 / n
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)


@dataclass(frozen=True)
class Evaluation:
    """Outcome of a set of attempts."""

    race_time_ms: tuple[int | None, ...]
    """Per attempt, None where the car did not finish; number 0 is the undisturbed start."""
    progress_m: tuple[float, ...]
    """Metres along the line per attempt."""
    returns: tuple[float, ...]
    told: tuple[tuple[str, float], ...] = ()
    """Name and number of what else is known of attempt 0: how far it came, what the actor expected."""

    @property
    def n(self) -> int:
        """Number of attempts."""
        return len(self.race_time_ms)

    @property
    def finished_ms(self) -> list[int]:
        """Race times of the attempts that finished, sorted."""
        return sorted(t for t in self.race_time_ms if t is not None)

    @property
    def finish_rate(self) -> float:
        """Share of attempts that finished."""
        return len(self.finished_ms) / self.n

    @property
    def best_ms(self) -> int | None:
        """Smallest race time, None if none finished."""
        return self.finished_ms[0] if self.finished_ms else None

    @property
    def median_ms(self) -> float | None:
        """Median race time of the finished attempts, None if none finished."""
        return float(np.median(self.finished_ms)) if self.finished_ms else None

    @property
    def mean_progress_m(self) -> float:
        """Mean metres along the line over all attempts."""
        return float(np.mean(self.progress_m))

    def wilson_interval(self) -> tuple[float, float]:
        """Return the 95 % interval of the finish rate."""
        return wilson_interval(len(self.finished_ms), self.n)

    def rank(self) -> tuple[float, float, float]:
        """Return a key by which the better evaluation is larger: finish rate, then median time, then progress."""
        return self.finish_rate, -(self.median_ms or math.inf), self.mean_progress_m

    def metrics(self, track: str) -> dict[str, float]:
        """Return the numbers under their TensorBoard tags; times in seconds, left out where nothing finished."""
        low, high = self.wilson_interval()
        values = {
            f"Eval/finish_rate_{track}": self.finish_rate,
            f"Eval/finish_rate_low_{track}": low,
            f"Eval/finish_rate_high_{track}": high,
            f"Eval/progress_m_{track}": self.mean_progress_m,
            f"Eval/return_{track}": float(np.mean(self.returns)),
            f"Eval/n_{track}": float(self.n),
        }
        for name, time_ms in (("median", self.median_ms), ("best", self.best_ms), ("official", self.race_time_ms[0])):
            if time_ms is not None:
                values[f"Eval/{name}_{track}"] = time_ms / 1000
        return values | {f"RL/{name}_{track}": value for name, value in self.told}


class Expectation:
    """What an actor with values of actions expects along one drive, under Linesight's names."""

    def __init__(self) -> None:
        self._values: list[NDArray[np.float32]] = []

    def look(self, actor: ActorModule, observation: Observation) -> None:
        """Ask for the first car; an actor without values is asked in vain."""
        values = actor.q_values({name: array[:1] for name, array in observation.items()})
        if values is not None:
            self._values.append(values[0])

    def numbers(self) -> list[tuple[str, float]]:
        """Return names and numbers; none without values."""
        if not self._values:
            return []
        values = np.stack(self._values).astype(np.float64)
        best = values.max(axis=1)
        return [
            ("avg_Q_trained", float(best.mean())),
            ("mean_action_gap", float((best[:, None] - values).mean())),
            ("q_value_0_starting_frame", float(values[0, 0])),
        ]


def evaluate(
    actor: ActorModule, env: VectorEnvironment, n: int | None = None, *, starts: Sequence[object] | None = None
) -> Evaluation:
    """Drive deterministic episodes and tell how they ended.

    Args:
        actor: acts greedily.
        env: as many cars as attempts run side by side; ended episodes must stand until they are reset.
        n: attempts, at least 1; one per car when left out.
        starts: one start per attempt (``trackmaster.env.evaluation_starts``); the environment's own when left out.
    """
    wanted = env.num_envs if n is None else n
    parts: list[Evaluation] = []
    for begin in range(0, wanted, env.num_envs):
        chosen = list(starts[begin : begin + env.num_envs]) if starts is not None else None
        used = min(env.num_envs, wanted - begin)
        if chosen is not None and len(chosen) < env.num_envs:
            chosen += [chosen[-1]] * (env.num_envs - len(chosen))  # idle cars; their outcome is dropped below
        parts.append(_one_round(actor, env, used, chosen))
    return Evaluation(
        tuple(t for part in parts for t in part.race_time_ms),
        tuple(p for part in parts for p in part.progress_m),
        tuple(r for part in parts for r in part.returns),
        parts[0].told,
    )


def _one_round(actor: ActorModule, env: VectorEnvironment, used: int, starts: list[object] | None) -> Evaluation:
    observation, info = env.reset(options={} if starts is None else {"start": starts})
    over = np.arange(env.num_envs) >= used
    returns = np.zeros(env.num_envs)
    test = np.ones(env.num_envs, dtype=bool)
    progress = np.zeros(env.num_envs)
    race_time = np.full(env.num_envs, -1, dtype=np.int64)
    carried, expected, zone, step = CarriedState(), Expectation(), 0, 0
    while not over.all():
        if not over[0] and step % LOOK_EVERY == 0:
            expected.look(actor, observation)
        action, told = actor.act_batch(carried.join(observation), test)
        carried.keep(told)
        observation, reward, terminated, truncated, info = env.step(action)
        returns += np.where(over, 0.0, reward)
        progress = np.where(over, progress, info["progress_m"])
        race_time = np.where(over, race_time, np.where(info["finished"], info["race_time_ms"], -1))
        zone = zone if over[0] or "zone_idx" not in info else int(info["zone_idx"][0])
        step += 1
        over = over | terminated | truncated
    reached = (("single_zone_reached_trained", float(zone)),) if "zone_idx" in info else ()
    return Evaluation(
        tuple(int(t) if t >= 0 else None for t in race_time[:used]),
        tuple(float(p) for p in progress[:used]),
        tuple(float(r) for r in returns[:used]),
        (*reached, *expected.numbers()),
    )

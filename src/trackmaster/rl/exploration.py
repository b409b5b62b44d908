"""Choosing actions from expected returns while exploring."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trackmaster.errors import TrackmasterError


class ActingError(TrackmasterError):
    """There is no best action; the text says what was estimated."""


@dataclass(frozen=True)
class ExplorationRates:
    """How often an exploring car strays; numbers of one moment of the schedules."""

    epsilon: float = 0.0
    """Share of uniformly random actions."""
    epsilon_boltzmann: float = 0.0
    """Share of actions that are the best after noise on the returns."""
    tau_boltzmann: float = 0.01
    """Standard deviation of that noise, in reward units."""


def choose_actions(
    q: NDArray[np.float32],
    rates: ExplorationRates,
    exploring: NDArray[np.bool_],
    rng: np.random.Generator,
    *,
    exponent: NDArray[np.float64] | None = None,
    random_weights: NDArray[np.float64] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return actions and whether each of them is the greedy one.

    Args:
        q: (N, A) expected returns.
        rates: exploration of this moment.
        exploring: (N,) False where the car must act greedily.
        rng: source of the draws; the same number is drawn whatever the rates are.
        exponent: (N,) power of ``epsilon`` per car, so that cars of one batch stray more or less; 1 when left out.
        random_weights: (A,) relative weights of the random actions; equal when left out.

    Raises:
        ActingError: a return is not finite, so that no action is the best one.
    """
    n, n_actions = q.shape
    if not np.isfinite(q).all():
        car, action = np.argwhere(~np.isfinite(q))[0].tolist()
        raise ActingError(
            f"The network expects a return of {q[car, action]} from action {action} of car {car}: its weights or its "
            "inputs are broken. Go on from an older snapshot, or lower the learning rate."
        )
    greedy = q.argmax(axis=1)
    draw, noise = rng.random(n), rng.standard_normal(q.shape)
    weights = np.ones(n_actions) if random_weights is None else random_weights
    random_action = np.searchsorted(np.cumsum(weights)[:-1] / weights.sum(), rng.random(n), side="right")
    epsilon = np.full(n, rates.epsilon) if exponent is None else rates.epsilon**exponent
    noisy = (q + rates.tau_boltzmann * noise).argmax(axis=1)
    action = np.where(draw < epsilon, random_action, np.where(draw < epsilon + rates.epsilon_boltzmann, noisy, greedy))
    action = np.where(exploring, action, greedy)
    return action, action == greedy

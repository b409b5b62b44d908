"""From single-step rows to the transition an agent learns from: mini-race clock, n-step window, potential shaping.

Pure functions of arrays. All of this happens when a batch is drawn, so the memory keeps plain rows and every draw of
the same row may get another clock.

Source: the mini-race ("clipped horizon") and the shaping are those of Linesight.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trackmaster.errors import ConfigError


@dataclass(frozen=True)
class MiniRace:
    """The bounded window in which rewards are summed; its clock is drawn per sample.

    With the defaults P(0) = 11/180, each of 1...30 has 2/180 and each of 31...139 has 1/180.

    Raises:
        ConfigError: the clock could reach the end of the window, where no transition is left.
    """

    horizon_actions: int = 140
    """Length of the window in decisions."""
    oversample_long_term_steps: int = 40
    oversample_maximum_term_steps: int = 5

    def __post_init__(self) -> None:
        if min(self.oversample_long_term_steps, self.oversample_maximum_term_steps) < 0:
            raise ConfigError(
                f"oversample_long_term_steps is {self.oversample_long_term_steps} and oversample_maximum_term_steps "
                f"{self.oversample_maximum_term_steps}: neither may be negative."
            )
        if self.horizon_actions <= self.largest_clock:
            raise ConfigError(
                f"The mini-race is {self.horizon_actions} decisions long, but its clock is drawn up to "
                f"{self.largest_clock}: raise environment.temporal_mini_race_duration_ms to at least "
                f"{self.largest_clock + 1} decisions, or lower training.oversample_long_term_steps (now "
                f"{self.oversample_long_term_steps})."
            )

    @property
    def largest_clock(self) -> int:
        """The most decisions that can be drawn as elapsed."""
        folded = self.oversample_long_term_steps - 2 * self.oversample_maximum_term_steps
        return max(0, folded, self.horizon_actions - 1)

    def draw_clock(self, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Return (n,) clocks in decisions already elapsed: 0 means the full window lies ahead."""
        low = self.oversample_maximum_term_steps - self.oversample_long_term_steps
        high = self.horizon_actions + self.oversample_maximum_term_steps
        clock: NDArray[np.int64] = np.maximum(
            0, np.abs(rng.integers(low, high, n)) - self.oversample_maximum_term_steps
        )
        return clock


@dataclass(frozen=True)
class Window:
    """Where each drawn transition ends and what it is worth."""

    steps: NDArray[np.int64]
    """(B,) decisions from the state to the next state, at least 1."""
    reward: NDArray[np.float32]
    """(B,) discounted sum of the rewards in between, shaping included."""
    gamma: NDArray[np.float32]
    """(B,) factor of the next state's value; 0 where the transition is terminal."""
    terminal: NDArray[np.bool_]
    """(B,) the finish or the end of the mini-race lies inside."""


def window_steps(
    terminated: NDArray[np.bool_],
    greedy: NDArray[np.bool_],
    available: NDArray[np.integer],
    clock: NDArray[np.integer],
    *,
    horizon_actions: int,
    cut_non_greedy: bool,
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the length of each n-step window and whether it is terminal.

    A window ends at the finish, before the first later action that was not greedy, where the recorded rows end, and
    where the mini-race ends. A run that was cut off by a limit is not terminal.

    Args:
        terminated: (B, n) whether the state after decision k of the window is the finish.
        greedy: (B, n) whether decision k was the greedy one; column 0 is not looked at.
        available: (B,) recorded rows after the first one, at least 1.
        clock: (B,) decisions of the mini-race already elapsed.
        horizon_actions: length of the mini-race.
        cut_non_greedy: end windows before exploratory actions.

    Raises:
        ValueError: a row has no row after it, or its clock stands at the end of the mini-race.
    """
    n = terminated.shape[1]
    steps = np.minimum(available.astype(np.int64), n)
    if cut_non_greedy and n > 1:
        stray = ~greedy[:, 1:]
        steps = np.where(stray.any(axis=1), np.minimum(steps, stray.argmax(axis=1) + 1), steps)
    steps = np.minimum(steps, horizon_actions - clock)
    to_finish = np.where(terminated.any(axis=1), terminated.argmax(axis=1) + 1, np.iinfo(np.int64).max)
    steps = np.minimum(steps, to_finish)
    if len(steps) and steps.min() < 1:
        raise ValueError(f"a window of {steps.min()} decisions: no row follows or the clock is past {horizon_actions}")
    return steps, (steps >= to_finish) | (clock + steps >= horizon_actions)


def n_step_return(
    rewards: NDArray[np.float32],
    steps: NDArray[np.int64],
    terminal: NDArray[np.bool_],
    potential: NDArray[np.float32],
    next_potential: NDArray[np.float32],
    *,
    gamma: float,
) -> Window:
    """Return discounted reward with potential shaping and the factor of the bootstrap.

    Args:
        rewards: (B, n) reward of decision k of the window; entries after ``steps`` are ignored.
        steps: (B,) window lengths.
        terminal: (B,) the value of the next state does not count.
        potential: (B,) potential of the state.
        next_potential: (B,) potential of the next state; does not count where terminal.
        gamma: discount per decision, may be 1.
    """
    powers = (gamma ** np.arange(rewards.shape[1] + 1)).astype(np.float32)
    inside = np.arange(rewards.shape[1])[None, :] < steps[:, None]
    reward = np.where(inside, rewards * powers[:-1], np.float32(0)).sum(axis=1, dtype=np.float32)
    factor = np.where(terminal, np.float32(0), powers[steps])
    shaped = reward + factor * np.where(terminal, np.float32(0), next_potential) - potential
    return Window(steps, shaped.astype(np.float32), factor.astype(np.float32), terminal)

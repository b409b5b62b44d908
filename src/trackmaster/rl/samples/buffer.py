"""Samples as the seed's classes exchange them, and the list of them that an ``append_buffer`` is given."""

from typing import Any, Self

Sample = tuple[Any, Any, float, bool, bool, dict[str, Any]]
"""(action, new_obs, reward, terminated, truncated, info): the action is the one that led to ``new_obs``."""


class Buffer:
    """Samples of one worker in the order they were lived through, and the newest episode statistics.

    Args:
        maxlen: samples to keep; the oldest beyond it are dropped.
    """

    def __init__(self, maxlen: int = 500_000) -> None:
        self.memory: list[Sample] = []
        self.maxlen = maxlen
        self.stat_train_return = self.stat_test_return = 0.0
        self.stat_train_steps = self.stat_test_steps = 0

    def append_sample(self, sample: Sample) -> None:
        """Add one sample."""
        self.memory.append(sample)
        self.clip_to_maxlen()

    def clip_to_maxlen(self) -> None:
        """Drop the oldest samples beyond ``maxlen``."""
        if len(self.memory) > self.maxlen:
            del self.memory[: len(self.memory) - self.maxlen]

    def clear(self) -> None:
        """Drop every sample; the statistics stay."""
        self.memory.clear()

    def __len__(self) -> int:
        return len(self.memory)

    def __iadd__(self, other: "Buffer") -> Self:
        self.memory += other.memory
        self.clip_to_maxlen()
        self.stat_train_return, self.stat_train_steps = other.stat_train_return, other.stat_train_steps
        self.stat_test_return, self.stat_test_steps = other.stat_test_return, other.stat_test_steps
        return self

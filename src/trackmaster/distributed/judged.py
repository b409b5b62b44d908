"""Weights of two actors in one message: the one that explores, and the one that is judged where that is another."""

from collections.abc import Mapping

from torch import Tensor

JUDGED_PREFIX = "judged/"
"""Of the names of the second actor's tensors; no attribute of Python has a stroke in its name."""


def join_actors(exploring: Mapping[str, Tensor], judged: Mapping[str, Tensor] | None) -> dict[str, Tensor]:
    """Return what ``part_actors`` takes apart; ``judged`` is None where the exploring actor is judged itself."""
    return {**exploring, **{JUDGED_PREFIX + name: tensor for name, tensor in (judged or {}).items()}}


def part_actors(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor] | None]:
    """Return the tensors of the actor that explores, and those of the judged one; None where it is the same."""
    exploring = {name: tensor for name, tensor in tensors.items() if not name.startswith(JUDGED_PREFIX)}
    judged = {
        name.removeprefix(JUDGED_PREFIX): tensor for name, tensor in tensors.items() if name.startswith(JUDGED_PREFIX)
    }
    return exploring, judged or None

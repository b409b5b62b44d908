"""Observations as environments give them: an array, or tuples and dictionaries of arrays, nested.

A leaf's name is the way to it: ``3`` for the fourth element of a tuple, ``car.speed`` inside dictionaries, ``obs`` for
an observation that is one array.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

ALONE = "obs"
"""Name of an observation that is a single array."""


def leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the names and arrays in order; keys of dictionaries are sorted, as Gymnasium sorts those of its spaces."""
    if isinstance(value, Mapping):
        for key in sorted(value):
            yield from leaves(value[key], f"{name}.{key}" if name else str(key))
    elif isinstance(value, (tuple, list)):
        for i, part in enumerate(value):
            yield from leaves(part, f"{name}.{i}" if name else str(i))
    else:
        yield name or ALONE, value


def map_leaves(function: Callable[..., Any], value: Any, *others: Any) -> Any:
    """Return the same nesting with every leaf replaced; leaves of ``others`` are further arguments."""
    if isinstance(value, Mapping):
        return {key: map_leaves(function, value[key], *(other[key] for other in others)) for key in value}
    if isinstance(value, (tuple, list)):
        return tuple(map_leaves(function, part, *(o[i] for o in others)) for i, part in enumerate(value))
    return function(value, *others)


def with_leaves(value: Any, replacements: Iterator[Any]) -> Any:
    """Return the nesting of ``value`` with the leaves taken from ``replacements``, in the order of ``leaves``."""
    if isinstance(value, Mapping):
        made = {key: with_leaves(value[key], replacements) for key in sorted(value)}
        return {key: made[key] for key in value}
    if isinstance(value, (tuple, list)):
        return tuple(with_leaves(part, replacements) for part in value)
    return next(replacements)


def stack(values: Sequence[Any]) -> Any:
    """Return one nesting whose leaves have a leading axis, one entry per value."""
    return map_leaves(lambda *parts: np.stack([np.asarray(part) for part in parts]), values[0], *values[1:])


def length(value: Any) -> int:
    """Return the leading size of the first leaf."""
    return len(next(leaves(value))[1])


def nest(named: Mapping[str, Any]) -> Any:
    """Return the nesting that ``leaves`` would name this way; numbers are places in a tuple, words are keys."""
    if list(named) == [ALONE]:
        return named[ALONE]
    groups: dict[str, dict[str, Any]] = {}
    for name, leaf in named.items():
        first, _, rest = name.partition(".")
        groups.setdefault(first, {})[rest or ALONE] = leaf
    if all(key.isdigit() for key in groups):
        return tuple(nest(groups[str(i)]) for i in range(len(groups)))
    return {key: nest(group) for key, group in groups.items()}

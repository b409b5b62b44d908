"""What the two ends of a link must agree on: one JSON text, its hash, and where two of them differ."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from trackmaster.distributed.wire.messages import MAX_SPEC_BYTES
from trackmaster.errors import TrackmasterError
from trackmaster.rl.samples.chunk import ColumnSpec, SampleSpec

COLUMNS = "columns"
MAX_NAMED = 6
"""Differences that one sentence lists."""
MAX_DEPTH = 32
"""Maps and lists inside each other; what is compared and listed is walked through by calls in calls."""


class SpecError(TrackmasterError):
    """The description of a run's samples cannot be read, or does not fit that of the other side."""


def describe(columns: SampleSpec, **more: Any) -> bytes:
    """Return canonical JSON of the columns and of whatever else must be equal on both sides.

    Raises:
        SpecError: it is longer than what travels.
    """
    layout = {name: [column.dtype, list(column.shape)] for name, column in columns.items()}
    text = json.dumps({COLUMNS: layout, **more}, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
    if len(text) > MAX_SPEC_BYTES:
        raise SpecError(f"The description of the run has {len(text)} bytes, at most {MAX_SPEC_BYTES} travel.")
    return text


def digest(spec: bytes) -> bytes:
    """Return the hash that stands beside a description."""
    return hashlib.sha256(spec).digest()


def parse(spec: bytes) -> dict[str, Any]:
    """Return the content of a description.

    Raises:
        SpecError: it is no JSON object, or deeper than any description of ours.
    """
    try:
        found = json.loads(spec)
    except (ValueError, RecursionError):
        raise SpecError("The description of a run is not JSON.") from None
    if not isinstance(found, dict):
        raise SpecError("The description of a run is no JSON object.")
    _refuse_depth(found)
    return found


def _refuse_depth(found: dict[str, Any]) -> None:
    level: list[Any] = [found]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for value in level
            if isinstance(value, (dict, list))
            for inner in (value.values() if isinstance(value, dict) else value)
        ]
    if level:
        raise SpecError(f"The description of a run has more than {MAX_DEPTH} levels.")


def columns_of(spec: bytes) -> SampleSpec:
    """Return the columns in a description, none if it has none.

    Raises:
        SpecError: they are not described as ``describe`` does.
    """
    layout = parse(spec).get(COLUMNS, {})
    try:
        return {str(name): ColumnSpec(tuple(map(int, shape)), str(dtype)) for name, (dtype, shape) in layout.items()}
    except (TypeError, ValueError, AttributeError, OverflowError):
        raise SpecError("The columns in the description of a run are no map of dtype and shape.") from None


def agree(mine: bytes, theirs: bytes) -> bool:
    """Return whether two descriptions tell the same; columns count where both of them name some."""
    one, other = _comparable(mine, theirs)
    return one == other


def differences(mine: bytes, theirs: bytes) -> str:
    """Return the entries in which two descriptions do not agree, as the end of a sentence."""
    one, other = (dict(_flat(entries)) for entries in _comparable(mine, theirs))
    named = [
        f"{name} is {_shown(one, name)} here and {_shown(other, name)} there"
        for name in sorted(one.keys() | other.keys())
        if name not in one or name not in other or one[name] != other[name]
    ]
    more = f" and {len(named) - MAX_NAMED} more" if len(named) > MAX_NAMED else ""
    return "; ".join(named[:MAX_NAMED]) + more


def _comparable(mine: bytes, theirs: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    one, other = parse(mine), parse(theirs)
    if not (one.get(COLUMNS) and other.get(COLUMNS)):
        one.pop(COLUMNS, None)
        other.pop(COLUMNS, None)
    return one, other


def _shown(entries: Mapping[str, Any], name: str) -> str:
    return json.dumps(entries[name]) if name in entries else "missing"


def _flat(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, inner in value.items():
        if isinstance(inner, dict):
            yield from _flat(inner, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", inner

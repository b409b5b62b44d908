"""Frames of the network: one msgpack map each, held to its limits before any array is made from it.

A frame begins with ``v`` (version) and ``t`` (type); an array is the map ``{"d": dtype, "s": shape, "b": bytes}`` in C
order and little-endian. Whatever bytes arrive end in checked values or in a ``WireError``; nothing is ever unpickled,
and extension types and timestamps do not exist here. The messages stand in ``messages``.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import msgpack
import numpy as np
from numpy.typing import NDArray

from trackmaster.errors import TrackmasterError

VERSION = 1
MAX_FRAME_BYTES = 64 * 2**20
MAX_TEXT_BYTES = 256
MAX_MAP = 64
MAX_LIST = 16
MAX_CONTAINERS = 256
"""Maps and lists of one frame; one of 64 columns has 134. Without a limit 64 MB become gigabytes of empty lists."""
MAX_DIMS = 5
ITEM_BYTES = {"|u1": 1, "|b1": 1, "<u2": 2, "<i4": 4, "<u4": 4, "<i8": 8, "<f2": 2, "<f4": 4, "<f8": 8}
"""Every dtype that may travel, with the bytes of one number."""

Check = Callable[[Any, str], Any]
"""Returns a decoded value if it is what a field may hold; told the name of the field for its sentence."""


class WireError(TrackmasterError):
    """A frame is not what this version of the protocol sends."""


def pack(fields: Mapping[str, Any]) -> bytes:
    """Return a frame; arrays are given as ``array_map`` makes them.

    Raises:
        WireError: it is larger than a frame may be.
    """
    frame: bytes = msgpack.packb(dict(fields), use_bin_type=True)
    if len(frame) > MAX_FRAME_BYTES:
        raise WireError(
            f"A message of {len(frame)} bytes was to be sent, the limit is {MAX_FRAME_BYTES}: send fewer rows per "
            "chunk or use a smaller network."
        )
    return frame


def unpack(frame: bytes) -> dict[str, Any]:
    """Return the map of a frame; its values are still to be checked.

    Raises:
        WireError: it is no msgpack map of this version, or larger, deeper or more branched than a frame may be.
    """
    if len(frame) > MAX_FRAME_BYTES:
        raise WireError(f"A message of {len(frame)} bytes arrived, the limit is {MAX_FRAME_BYTES}.")
    budget = _Budget()
    try:
        found = msgpack.unpackb(
            frame, raw=False, strict_map_key=True, object_pairs_hook=budget.take_map, list_hook=budget.take_list,
            max_str_len=MAX_TEXT_BYTES, max_bin_len=MAX_FRAME_BYTES, max_map_len=MAX_MAP, max_array_len=MAX_LIST,
            max_ext_len=0,
        )  # fmt: skip
    except WireError:
        raise
    except (ValueError, TypeError, OverflowError, msgpack.exceptions.UnpackException) as error:
        raise WireError(f"A message is no msgpack of this protocol ({type(error).__name__}: {error}).") from None
    if type(found) is not dict or list(found)[:2] != ["v", "t"]:
        raise WireError("A message must be a map that begins with its version v and its type t.")
    if type(found["v"]) is not int or found["v"] != VERSION:
        raise WireError(
            f"A message of protocol version {_short(found['v'])} arrived, this program speaks version {VERSION}: "
            "install the same release on every machine."
        )
    return found


class _Budget:
    """Counts maps and lists while they are decoded, and refuses keys that stand twice."""

    def __init__(self) -> None:
        self._left = MAX_CONTAINERS

    def take_map(self, pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
        self._count()
        mapping = dict(pairs)
        if len(mapping) != len(pairs):
            raise WireError("A key stands twice in one map of a message.")
        return mapping

    def take_list(self, items: list[Any]) -> list[Any]:
        self._count()
        return items

    def _count(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise WireError(f"A message holds more than {MAX_CONTAINERS} maps and lists.")


def array_map(array: NDArray[Any], where: str) -> dict[str, Any]:
    """Return an array as the map that travels.

    Raises:
        WireError: its dtype or its number of axes is not allowed.
    """
    array = np.asarray(array)
    dtype = array.dtype.str
    if dtype not in ITEM_BYTES or array.ndim > MAX_DIMS:
        raise WireError(
            f"{where} is {array.dtype} with {array.ndim} axes; only {', '.join(ITEM_BYTES)} and at most {MAX_DIMS} "
            "axes travel."
        )
    flat = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    return {"d": dtype, "s": list(array.shape), "b": flat.data if flat.size else b""}


def array(value: Any, where: str) -> NDArray[Any]:
    """Return a decoded array; it shares its bytes with the frame and cannot be written to.

    Raises:
        WireError: dtype, shape and bytes do not fit each other or the limits, a boolean is neither 0 nor 1, or a
            floating-point number is not finite.
    """
    if type(value) is not dict or list(value) != ["d", "s", "b"]:
        raise WireError(f"{where} is no array: expected the map d, s, b.")
    dtype, shape, data = value["d"], value["s"], value["b"]
    if type(dtype) is not str or dtype not in ITEM_BYTES:
        raise WireError(f"{where} has the dtype {_short(dtype)}; allowed are {', '.join(ITEM_BYTES)}.")
    if type(shape) is not list or len(shape) > MAX_DIMS or any(type(n) is not int or n < 0 for n in shape):
        raise WireError(f"{where} has the shape {_short(shape)}; expected at most {MAX_DIMS} sizes from 0 up.")
    if math.prod(n for n in shape if n) * ITEM_BYTES[dtype] > MAX_FRAME_BYTES:  # empty arrays may not be huge either
        raise WireError(f"{where} announces the shape {_short(shape)}, more than a message can hold.")
    size = math.prod(shape) * ITEM_BYTES[dtype]
    if type(data) is not bytes or len(data) != size:
        found = len(data) if type(data) is bytes else type(data).__name__
        raise WireError(f"{where} is {dtype} of shape {_short(shape)}: expected {size} bytes, found {found}.")
    if dtype == "|b1" and data.translate(None, b"\0\1"):
        raise WireError(f"{where} is boolean, but a byte in it is neither 0 nor 1.")
    made: NDArray[Any] = np.ndarray(tuple(shape), dtype, data)
    if made.dtype.kind == "f" and not np.isfinite(made).all():
        raise WireError(f"{where} holds a number that is not finite.")
    return made


def integer(low: int, high: int) -> Check:
    """Return the check of a whole number from ``low`` to ``high``."""

    def check(value: Any, where: str) -> int:
        if type(value) is not int or not low <= value <= high:
            raise WireError(f"{where} is {_short(value)}; expected a whole number from {low} to {high}.")
        return value

    return check


def boolean(value: Any, where: str) -> bool:
    """Return a truth value."""
    if type(value) is not bool:
        raise WireError(f"{where} is {_short(value)}; expected true or false.")
    return value


def text(value: Any, where: str) -> str:
    """Return a short text."""
    if type(value) is not str:
        raise WireError(f"{where} is {_short(value)}; expected a text.")
    return value


def data(low: int, high: int) -> Check:
    """Return the check of a byte string of ``low`` to ``high`` bytes."""

    def check(value: Any, where: str) -> bytes:
        if type(value) is not bytes or not low <= len(value) <= high:
            found = f"{len(value)} bytes" if type(value) is bytes else _short(value)
            raise WireError(f"{where} is {found}; expected {low} to {high} bytes.")
        return value

    return check


def numbers(value: Any, where: str) -> dict[str, float]:
    """Return finite numbers by name."""
    checked = _named(value, where)
    for name, number in checked.items():
        if type(number) not in (int, float) or not math.isfinite(number):
            raise WireError(f"{where}.{name} is {_short(number)}; expected a finite number.")
    return {name: float(number) for name, number in checked.items()}


def arrays(value: Any, where: str) -> dict[str, NDArray[Any]]:
    """Return arrays by name."""
    return {name: array(found, f"{where}.{name}") for name, found in _named(value, where).items()}


def fit_text(words: str) -> str:
    """Return a text cut to what a field holds."""
    return words.encode("utf-8", "replace")[:MAX_TEXT_BYTES].decode("utf-8", "ignore")


def _named(value: Any, where: str) -> dict[str, Any]:
    if type(value) is not dict or any(type(name) is not str for name in value):
        raise WireError(f"{where} is {_short(value)}; expected a map of names.")
    return value


def _short(value: Any) -> str:
    """Return a foreign value for a sentence, however large it is."""
    if isinstance(value, (dict, list, bytes, str)) and len(value) > MAX_LIST:
        return f"a {type(value).__name__} of {len(value)}"
    shown = repr(value)
    return shown if len(shown) <= MAX_TEXT_BYTES else f"a long {type(value).__name__}"

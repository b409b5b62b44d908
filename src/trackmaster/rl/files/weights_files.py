"""Weights files: safetensors as written, and what others write, told apart by content and never unpickled.

The JSON form is the one that leagues ask for, because people can read it: one object, state-dict key to nested list.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from safetensors.torch import save
from torch import Tensor

from trackmaster.files import atomic_write_bytes, atomic_write_text
from trackmaster.nn.weights import WeightsError, strip_prefixes
from trackmaster.rl.files.torch_files import load_torch

MAX_BYTES = 512 * 1024 * 1024
"""Largest weights file that is read."""
_HEAD_BYTES = 16


class TorchJSONEncoder(json.JSONEncoder):
    """Writes tensors as nested lists."""

    def default(self, o: Any) -> Any:
        """Return what JSON can hold instead of ``o``."""
        return o.detach().tolist() if isinstance(o, Tensor) else super().default(o)


class TorchJSONDecoder(json.JSONDecoder):
    """Reads every list as a float32 tensor, as the seed's files are meant; refuses NaN and infinity."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("object_hook", self.object_hook)
        kwargs.setdefault("parse_constant", _refuse_constant)
        super().__init__(*args, **kwargs)

    def object_hook(self, dct: dict[str, Any]) -> dict[str, Any]:
        """Return the object with tensors in the place of lists."""
        return {key: torch.Tensor(value) if isinstance(value, list) else value for key, value in dct.items()}


def write_weights(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors as safetensors through a temporary name."""
    atomic_write_bytes(path, save({name: tensor.contiguous() for name, tensor in tensors.items()}))


def write_json_weights(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors as the JSON that leagues accept.

    Raises:
        WeightsError: a value is not finite, for which JSON has no spelling.
    """
    try:
        text = json.dumps(dict(tensors), cls=TorchJSONEncoder, allow_nan=False)
    except ValueError:
        bad = [n for n, t in tensors.items() if t.is_floating_point() and not bool(torch.isfinite(t).all())]
        raise WeightsError(f"{path}: not written, {', '.join(bad)} hold values that are not finite.") from None
    atomic_write_text(path, text)


def read_weights(path: Path, *, like: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of a weights file, whatever form it has.

    Args:
        path: safetensors, a torch archive without Python objects, or JSON.
        like: tensors of the module that is to take them; JSON entries get their dtypes and shapes.

    Raises:
        WeightsError: it is missing, too large, damaged, a pickle, or JSON that does not fit ``like``.
    """
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise WeightsError(f"{path}: {size} bytes, expected at most {MAX_BYTES}. This is no file of weights.")
        with path.open("rb") as handle:
            head = handle.read(_HEAD_BYTES)
    except FileNotFoundError:
        raise WeightsError(f"{path}: no such file; expected weights that a trainer or worker saved.") from None
    # The first eight bytes of safetensors are the length of what follows; text read that way is an enormous number.
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= size:
        return _read_safetensors(path)
    if head[:1] == b"{":
        return _read_json(path, like)
    if head[:2] == b"PK":
        return strip_prefixes(load_torch(path), source=str(path))
    if head[:1] == b"\x80":
        raise WeightsError(
            f"{path}: this is a pickle, which can run any program when it is read, so it is refused. Save the state "
            "dict with torch.save, safetensors or the JSON encoder instead."
        )
    raise WeightsError(f"{path}: neither safetensors, a torch archive nor JSON. Expected a file of weights (.tmod).")


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return dict(load_safetensors(path.read_bytes()))
    except SafetensorError as error:
        raise WeightsError(f"{path}: damaged safetensors ({error}). Take another copy of the file.") from None


def _read_json(path: Path, like: Mapping[str, Tensor]) -> dict[str, Tensor]:
    try:
        content = json.loads(
            path.read_text(encoding="utf-8"), parse_constant=_refuse_constant, object_pairs_hook=_refuse_doubles
        )
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{path}: cannot be read as JSON weights ({error}).") from None
    problems = [f"{name} is missing" for name in like if name not in content]
    problems += [f"{name} is not part of the network" for name in content if name not in like]
    tensors: dict[str, Tensor] = {}
    for name in like.keys() & content.keys():
        try:
            tensors[name] = _cast(content[name], like[name])
        except (ValueError, TypeError, RuntimeError, OverflowError) as error:
            problems.append(f"{name} {error}")
    if problems:
        raise WeightsError(f"{path}: the weights do not fit the network: {'; '.join(sorted(problems))}.")
    return {name: tensors[name] for name in like}


def _cast(value: Any, own: Tensor) -> Tensor:
    """Return nested lists, or a number for a tensor without axes, in the dtype and shape of ``own``."""
    exact = torch.tensor(value, dtype=torch.float64 if own.is_floating_point() else None)
    if exact.numel() == 0 and own.numel() == 0:
        return torch.zeros_like(own, device="cpu")  # (0, 3) is written as [], which has lost its second axis
    if exact.shape != own.shape:
        raise ValueError(f"has shape {tuple(exact.shape)}, expected {tuple(own.shape)}")
    cast = exact.to(own.dtype)
    if not own.is_floating_point() and not bool((cast.to(torch.float64) == exact.to(torch.float64)).all()):
        raise ValueError(f"holds values that are no {str(own.dtype).removeprefix('torch.')}")
    if own.is_floating_point() and not bool(torch.isfinite(cast).all()):
        raise ValueError("holds values that are not finite")
    return cast


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} stands where a number is expected")


def _refuse_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(n for n in names if names.count(n) > 1)} stands twice")
    return content

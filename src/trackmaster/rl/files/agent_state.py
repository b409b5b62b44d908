"""Saving an agent that describes no files of its own: by its attributes, as safetensors and plain JSON values.

Kept are networks, optimisers, learning-rate schedules, tensors, generators and plain numbers. What the constructor was
given belongs to the run's configuration and not to its state: a number that training has never changed is not restored,
so that a run continued with another learning rate uses the new one, and its optimiser keeps its moments.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.optim import Optimizer

from trackmaster.files import atomic_write_bytes
from trackmaster.nn.weights import WeightsError, load_strict, plain_state

Plain = bool | int | float | str | None
CONSTRUCTED = "_constructed_values"
"""Attribute that holds the plain values as the constructor left them."""
TENSOR = "__tensor__"


def remember_constructed(agent: object) -> None:
    """Note the agent's plain values and its optimisers' options, to tell later what training has changed."""
    setattr(agent, CONSTRUCTED, _values(agent))


def save_attributes(agent: object, folder: Path) -> dict[str, Any]:
    """Write ``<attribute>.safetensors`` per network and optimiser, and ``tensors.safetensors`` for what is left.

    Returns:
        Everything else as plain JSON values.
    """
    state: dict[str, Any] = {"optimizers": {}, "schedules": {}, "generators": {}}
    loose: dict[str, Tensor] = {}
    for name, value in _attributes(agent):
        if isinstance(value, nn.Module):
            _write(folder / f"{name}.safetensors", plain_state(value))
        elif isinstance(value, Optimizer):
            tensors: dict[str, Tensor] = {}
            content = value.state_dict()
            state["optimizers"][name] = _take_tensors(content["state"], "", tensors)
            _write(folder / f"{name}.safetensors", tensors)
        elif isinstance(value, Tensor):
            loose[name] = value.detach().to("cpu", copy=True).contiguous()
        elif isinstance(value, (torch.Generator, np.random.Generator)):
            state["generators"][name] = _generator_state(value)
        elif isinstance(value, torch.optim.lr_scheduler.LRScheduler):
            state["schedules"][name] = {k: v for k, v in value.state_dict().items() if _is_plain(v)}
    _write(folder / "tensors.safetensors", loose)
    before = getattr(agent, CONSTRUCTED, {})
    state["values"] = {k: v for k, v in _values(agent).items() if k not in before or before[k] != v}
    return state


def load_attributes(agent: object, folder: Path, state: Mapping[str, Any]) -> None:
    """Put back what ``save_attributes`` wrote into an agent that was constructed the same way.

    Raises:
        WeightsError: a file is missing, damaged or of another network.
    """
    loose = _read(folder / "tensors.safetensors")
    for name, value in _attributes(agent):
        file = folder / f"{name}.safetensors"
        if isinstance(value, nn.Module):
            load_strict(value, _read(file), source=str(file))
        elif isinstance(value, Optimizer):
            _restore_optimizer(value, _entry(state["optimizers"], name, folder), _read(file), file)
        elif isinstance(value, Tensor):
            with torch.no_grad():
                value.copy_(_fitting(_entry(loose, name, folder), value, name, folder))
        elif isinstance(value, (torch.Generator, np.random.Generator)):
            _set_generator(value, _entry(state["generators"], name, folder))
        elif isinstance(value, torch.optim.lr_scheduler.LRScheduler):
            value.load_state_dict(dict(_entry(state["schedules"], name, folder)))
    for name, value in state["values"].items():
        attribute, _, option = name.partition(".")
        if not option:
            setattr(agent, attribute, value)
        elif isinstance(getattr(agent, attribute, None), Optimizer):
            number, _, key = option.partition(".")
            getattr(agent, attribute).param_groups[int(number)][key] = (
                tuple(value) if isinstance(value, list) else value
            )


def _attributes(agent: object) -> list[tuple[str, Any]]:
    return [(name, value) for name, value in vars(agent).items() if name != CONSTRUCTED]


def _values(agent: object) -> dict[str, Any]:
    """Return plain attributes, and every option of every optimiser as ``attribute.group.option``."""
    found: dict[str, Any] = {}
    for name, value in _attributes(agent):
        if isinstance(value, Optimizer):
            for i, group in enumerate(value.param_groups):
                options = {k: v for k, v in group.items() if k != "params"}
                found |= {f"{name}.{i}.{k}": _listed(v) for k, v in options.items() if _is_plain(v)}
        elif name != "device" and isinstance(value, (bool, int, float, str)):
            found[name] = value
    return found


def _is_plain(value: object) -> bool:
    if isinstance(value, (list, tuple)):
        return all(_is_plain(part) for part in value)
    return value is None or isinstance(value, (bool, int, float, str))


def _listed(value: Any) -> Any:
    return [_listed(part) for part in value] if isinstance(value, (list, tuple)) else value


def _take_tensors(value: Any, path: str, tensors: dict[str, Tensor]) -> Any:
    """Move the tensors of a nested dictionary into ``tensors`` and leave a mark with the name in their place."""
    if isinstance(value, Tensor):
        tensors[path] = value.detach().to("cpu", copy=True).contiguous()
        return {TENSOR: path}
    if isinstance(value, Mapping):
        return {str(k): _take_tensors(v, f"{path}.{k}" if path else str(k), tensors) for k, v in value.items()}
    return _listed(value)


def _put_tensors(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(value, dict):
        if TENSOR in value:
            return tensors[value[TENSOR]]
        return {k: _put_tensors(v, tensors) for k, v in value.items()}
    return value


def _restore_optimizer(
    optimizer: Optimizer, content: Mapping[str, Any], tensors: Mapping[str, Tensor], file: Path
) -> None:
    """Give an optimiser its running averages back; its options stay those it was constructed with."""
    groups = optimizer.state_dict()["param_groups"]
    known = {i for group in groups for i in group["params"]}
    state = {int(k): _put_tensors(v, tensors) for k, v in content.items()}
    shapes = [p.shape for group in optimizer.param_groups for p in group["params"]]
    for i, entry in state.items():
        wrong = [
            k for k, v in entry.items() if isinstance(v, Tensor) and v.ndim and i in known and v.shape != shapes[i]
        ]
        if i not in known or wrong:
            raise WeightsError(
                f"{file}: belongs to an optimiser of other parameters (number {i}). Continue with the network the run "
                "was started with, or start a new run under another RUN_NAME."
            )
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def _generator_state(generator: torch.Generator | np.random.Generator) -> Any:
    if isinstance(generator, torch.Generator):
        return bytes(generator.get_state().tolist()).hex()
    return generator.bit_generator.state


def _set_generator(generator: torch.Generator | np.random.Generator, state: Any) -> None:
    if isinstance(generator, torch.Generator):
        generator.set_state(torch.tensor(list(bytes.fromhex(state)), dtype=torch.uint8))
    else:
        generator.bit_generator.state = state


def _write(path: Path, tensors: dict[str, Tensor]) -> None:
    atomic_write_bytes(path, save(tensors))


def _read(path: Path) -> dict[str, Tensor]:
    try:
        return dict(load_file(path))
    except FileNotFoundError:
        raise WeightsError(f"{path}: no such file; the saved agent has no such part. Was its class changed?") from None
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path}: cannot be read as safetensors ({error}). Use an older checkpoint.") from None


def _entry(mapping: Mapping[str, Any], name: str, folder: Path) -> Any:
    if name not in mapping:
        raise WeightsError(f"{folder}: holds nothing for the agent's attribute {name!r}. Was its class changed?")
    return mapping[name]


def _fitting(saved: Tensor, own: Tensor, name: str, folder: Path) -> Tensor:
    if saved.shape != own.shape:
        raise WeightsError(f"{folder}: {name} has shape {tuple(saved.shape)}, expected {tuple(own.shape)}.")
    return saved

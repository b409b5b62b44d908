"""State dicts of others and of our own: one spelling of the keys, strict loading, exact change of normalisation."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from trackmaster.errors import TrackmasterError

WRAPPER_PREFIXES = ("_orig_mod.", "module.")
"""What ``torch.compile`` and data-parallel wrappers put in front of every key."""

FLOAT_INPUT_WEIGHT = "float_feature_extractor.0.weight"
FLOAT_INPUT_BIAS = "float_feature_extractor.0.bias"


class WeightsError(TrackmasterError):
    """A file or message of weights does not fit the network; the text lists what is missing, foreign or mis-shaped."""


def strip_prefixes(state: Mapping[Any, Any], *, source: str = "The state dict") -> dict[str, Tensor]:
    """Return the state with plain keys, whatever wrappers were around the module that saved it.

    Args:
        state: what a file or message holds.
        source: file name or origin, for the message.

    Raises:
        WeightsError: it is no state dict, or two keys become the same name.
    """
    plain: dict[str, Tensor] = {}
    for key, value in state.items():
        if not isinstance(key, str) or not _is_plain(value):
            raise WeightsError(
                f"{source}: holds a {type(value).__name__} under {key!r}, expected names of parameters with plain "
                "tensors. Give a state dict as save/<run>/weights1.torch holds it."
            )
        name = key
        while name.startswith(WRAPPER_PREFIXES):
            name = name.split(".", 1)[1]
        if name in plain:
            raise WeightsError(f"{source}: holds {name!r} twice, with and without a wrapper prefix. Save it again.")
        plain[name] = value
    return plain


def _is_plain(value: object) -> bool:
    """Return whether this is a tensor whose real numbers lie in memory, one after the other."""
    if not isinstance(value, Tensor):
        return False
    return value.layout == torch.strided and not (value.is_quantized or value.is_meta or value.is_complex())


def plain_state(module: nn.Module) -> dict[str, Tensor]:
    """Return a detached CPU copy of the module's state under plain keys, ready to be written to a file."""
    return {k: v.detach().to("cpu", copy=True).contiguous() for k, v in strip_prefixes(module.state_dict()).items()}


def load_strict(module: nn.Module, state: Mapping[Any, Any], *, source: str, ignore: tuple[str, ...] = ()) -> None:
    """Copy ``state`` into ``module``; every key must fit, otherwise nothing is changed.

    Args:
        module: an uncompiled network.
        state: parameters by name; wrapper prefixes are removed.
        source: file name or origin, for the message.
        ignore: key prefixes to leave out (extras that other tools store beside a policy).

    Raises:
        WeightsError: it is no state dict, or keys are missing, foreign, mis-shaped or not finite.
    """
    plain = strip_prefixes(state, source=source)
    given = {k: v for k, v in plain.items() if not (ignore and k.startswith(ignore))}
    own = module.state_dict()
    problems = [f"{k} is missing" for k in own if k not in given]
    problems += [f"{k} is not part of the network" for k in given if k not in own]
    for key in own.keys() & given.keys():
        if own[key].shape != given[key].shape:
            problems.append(f"{key} has shape {tuple(given[key].shape)}, expected {tuple(own[key].shape)}")
        elif given[key].is_floating_point() and not bool(torch.isfinite(given[key]).all()):
            problems.append(f"{key} holds values that are not finite")
    if problems:
        raise WeightsError(
            f"{source}: the weights do not fit the network: "
            + "; ".join(sorted(problems))
            + ". Use the image size and embedding dimension the weights were trained with."
        )
    module.load_state_dict(given)


def change_normalisation(
    state: Mapping[str, Tensor], *, old_mean: Tensor, old_std: Tensor, new_mean: Tensor, new_std: Tensor
) -> dict[str, Tensor]:
    """Return weights that, fed with floats normalised the new way, compute what they did with the old way.

    Exact, because the first operation on the floats is linear: ``W' = W * new_std / old_std`` and
    ``b' = b + W @ ((new_mean - old_mean) / old_std)``.

    Args:
        state: state dict of an ``IQNNetwork`` under plain keys.
        old_mean: (F,) means the weights were trained with.
        old_std: (F,) standard deviations the weights were trained with.
        new_mean: (F,) means the network subtracts from now on.
        new_std: (F,) standard deviations the network divides by from now on.
    """
    weight = state[FLOAT_INPUT_WEIGHT].double()
    shift = weight @ ((new_mean.double() - old_mean.double()) / old_std.double())
    changed = dict(state)
    changed[FLOAT_INPUT_WEIGHT] = (weight * (new_std.double() / old_std.double())).to(state[FLOAT_INPUT_WEIGHT].dtype)
    changed[FLOAT_INPUT_BIAS] = (state[FLOAT_INPUT_BIAS].double() + shift).to(state[FLOAT_INPUT_BIAS].dtype)
    return changed

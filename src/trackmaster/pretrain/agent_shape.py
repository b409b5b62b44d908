"""The sizes of the agent's network that an RL configuration decides, and that an encoder must fit."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trackmaster.env.layout import N_FLOATS
from trackmaster.env.observation import EXTRA_WIDTHS
from trackmaster.errors import ConfigError
from trackmaster.pretrain.config import RL_CONFIG_DEFAULT
from trackmaster.strict_yaml import read_yaml


@dataclass(frozen=True)
class AgentShape:
    """Sizes of the quantile network; the defaults are those of the default RL configuration."""

    width: int = 64
    height: int = 64
    embedding_dim: int = 128
    float_hidden_dim: int = 256
    dense_hidden_dimension: int = 1024
    n_floats: int = N_FLOATS
    """What the agent sees beside the picture, appended floats included."""


_KEYS = {
    "width": "w_downsized",
    "height": "h_downsized",
    "embedding_dim": "iqn_embedding_dimension",
    "float_hidden_dim": "float_hidden_dim",
    "dense_hidden_dimension": "dense_hidden_dimension",
}


def read_agent_shape(rl_config_path: Path) -> AgentShape:
    """Read the sizes from the sections ``neural_network`` and ``inputs`` of an RL configuration.

    Without the default file (an installed package away from a checkout) the defaults hold; a file that leaves the
    section or a key out takes the default for it.

    Raises:
        ConfigError: a file that was named is missing, a size is no positive number, or appended floats have no such
            name.
    """
    if not rl_config_path.is_file():
        if rl_config_path == RL_CONFIG_DEFAULT:
            return AgentShape()
        raise ConfigError(f"{rl_config_path}: no such file. It should be the YAML file with the picture size.")
    content = read_yaml(rl_config_path)
    section = content.get("neural_network") or {}
    found = {field: section[key] for field, key in _KEYS.items() if key in section} if isinstance(section, dict) else {}
    for field, value in found.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ConfigError(
                f"{rl_config_path}: neural_network.{_KEYS[field]} is {value!r}, expected a positive number."
            )
    return AgentShape(**found, n_floats=N_FLOATS + _appended_floats(content.get("inputs"), rl_config_path))


def _appended_floats(inputs: Any, rl_config_path: Path) -> int:
    names = (inputs.get("extra_floats") if isinstance(inputs, dict) else None) or []
    is_list = isinstance(names, list) and all(isinstance(name, str) for name in names)
    if not is_list or len(set(names)) != len(names) or not EXTRA_WIDTHS.keys() >= set(names):
        raise ConfigError(
            f"{rl_config_path}: inputs.extra_floats is {names!r}, expected a list of {', '.join(EXTRA_WIDTHS)}, each "
            "once."
        )
    return sum(EXTRA_WIDTHS[name] for name in names)

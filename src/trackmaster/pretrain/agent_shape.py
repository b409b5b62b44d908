"""The sizes of the agent's network that an RL configuration decides, and that an encoder must fit."""

from dataclasses import dataclass
from pathlib import Path

from trackmaster.config import read_yaml
from trackmaster.errors import ConfigError
from trackmaster.pretrain.config import RL_CONFIG_DEFAULT


@dataclass(frozen=True)
class AgentShape:
    """Sizes of the quantile network; the defaults are those of the default RL configuration."""

    width: int = 64
    height: int = 64
    embedding_dim: int = 128
    float_hidden_dim: int = 256
    dense_hidden_dimension: int = 1024


_KEYS = {
    "width": "w_downsized",
    "height": "h_downsized",
    "embedding_dim": "iqn_embedding_dimension",
    "float_hidden_dim": "float_hidden_dim",
    "dense_hidden_dimension": "dense_hidden_dimension",
}


def read_agent_shape(rl_config_path: Path) -> AgentShape:
    """Read the sizes from the ``neural_network`` section of an RL configuration.

    Without the default file (an installed package away from a checkout) the defaults hold; a file that leaves the
    section or a key out takes the default for it.

    Raises:
        ConfigError: a file that was named is missing, or a size is no positive number.
    """
    if not rl_config_path.is_file():
        if rl_config_path == RL_CONFIG_DEFAULT:
            return AgentShape()
        raise ConfigError(f"{rl_config_path}: no such file. It should be the YAML file with the picture size.")
    section = read_yaml(rl_config_path).get("neural_network") or {}
    found = {field: section[key] for field, key in _KEYS.items() if key in section} if isinstance(section, dict) else {}
    for field, value in found.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ConfigError(
                f"{rl_config_path}: neural_network.{_KEYS[field]} is {value!r}, expected a positive number."
            )
    return AgentShape(**found)

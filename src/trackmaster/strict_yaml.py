"""Reading YAML files of settings: each key once, names only, and every fault told as a sentence."""

from pathlib import Path
from typing import Any

import yaml

from trackmaster.errors import ConfigError


class _StrictLoader(yaml.SafeLoader):
    """Refuses a key that stands twice in one mapping, where YAML would silently keep the last value, and odd keys."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                written = f"'{key_node.value}'" if isinstance(key_node, yaml.ScalarNode) else "a list or mapping"
                raise _refused_key(key_node, f"the key {written} means {key!r} in YAML, expected the name of a setting")
            if key in seen:
                raise _refused_key(key_node, f"the key '{key}' stands twice")
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def _refused_key(node: yaml.Node, reason: str) -> yaml.YAMLError:
    return yaml.constructor.ConstructorError(None, None, reason, node.start_mark)


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the mapping in a YAML file; an empty file gives an empty one.

    Raises:
        ConfigError: the file cannot be read, is not YAML, or holds something other than ``key: value`` lines.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_StrictLoader)  # noqa: S506 - a SafeLoader
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: the configuration file cannot be read ({error}).") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: this is not valid YAML ({' '.join(str(error).split())}).") from None
    except RecursionError:
        raise ConfigError(f"{path}: the brackets of this file are nested too deeply for a configuration.") from None
    except (ValueError, LookupError, AttributeError) as error:  # what PyYAML lets through, such as 2026-02-30
        raise ConfigError(f"{path}: a value is not what it looks like to YAML ({error}). Put it in quotes.") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: found a {type(content).__name__} at the top, expected 'key: value' lines.")
    return content

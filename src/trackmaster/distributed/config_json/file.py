"""Reading a ``config.json``: strict JSON, both spellings, unknown keys refused with a suggestion."""

import difflib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from trackmaster.distributed.config_json.config import RunConfig
from trackmaster.errors import ConfigError

Key = tuple[str, ...]

SPELLINGS: Mapping[Key, Key] = {
    **{
        ("ENV", name): (name,)
        for name in (
            "WINDOW_WIDTH", "WINDOW_HEIGHT", "IMG_WIDTH", "IMG_HEIGHT", "IMG_GRAYSCALE", "IMG_HIST_LEN",
        )
    },
    ("ENV", "RTGYM_CONFIG", "act_buf_len"): ("ACT_BUF_LEN",),
    ("TLS",): ("SECURITY",),
}  # fmt: skip
"""tmrl's place of what the seed has elsewhere."""

RTGYM_KEYS = (
    "interface", "interface_args", "interface_kwargs", "time_step_duration", "start_obs_capture",
    "time_step_timeout_factor", "ep_max_length", "act_buf_len", "reset_act_buf", "act_in_obs", "benchmark",
    "benchmark_polyak", "benchmark_type", "wait_on_done", "last_act_on_reset",
)  # fmt: skip
REWARD_KEYS = (
    "END_OF_TRACK", "CONSTANT_PENALTY", "CHECK_FORWARD", "CHECK_BACKWARD", "FAILURE_COUNTDOWN", "MIN_STEPS",
    "MAX_STRAY",
)  # fmt: skip
_FREE = {("ENV", "RTGYM_CONFIG"): RTGYM_KEYS, ("ENV", "REWARD_CONFIG"): REWARD_KEYS}


def read_run_config(path: Path, *, changes: Mapping[str, Any] | None = None) -> RunConfig:
    """Return what a file says, with ``changes`` over it.

    Raises:
        ConfigError: the file is missing or not JSON, or says something that the model does not know.
    """
    return run_config(merged(read_json(path), changes or {}), source=str(path))


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: there is no such file. 'python trackmaster_training.py --install' writes one with the defaults; "
            "--data-dir names another folder."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({error}).") from None
    return parse_json(text, source=str(path))


def parse_json(text: str, *, source: str) -> dict[str, Any]:
    """Return the object in a JSON text.

    Raises:
        ConfigError: it is something else, holds comments, or names a key twice.
    """
    try:
        found = json.loads(text, object_pairs_hook=_refuse_doubles)
    except (ValueError, RecursionError) as error:
        commented = [line.strip() for line in text.splitlines() if line.strip().startswith(("#", "//", "/*"))]
        hint = f" JSON has no comments: take out {commented[0]!r}." if commented else ""
        raise ConfigError(f"{source}: this is not JSON ({error}).{hint}") from None
    if not isinstance(found, dict):
        raise ConfigError(f"{source}: found a {type(found).__name__}, expected an object with keys such as RUN_NAME.")
    return found


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``base`` with every key of ``changes`` over it, objects merged key by key.

    A change in one spelling also replaces what the file says in the other.
    """
    result: dict[str, Any] = _copy(base)
    for path, value in _leaves(changes):
        for other in _same_thing(path):
            _drop(result, other)
        here = result
        for name in path[:-1]:
            here = here.setdefault(name, {})
            if not isinstance(here, dict):
                raise ConfigError(f"{'.'.join(path)} cannot be set: {name} is no object in the file.")
        here[path[-1]] = value
    return result


def run_config(values: Mapping[str, Any], *, source: str) -> RunConfig:
    """Return the model of a file's content.

    Raises:
        ConfigError: a key is unknown, a value is wrong, or one thing is said twice differently.
    """
    plain = _one_spelling(_copy(values), source)
    try:
        return RunConfig.model_validate(plain)
    except ValidationError as error:
        lines = []
        for detail in error.errors():
            location = tuple(str(part) for part in detail["loc"])
            dotted = ".".join(location)
            if detail["type"] == "extra_forbidden":
                lines.append(f"{source}: '{dotted}' is not a setting.{_suggestion(location)}")
            else:
                message = detail["msg"].removeprefix("Value error, ")
                lines.append(f"{source}: '{dotted}': {message[:1].lower()}{message[1:]}, found {detail['input']!r}.")
        raise ConfigError("\n".join(lines)) from None


def _one_spelling(values: dict[str, Any], source: str) -> dict[str, Any]:
    """Move everything to the seed's place."""
    for path, known in _FREE.items():
        holder = _at(values, path)
        for name in holder if isinstance(holder, Mapping) else ():  # the model says what else it may not be
            if name not in known:
                raise ConfigError(f"{source}: '{'.'.join((*path, name))}' is not a setting.{_close(name, known)}")
    for theirs, ours in SPELLINGS.items():
        holder = _at(values, theirs[:-1])
        if not isinstance(holder, dict) or theirs[-1] not in holder:
            continue
        value = holder.pop(theirs[-1])
        if theirs == ("TLS",):
            if not isinstance(value, bool):
                raise ConfigError(f"{source}: 'TLS' is {value!r}, expected true or false.")
            value = "TLS" if value else None
        target = _at(values, ours[:-1])
        if ours[-1] in target and target[ours[-1]] != value:
            raise ConfigError(
                f"{source}: '{'.'.join(theirs)}' says {value!r} and '{'.'.join(ours)}' says {target[ours[-1]]!r}, and "
                "both mean the same. Keep one of them."
            )
        target[ours[-1]] = value
    return values


def _same_thing(path: Key) -> list[Key]:
    pairs = [pair for pair in SPELLINGS.items() if path in pair]
    return [other for pair in pairs for other in pair if other != path]


def _at(values: Any, path: Key) -> Any:
    for name in path:
        if not isinstance(values, dict) or name not in values:
            return None
        values = values[name]
    return values


def _drop(values: dict[str, Any], path: Key) -> None:
    holder = _at(values, path[:-1])
    if isinstance(holder, dict):
        holder.pop(path[-1], None)


def _leaves(values: Mapping[str, Any], path: Key = ()) -> Iterator[tuple[Key, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, (*path, name))
        else:
            yield (*path, name), value


def _copy(values: Any) -> Any:
    if isinstance(values, Mapping):
        return {name: _copy(value) for name, value in values.items()}
    return values


def _suggestion(location: Key) -> str:
    model: type[BaseModel] = RunConfig
    for name in location[:-1]:
        field = model.model_fields.get(name)
        if field is None or not isinstance(field.annotation, type) or not issubclass(field.annotation, BaseModel):
            return ""
        model = field.annotation
    known = [field.alias or name for name, field in model.model_fields.items()]
    known += [theirs[-1] for theirs in SPELLINGS if theirs[:-1] == location[:-1]]
    return _close(location[-1], known)


def _close(word: str, known: Any) -> str:
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6) or difflib.get_close_matches(
        word.upper(), known, n=1, cutoff=0.6
    )
    return f" Did you mean '{near[0]}'?" if near else ""


def _refuse_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"the key {name!r} stands twice")
    return dict(pairs)

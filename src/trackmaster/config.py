"""One base for every configuration: defaults < YAML file < environment < flags, and a typo anywhere stops the run.

pydantic-settings reads the sources; what it lets pass (a missing file, a misspelt environment variable) is checked
here, and its validation errors become sentences with a suggestion.
"""

import contextvars
import difflib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, ClassVar, Self, Union, get_args, get_origin

import yaml
from pydantic import AliasChoices, BaseModel, ConfigDict, ValidationError
from pydantic_settings import (
    BaseSettings,
    CliPositionalArg,
    CliSettingsSource,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from trackmaster.errors import ConfigError
from trackmaster.strict_yaml import read_yaml

NESTED = "__"
PREFIXES = (
    "CAPTURE_",
    "COMPARE_",
    "DATA_CLEAN_",
    "DATA_EXPORT_",
    "DATA_PREPARE_",
    "DATA_TOY_",
    "DEMO_",
    "DOCTOR_",
    "DRIVE_",
    "EVALUATE_",
    "EXCHANGE_STANDIN_",
    "EXPERIMENT_RUN_",
    "FIDELITY_",
    "GBX_SHOW_",
    "INJECT_",
    "PRETRAIN_",
    "PRETRAIN_PROBE_",
    "RECORD_REWARD_",
    "REPLAYS_DOWNLOAD_",
    "REPLAYS_FILTER_",
    "REPLAYS_LIST_",
    "REPLAYS_RENAME_",
    "REPLAYS_STATUS_",
    "REPLAYS_TRACK_",
    "SERVER_",
    "STANDIN_",
    "TRACK_BUNDLE_",
    "TRACK_COVERAGE_",
    "TRACK_DRIVE_",
    "TRACK_FIT_",
    "TRAINER_",
    "TRAIN_",
    "TRAIN_WORKER_",
    "VALIDATE_",
    "WORKER_",
)
"""Of the variables of every verb: a verb checks its own and leaves those of the others to them."""

MAX_LISTED = 20
"""Longest list of known names in an error; the help holds the others."""
_POSITIONAL = get_args(CliPositionalArg[int])[1]

_Sources = tuple[Mapping[str, Any], Mapping[str, str]]
_LOADING: contextvars.ContextVar[_Sources | None] = contextvars.ContextVar("loading", default=None)
"""Values of the YAML file and environment variables, while ``load`` resolves them."""


class Section(BaseModel):
    """A group of settings inside a ``Settings`` class: frozen, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Settings(BaseSettings):
    """Base of every configuration of the project.

    A subclass sets ``env_prefix`` in its ``model_config`` (a verb's stands in ``PREFIXES``) and ``default_yaml`` when
    it has a file of its own. ``load`` resolves all sources; constructing a subclass directly takes the arguments and
    the defaults only, so that a program's own settings depend on nothing around it.
    """

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        env_nested_delimiter=NESTED,
        env_prefix_target="all",
        cli_kebab_case=True,
        cli_implicit_flags=True,
        cli_exit_on_error=False,
        nested_model_default_partial_update=True,
        protected_namespaces=(),
    )

    default_yaml: ClassVar[tuple[str, ...]] = ()
    """Files to read when no ``--config`` is given, relative to the working directory; the first that exists counts."""

    foreign_env_prefixes: ClassVar[tuple[str, ...]] = ()
    """Prefixes besides ``PREFIXES`` that belong to others and are no misspelt fields of this one."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put environment and YAML, in this order, below the flags while ``load`` runs; both are mute elsewhere."""
        del env_settings, dotenv_settings, file_secret_settings
        loading = _LOADING.get()
        if loading is None:
            return (init_settings,)
        file_values, environment = loading
        sources: list[PydanticBaseSettingsSource] = [init_settings]
        if settings_cls.model_config.get("env_prefix"):
            sources.append(_VariablesSource(settings_cls, environment))
        if file_values:
            sources.append(InitSettingsSource(settings_cls, init_kwargs=dict(file_values)))
        return tuple(sources)

    @classmethod
    def plain_flags(cls, argv: Sequence[str]) -> list[str]:
        """Return flags in the form the parser knows; a verb that takes other spellings as well rewrites them here."""
        return list(argv)

    @classmethod
    def own_variables(cls, environment: Mapping[str, str]) -> dict[str, str]:
        """Return the environment as this configuration sees it; here a variable for several verbs gets its own name."""
        return dict(environment)

    @classmethod
    def load(
        cls,
        argv: Sequence[str] = (),
        *,
        config: str | Path | None = None,
        prog: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Self:
        """Resolve defaults, YAML, environment and flags into one frozen configuration.

        Args:
            argv: flags without the program's name; ``--config FILE`` replaces the default YAML file completely.
            config: the same as ``--config`` for callers without a command line.
            prog: name printed by ``--help``.
            environment: variables by name; the process's own by default, none for a file that stands for itself (the
                snapshot of a run).

        Raises:
            ConfigError: a source holds a name or a value that the configuration does not know.
            SystemExit: ``--help`` was printed.
        """
        flags, flagged = _split_config_flag(cls.plain_flags(argv))
        path = _existing_yaml(flagged if flagged is not None else config, cls.default_yaml)
        values = read_yaml(path) if path is not None else {}
        _refuse_unknown_keys(cls, values, path)
        variables = cls.own_variables(os.environ if environment is None else environment)
        _refuse_misspelt_environment(cls, variables)
        _mention_other_sources(cls, flags)
        token = _LOADING.set((values, variables))
        try:
            source: CliSettingsSource[Any] = CliSettingsSource(cls, cli_prog_name=prog, cli_parse_args=list(flags))
            return cls(_cli_settings_source=source)
        except ValidationError as error:
            raise ConfigError(_explain_validation(cls, error, path, values)) from None
        except SettingsError as error:
            raise ConfigError(_explain_sources(cls, str(error), prog)) from None
        finally:
            _LOADING.reset(token)

    def to_yaml(self) -> str:
        """Return the whole resolved configuration as YAML text that ``--config`` reads back."""
        return str(yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True))


class _VariablesSource(EnvSettingsSource):
    """Environment variables from a mapping instead of the process."""

    def __init__(self, settings_cls: type[BaseSettings], variables: Mapping[str, str]) -> None:
        self._variables = variables
        super().__init__(settings_cls)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return {name.lower(): value for name, value in self._variables.items()}


def _mention_other_sources(cls: type[Settings], flags: Sequence[str]) -> None:
    """Tell about ``--config`` and the variables in front of a help text; argparse does not know them."""
    if not {"-h", "--help"} & set(flags):
        return
    prefix = cls.model_config.get("env_prefix")
    names = f"{prefix}NAME for --name"
    if any(len(path) > 1 for path in _paths(cls)):
        names += f", {prefix}SECTION{NESTED}NAME for --section.name"
    variables = f"else from environment variables ({names}), " if prefix else ""
    print(f"Settings come from flags, {variables}else from a YAML file (--config FILE).\n")


def _split_config_flag(argv: Sequence[str]) -> tuple[list[str], str | None]:
    """Take ``--config FILE`` (or ``--config=FILE``) out of the flags."""
    rest: list[str] = []
    config: str | None = None
    words = iter(argv)
    for word in words:
        if word == "--config":
            config = next(words, None)
            if config is None:
                raise ConfigError("--config needs the path of a YAML file behind it.")
        elif word.startswith("--config="):
            config = word.partition("=")[2]
        else:
            rest.append(word)
    return rest, config


def _existing_yaml(named: str | Path | None, defaults: tuple[str, ...]) -> Path | None:
    if named is not None:
        path = Path(named)
        if not path.is_file():
            raise ConfigError(f"--config {path}: there is no such file. Give the path of a YAML file, or leave it out.")
        return path
    return next((Path(name) for name in defaults if Path(name).is_file()), None)


def _suggest(word: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if close:
        return f" Did you mean '{close[0]}'?"
    return f" Known: {', '.join(sorted(known))}." if len(known) <= MAX_LISTED else ""


def _submodel(annotation: Any) -> type[BaseModel] | None:
    """Return the model class in an annotation such as ``Section`` or ``Section | None``."""
    candidates = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    return next((c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), None)


def _paths(model: type[BaseModel], prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every field of a model and of its sections, as tuples of names."""
    for name, field in model.model_fields.items():
        yield (*prefix, name)
        nested = _submodel(field.annotation)
        if nested is not None:
            yield from _paths(nested, (*prefix, name))


def _names_of(model: type[BaseModel]) -> list[str]:
    """Fields of a model under every name that a file may give them."""
    names: list[str] = []
    for name, field in model.model_fields.items():
        alias = field.validation_alias
        others = alias.choices if isinstance(alias, AliasChoices) else ()
        names += dict.fromkeys([name, *(other for other in others if isinstance(other, str))])
    return names


def _refuse_unknown_keys(cls: type[Settings], values: Mapping[str, Any], path: Path | None) -> None:
    """Refuse keys at the top of a file that name no field letter by letter; the sources would ignore the case."""
    known = _names_of(cls)
    unknown = [key for key in values if key not in known]
    if unknown:
        lines = (f"{path}: '{key}' is not a setting of {cls.__name__}.{_suggest(key, known)}" for key in unknown)
        raise ConfigError("\n".join(lines))


def _refuse_misspelt_environment(cls: type[Settings], environment: Mapping[str, str]) -> None:
    """Refuse a variable that carries our prefix without naming a field, or that is one slip away from one that does."""
    prefix = str(cls.model_config.get("env_prefix", "")).upper()
    if not prefix:
        return
    foreign = tuple({*PREFIXES, *cls.foreign_env_prefixes} - {prefix})
    inside = tuple(other for other in foreign if other.startswith(prefix))  # PRETRAIN_PROBE_ inside of PRETRAIN_
    paths = {*((name,) for name in _names_of(cls)), *_paths(cls)}
    known = sorted(prefix + NESTED.join(path).upper() for path in paths)
    for name in sorted(environment):
        upper = name.upper()
        is_foreign = upper.startswith(inside if upper.startswith(prefix) else foreign)
        if upper in known or is_foreign:
            continue
        slip = difflib.get_close_matches(upper, known, n=1, cutoff=0.9)
        if upper.startswith(prefix) or slip:
            hint = f" Did you mean '{slip[0]}'?" if slip else _suggest(upper, known)
            raise ConfigError(f"The environment variable {name} sets nothing in {cls.__name__}.{hint}")


def _names_at(model: type[BaseModel], parents: Sequence[str]) -> list[str]:
    for parent in parents:
        field = model.model_fields.get(parent)
        nested = _submodel(field.annotation) if field is not None else None
        if nested is None:
            return []
        model = nested
    return list(model.model_fields)


def _in_file(values: Mapping[str, Any], location: Sequence[str]) -> bool:
    here: Any = values
    for name in location:
        if not isinstance(here, Mapping) or name not in here:
            return False
        here = here[name]
    return True


def _explain_validation(
    cls: type[Settings], error: ValidationError, path: Path | None, values: Mapping[str, Any]
) -> str:
    lines = []
    for detail in error.errors():
        location = [str(part) for part in detail["loc"]]
        dotted = ".".join(location)
        where = f"{path}: " if path is not None and _in_file(values, location) else ""
        if detail["type"] == "extra_forbidden":
            hint = _suggest(location[-1], _names_at(cls, location[:-1]))
            lines.append(f"{where}'{dotted}' is not a setting of {cls.__name__}.{hint}")
        else:
            found = "" if detail["type"] == "missing" else f", found {detail['input']!r}"
            lines.append(f"{where}'{dotted or cls.__name__}': {_sentence(detail['msg'])}{found}.")
    return "\n".join(lines)


def _sentence(message: str) -> str:
    """Return pydantic's message as the start of a sentence of ours."""
    text = message.removeprefix("Value error, ").rstrip(".")
    return text[:1].lower() + text[1:]


def _explain_sources(cls: type[Settings], message: str, prog: str | None) -> str:
    no_json = re.search(rf'field "(\w+)" from source "{_VariablesSource.__name__}"', message)
    if no_json is not None:
        variable = f"{cls.model_config.get('env_prefix')}{no_json.group(1)}".upper()
        return f"The environment variable {variable} holds no JSON; a list is written [1, 2], words in double quotes."
    unknown = re.search(r"unrecognized arguments: (.*)", message)
    help_line = f" Run '{prog} --help' for the list." if prog else ""
    if unknown is None:
        text = message.removeprefix("error parsing CLI: ")
        return f"{text[:1].upper()}{text[1:].rstrip('.')}.{help_line}"
    words = unknown.group(1).split()
    word = next((w for w in words if w.startswith("-")), None)
    if word is None:
        return f"'{words[0]}' follows no flag that takes it. A switch is turned off with --no-NAME.{help_line}"
    flags = ["--" + ".".join(path).replace("_", "-") for path in _paths(cls)] + ["--config"]
    name = word.partition("=")[0].removeprefix("--").replace("-", "_")
    if name in cls.model_fields and _POSITIONAL in cls.model_fields[name].metadata:
        return f"{name.upper()} is written without a flag: leave {word.partition('=')[0]} out.{help_line}"
    return f"The flag {word} is not known here.{_suggest(word.partition('=')[0], flags)}{help_line}"

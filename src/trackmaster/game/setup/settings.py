"""Settings of the real game, as the seeds name them: ``.env``, YAML and environment variables.

Lowest to highest: defaults, YAML, ``.env`` in the working directory, environment, flags of the verb.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from dotenv import dotenv_values
from pydantic import Field, ValidationError

from trackmaster.config import Section
from trackmaster.errors import ConfigError
from trackmaster.strict_yaml import read_yaml

DOTENV: Final = Path(".env")
YAML: Final = Path("config_files/game.yaml")
VARIABLES: Final = {
    "base_tmi_port": "BASE_TMI_PORT",
    "trackmania_base_path": "TRACKMANIA_BASE_PATH",
    "login": "TRACKMASTER_LOGIN",
    "tmloader_path": "TRACKMASTER_TMLOADER_PATH",
    "tmloader_profile": "TRACKMASTER_TMLOADER_PROFILE",
    "launch_script": "TRACKMASTER_LAUNCH_SCRIPT",
}
"""Name of each setting in ``.env`` and in the environment; a YAML file has it in small letters."""
CONFIGURING: Final = ("base_tmi_port", "trackmania_base_path")
"""Whoever sets one of these has a game; without them the simulator is the default."""


class GameSettings(Section):
    """Where the game is and how it is started."""

    base_tmi_port: int = Field(default=8_478, ge=1, le=65_535)
    """Port of the first instance's plugin; instance i has this plus i."""
    trackmania_base_path: Path = Field(default_factory=lambda: documents() / "TrackMania")
    """User folder of the game, with Tracks/Challenges."""
    login: str = ""
    """Account that the game logs in with; empty leaves it as it is."""
    tmloader_path: Path = Field(default_factory=lambda: Path.home() / "AppData" / "Local" / "TMLoader" / "TMLoader.exe")
    """TMLoader on Windows."""
    tmloader_profile: str = "default"
    """Profile of TMLoader that loads TMInterface."""
    launch_script: Path | None = None
    """Script that starts the game on Linux, with the port as its argument (and the instance number as the second)."""
    sources: Mapping[str, str] = Field(default_factory=dict)
    """Where each setting that is no default came from."""

    @property
    def is_configured(self) -> bool:
        """Whether somebody said that there is a game."""
        return any(name in self.sources for name in CONFIGURING)


def documents() -> Path:
    """Return the user's folder of documents."""
    return Path.home() / "Documents"


def load_game_settings(
    flags: Mapping[str, Any] | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    dotenv: Path = DOTENV,
    yaml: Path | None = None,
) -> GameSettings:
    """Resolve all sources.

    Args:
        flags: settings given on a command line; None values count as not given.
        environment: variables by name; the process's own without it.
        dotenv: a file of ``NAME=value`` lines; one that does not exist is empty.
        yaml: a file of ``name: value`` lines; ``config_files/game.yaml`` where it exists without it.

    Raises:
        ConfigError: a file cannot be read, or a value is none for its setting.
    """
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    path = yaml if yaml is not None else YAML
    from_yaml = read_yaml(path) if yaml is not None or path.is_file() else {}
    unknown = sorted(from_yaml.keys() - {*VARIABLES, *map(str.lower, VARIABLES.values())})
    if unknown:
        raise ConfigError(f"{path}: '{unknown[0]}' is no setting of the game. Known: {', '.join(sorted(VARIABLES))}.")
    named = {**_environment_of(dotenv, read_dotenv(dotenv)), **_environment_of("environment", _given(environment))}
    for name, variable in VARIABLES.items():
        for key in (name, variable.lower()):
            if key in from_yaml:
                values[name], sources[name] = from_yaml[key], str(path)
        if variable in named:
            values[name], sources[name] = named[variable]
        if flags is not None and flags.get(name) is not None:
            values[name], sources[name] = flags[name], "flag"
    try:
        return GameSettings(**values, sources=sources)
    except ValidationError as error:
        detail = error.errors()[0]
        name = str(detail["loc"][0])
        raise ConfigError(
            f"{sources.get(name, 'default')}: {VARIABLES.get(name, name)} is {detail['input']!r}, which cannot be used "
            f"({detail['msg']}). Correct it, or leave it out."
        ) from None


def read_dotenv(path: Path) -> dict[str, str]:
    """Return the variables of a ``.env`` file; backslashes and ``$`` stay as they are, as in paths of Windows.

    Raises:
        ConfigError: the file cannot be read.
    """
    if not path.is_file():
        return {}
    try:
        found = dotenv_values(path, interpolate=False)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: the file of settings cannot be read ({error}).") from None
    return {name: value for name, value in found.items() if value is not None}


def _given(environment: Mapping[str, str] | None) -> Mapping[str, str]:
    return os.environ if environment is None else environment


def _environment_of(place: Path | str, variables: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    known = set(VARIABLES.values())
    return {name: (value, str(place)) for name, value in variables.items() if name in known and value != ""}

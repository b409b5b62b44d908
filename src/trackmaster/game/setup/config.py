"""Flags of ``trackmaster doctor``."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from trackmaster.config import Settings


class DoctorConfig(Settings):
    """Check what the program needs; the settings of the game come from .env, YAML and the environment, too."""

    model_config = SettingsConfigDict(env_prefix="DOCTOR_")

    base_tmi_port: int | None = Field(default=None, ge=1, le=65_535)
    """Port of the first game's plugin; BASE_TMI_PORT or 8478 without it."""
    trackmania_base_path: Path | None = None
    """User folder of the game; TRACKMANIA_BASE_PATH or Documents/TrackMania without it."""
    workers: int = Field(default=1, ge=1, le=64)
    """Game instances to check; with --speeds, games that play at the same time."""
    connect: bool = False
    """Open a session with each game and say who answers; whoever is connected is thrown out."""
    speeds: bool = False
    """Play the same inputs at several running speeds, find out which are exact, and keep the answer for capture."""
    try_speeds: list[float] = Field(default_factory=list)
    """Speeds to try with --speeds; 1 2 4 5 6 8 10 16 20 without it."""
    speeds_replay: Path | None = None
    """Replay whose inputs are played with --speeds; a bundled one without it."""
    tm2020: bool = False
    """Look at TrackMania 2020, too: telemetry, gamepad, window."""
    telemetry_port: int = Field(default=9_000, ge=1, le=65_535)
    """Of the OpenPlanet plugin."""
    telemetry_layout: str = "tmrl"
    """Of its records (docs/tm2020.md)."""
    dotenv: Path = Path(".env")
    """The file of settings to look at."""
    game_config: Path | None = None
    """YAML file with settings of the game; config_files/game.yaml where it exists."""

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
    """Game instances to check."""
    connect: bool = False
    """Open a session with each game and say who answers; whoever is connected is thrown out."""
    dotenv: Path = Path(".env")
    """The file of settings to look at."""
    game_config: Path | None = None
    """YAML file with settings of the game; config_files/game.yaml where it exists."""

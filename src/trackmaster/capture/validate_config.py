"""Flags of the validation of one replay."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from trackmaster.capture.config import rename_rl_config
from trackmaster.capture.plan import MAX_FPS
from trackmaster.config import Settings
from trackmaster.units import TICK_MS


class ValidateConfig(Settings):
    """Capture one replay end to end and print every check, whether it passes or not."""

    model_config = SettingsConfigDict(env_prefix="VALIDATE_")

    replay_path: Path
    """The replay."""
    track_id: str | None = None
    """Name of its folder in the output; the name of the folder it lies in by default."""
    tracks_dir: Path = Path("maps/tracks")
    """Maps, for a replay that holds none."""
    output_dir: Path = Path("capture_validate_out")
    """Where <track_id>/<replay>/ is written."""
    width: int | None = Field(default=None, ge=8, le=4096)
    """Pixels per row; the RL configuration's w_downsized, else 64."""
    height: int | None = Field(default=None, ge=8, le=4096)
    """Rows; the RL configuration's h_downsized, else 64."""
    fps: float = Field(default=10.0, gt=0, le=MAX_FPS)
    """Frames per second of race time."""
    step_ms: int = Field(default=TICK_MS, ge=TICK_MS, multiple_of=TICK_MS)
    """Grid of the label timeline."""
    running_speed: float = Field(default=1.0, gt=0)
    """Speed of the real game."""
    replay_speed: float = Field(default=1.0, gt=0)
    """Speed of the game's own replay of a validated run; inputs are played as a script here, so it changes nothing."""
    base_tmi_port: int | None = Field(default=None, ge=1, le=65535)
    """Port of the game's TMInterface plugin."""
    prepare_only: bool = False
    """Write the script and the copy of the map, run nothing."""
    replay_command: bool = True
    """--no-replay-command: do not use the game's command for validated runs (it is never used here)."""
    use_startup_validatepath: bool = False
    """Have the game validate the file at its start (not needed: the inputs are played as a script)."""
    rl_config_path: Path | None = None
    """RL configuration that names the picture size; --config takes it, too."""
    game: Literal["simulator", "tminterface"] | None = None
    """What runs the replay; the real game where one is configured."""
    mode: Literal["ghost", "drive"] | None = None
    """As in capture."""
    use_tqdm: bool = True
    """Draw a progress bar."""

    @classmethod
    def plain_flags(cls, argv: Sequence[str]) -> list[str]:
        """Let ``--config`` also name the RL configuration, as the documents do."""
        return rename_rl_config(argv)

"""Settings of ``trackmaster drive``; light, so that its ``--help`` is quick."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import CliPositionalArg, SettingsConfigDict

from trackmaster.config import Settings


class DriveConfig(Settings):
    """Let a trained agent drive its track, and show and export what it drove."""

    model_config = SettingsConfigDict(env_prefix="DRIVE_")

    run_dir: CliPositionalArg[Path]
    """Folder of the run, save/<run_name>."""
    weights: Path | None = None
    """Weights file; the best evaluated ones of the run, else its newest, when left out."""
    track: str = ""
    """Name of the track in the run's map cycle; its first one when left out."""
    episodes: int = Field(default=5, ge=1, le=1000)
    """Deterministic episodes; number 0 starts undisturbed, the others as in an evaluation."""
    seed: int = Field(default=1, ge=0)
    """Draws the starts of the episodes."""
    show: int = Field(default=0, ge=0)
    """Number of the episode to show. Only 0, the official start, can be exported: a game starts no car elsewhere."""
    output: Path | None = None
    """Folder to write into; drive/<track> in the folder of the run by default."""
    live: bool = False
    """Show the drive while it happens, on a page of this machine alone; it begins when the page is opened."""
    port: int = Field(default=8050, ge=0, le=65535)
    """Port of the live page; 0 takes a free one."""
    live_speed: float = Field(default=1.0, ge=0, le=100)
    """Race seconds per second on the live page; 0 drives as fast as it can."""
    video: bool = True
    """Draw the video lap.mp4."""
    page: bool = True
    """Write the 3-D page lap.html."""
    width: int = Field(default=854, ge=64, le=3840)
    """Pixels per row of the video."""
    height: int = Field(default=480, ge=64, le=2160)
    """Rows of the video."""
    nickname: str = Field(default="trackmaster", min_length=1, max_length=60)
    """Name of the driver in the replay."""
    use_tqdm: bool = True
    """Draw progress bars on a terminal; plain lines otherwise."""

"""Settings of ``trackmaster track drive``."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import CliPositionalArg, SettingsConfigDict

from trackmaster.config import Settings


class DriveConfig(Settings):
    """Drive maps that nobody drove before: find a way to the finish on the simulator and write it as a replay."""

    model_config = SettingsConfigDict(env_prefix="TRACK_DRIVE_")

    paths: CliPositionalArg[list[Path]]
    """Maps or replays (their embedded map counts), or folders of them."""
    output: Path | None = None
    """Folder for the replays (OUTPUT/<map uid>/pos1_trackmaster_<time>ms.replay.gbx); nothing is written without it."""
    rounds: int = Field(default=100, ge=1)
    """Batches of tries without progress after which a map is given up."""
    limit: int = Field(default=3000, ge=1)
    """Batches of tries per map at most."""
    polish: int = Field(default=10, ge=0)
    """Batches after the first finish, in which a faster way may turn up."""
    tries: int = Field(default=512, ge=16, le=65_536)
    """Simulated cars per batch; another number gives other drives."""
    seed: int = Field(default=0, ge=0)
    """Of all random draws."""

"""Settings of the demo; light, so that its ``--help`` is quick."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from trackmaster.config import Settings


class DemoConfig(Settings):
    """From replays to a driving agent and a report: what to use and how long each part may take."""

    model_config = SettingsConfigDict(env_prefix="DEMO_")

    replays: Path | None = None
    """Folder with replays of your own (searched with its subfolders); the bundled expert replays without it."""
    output: Path = Path("runs/demo")
    """Folder of all that the demo writes; a second call continues there, a demo with other settings is moved aside."""
    track: str | None = None
    """Name or uid of the map to train on; the one with the shortest run without it."""
    fps: float = Field(default=20.0, gt=0, le=100)
    """Frames per second of race time."""
    encoder_epochs: int = Field(default=12, ge=1)
    """Passes of the autoencoder over the frames."""
    train_minutes: float = Field(default=7.0, gt=0)
    """Wall time of the agent's training."""
    episodes: int = Field(default=10, ge=1, le=1000)
    """Deterministic episodes per evaluation."""
    seed: int = Field(default=0, ge=0)
    """Of the encoder, the agent and its evaluations."""
    use_tqdm: bool = True
    """Draw progress bars on a terminal; plain lines otherwise."""

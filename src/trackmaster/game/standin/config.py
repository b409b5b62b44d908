"""Flags of ``trackmaster standin``."""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from trackmaster.config import Settings

DEFAULT_PORT = 8_478
"""Port of the first instance, as the public projects number them."""


class StandinConfig(Settings):
    """Serve the simulator as if it were the game: where, with which maps, and what goes wrong."""

    model_config = SettingsConfigDict(env_prefix="STANDIN_")

    port: int = Field(default=DEFAULT_PORT, ge=0, le=65_535)
    """Port of the first instance; 0 takes free ones and says which."""
    instances: int = Field(default=1, ge=1, le=64)
    """Games in this process, on this port and the ones after it."""
    base_path: Path | None = None
    """User folder of the game with Tracks/Challenges; the bundled tracks are always there, too."""
    scripts_path: Path | None = None
    """Folder of input scripts; TMInterface/Scripts beside the user folder by default."""
    map: str | None = None
    """A map that is loaded at once, such as first_steps.Challenge.Gbx."""
    dialect: Literal["ours", "plain"] = "ours"
    """plain: only the public plugin's protocol; ours: more, once a client asks for it."""
    fps: int = Field(default=100, ge=1, le=1_000)
    """Pictures per second of real time; at speed 16 the race moves on by 1600 / fps ticks between two of them."""
    focused: bool = True
    """Whether the window has had the focus; without it no input counts."""
    minimised: bool = False
    """A minimised window draws nothing and accepts no client."""
    startup_frames: int = Field(default=0, ge=0)
    """Pictures before the menus come."""
    load_frames: int = Field(default=10, ge=1)
    """Pictures from the command to the new map."""
    medal_ticks: int = Field(default=100, ge=0)
    """Ticks from the finish to the medal screen."""
    intros: bool = False
    """Every map has an intro that waits for a key, whatever its file says."""
    fault: list[str] = Field(default_factory=list)
    """What goes wrong: KIND@PHASE or KIND@PHASE:N, such as hang@frame:3; may be given several times."""
    allow_unknown_blocks: bool = False
    """Load maps although the geometry of some drivable blocks is unknown."""
    device: str = "cpu"
    """Of physics and pictures."""
    openplanet: bool = False
    """Be TrackMania 2020 with OpenPlanet instead: telemetry on --openplanet-port, ghosts, pad and screen beside it."""
    openplanet_port: int = Field(default=9_000, ge=0, le=65_535)
    """Port of the telemetry; 0 takes a free one, here and for the two ports below."""
    ghost_port: int = Field(default=10_000, ge=0, le=65_535)
    """Any connection to this port saves the ghost."""
    desk_port: int = Field(default=9_100, ge=0, le=65_535)
    """Port of pad and screen."""
    openplanet_layout: Literal["tmrl", "tmrl-aim", "tmrl-two-players", "sixteen", "thirty-three", "trackmaster"] = (
        "tmrl"
    )
    """Of the telemetry records; tmrl sends 11 floats."""
    ghost_folder: Path | None = None
    """Where saved ghosts are written; they are only counted without it."""
    virtual_time: bool = False
    """Time passes only when the desk says so (--openplanet)."""
    countdown_ms: int = Field(default=1_500, ge=0)
    """From a restart to the green light (--openplanet)."""

    @property
    def resolved_scripts_path(self) -> Path | None:
        """The folder of scripts in force."""
        if self.scripts_path is not None or self.base_path is None:
            return self.scripts_path
        return self.base_path.parent / "TMInterface" / "Scripts"

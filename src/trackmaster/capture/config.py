"""Flags of capture: the seeds' names and defaults, for the simulator and for the real game."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator
from pydantic_settings import SettingsConfigDict

from trackmaster.capture.plan import MAX_FPS
from trackmaster.config import Settings
from trackmaster.errors import ConfigError
from trackmaster.strict_yaml import read_yaml
from trackmaster.units import TICK_MS

DEFAULT_SIZE_PX = 64
"""Width and height when no RL configuration names them."""

DEFAULT_REPLAYS = Path("maps/replays")
DEFAULT_TRACK_IDS = Path("maps/track_ids.txt")
"""The list beside the usual replays; it names the tracks where no flag does."""

_DECIDING = (
    "fps", "fps_meta", "step_ms", "input_time_offset_ms", "vcp_distance", "vcp_suffix", "vcp_auto_generate",
    "vcp_source", "skip_bad_float_samples", "exclude_respawn_maps", "game", "sample_tolerance_m", "finish_margin_ms",
    "verify", "allow_unknown_blocks", "per_frame_json",
)  # fmt: skip
"""Flags that can change what a replay becomes; a rejected replay is tried again only when one of them changed."""

_DECIDING_ON_GAME = ("autosave_ghost", "respawn_action", "respawn_after_cp_ms")
"""Flags that only on the real game change what a replay becomes."""


class CaptureConfig(Settings):
    """Turn replays into frames with labels: where from, where to, which pictures, which checks.

    ``--config FILE`` takes either a file with these settings or the RL configuration, whose picture size is used then.
    """

    model_config = SettingsConfigDict(env_prefix="CAPTURE_")

    replays_dir: Path = DEFAULT_REPLAYS
    """Replays: <track_id>/*.replay.gbx, or a flat folder of *.Replay.Gbx (the map's uid is the track id then)."""
    output_dir: Path = Path("capture_frames_out")
    """Where <track_id>/<replay>/ folders go."""
    tracks_dir: Path = Path("maps/tracks")
    """Maps: <track_id>/*.Challenge.Gbx or <track_id>.Challenge.Gbx; the map inside a replay always wins."""
    width: int | None = Field(default=None, ge=8, le=4096)
    """Pixels per row; the RL configuration's w_downsized, else 64."""
    height: int | None = Field(default=None, ge=8, le=4096)
    """Rows; the RL configuration's h_downsized, else 64."""
    fps: float = Field(default=10.0, gt=0, le=MAX_FPS)
    """Frames per second of race time, at most one per tick."""
    fps_meta: float | None = Field(default=None, gt=0, le=MAX_FPS)
    """State snapshots per second of race time, besides one per frame and one per ghost sample."""
    running_speed: float = Field(default=1.0, gt=0)
    """Speed of the real game; the simulator's clock is virtual, so there it changes nothing."""
    step_ms: int = Field(default=TICK_MS, ge=TICK_MS, multiple_of=TICK_MS)
    """Grid of the label timeline."""
    input_time_offset_ms: int = Field(default=0, multiple_of=TICK_MS)
    """Shift all inputs in time (for diagnosis)."""
    respawn_action: Literal["enter", "backspace"] = "enter"
    """Key that a script presses for a respawn in the real game."""
    respawn_after_cp_ms: int = Field(default=0, ge=0)
    """Earliest respawn after a checkpoint in a script for the real game."""
    workers: int = Field(default=1, ge=1, le=64)
    """Processes that capture at the same time, each with its own game."""
    base_tmi_port: int | None = Field(default=None, ge=1, le=65535)
    """Port of the first game's TMInterface plugin."""
    track_ids: str | None = None
    """File with one track id per line, or a single id; without it maps/track_ids.txt for maps/replays, else all."""
    track_id: str | None = None
    """One track only."""
    max_replays_per_track: int | None = Field(default=None, ge=1)
    """The first N by leaderboard position and time."""
    per_frame_json: bool = False
    """Write every manifest entry into a file of its own as well."""
    vcp_dir: Path = Path("maps/vcp")
    """Reference lines: <track_id>_<distance>m_<suffix>.npy."""
    vcp_distance: float = Field(default=0.5, gt=0, le=50)
    """Spacing of the points of a new line in metres."""
    vcp_suffix: str = "cl"
    """Last part of a line's name."""
    vcp_auto_generate: bool = True
    """Build missing lines from a replay of the track."""
    vcp_source: Literal["first", "best"] = "first"
    """Which replay a new line comes from."""
    skip_bad_float_samples: bool = False
    """Leave out frames whose floats are not valid."""
    exclude_respawn_maps: bool = False
    """Reject replays with respawns."""
    exclude_enter_maps: Path | None = None
    """File with track ids to leave out."""
    write_enter_maps: Path | None = None
    """File for the ids of maps that never started in the real game."""
    rl_config_path: Path | None = None
    """RL configuration that names the picture size."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """How much is said while it runs."""
    game: Literal["simulator", "tminterface"] | None = None
    """What draws the frames: the real game where one is configured or --base-tmi-port is given, else the simulator."""
    mode: Literal["ghost", "drive"] | None = None
    """ghost places the car on the recorded run, drive lets the inputs drive it; ghost on the simulator by default."""
    sample_tolerance_m: float | None = Field(default=None, gt=0)
    """Largest distance to the ghost at a sample that ``drive`` accepts: 1 m on the simulator, 1 mm on the game."""
    finish_margin_ms: int = Field(default=-1, ge=-1)
    """Leave out the frames of this stretch before the finish; -1 runs through it."""
    verify: bool = True
    """Reject what fails a check; with --no-verify it is kept and marked."""
    force_speed: bool = False
    """Accept a running speed of the real game that was measured as inexact."""
    autosave_ghost: bool = False
    """Copy the replay into the real game's Autosaves, so that its car is seen in the pictures."""
    login: str = "trackmaster"
    """Account name in the file names of Autosaves; TRACKMASTER_LOGIN where that is set."""
    keep_intros: bool = False
    """Leave intro clips in the real game's copy of the map."""
    allow_unknown_blocks: bool = False
    """Capture maps although the geometry of some drivable blocks is unknown; they are missing in the pictures."""
    overwrite: bool = False
    """Capture replays again that are already there."""
    use_tqdm: bool = True
    """Draw a progress bar; plain lines otherwise."""

    @field_validator("vcp_suffix")
    @classmethod
    def _suffix_is_a_name(cls, value: str) -> str:
        if not value or not all(letter.isalnum() or letter in "_-" for letter in value):
            raise ValueError("must be letters, digits, '_' or '-'")
        return value

    @property
    def resolved_game(self) -> Literal["simulator", "tminterface"]:
        """What draws the frames, as far as these flags tell."""
        return self.game or ("simulator" if self.base_tmi_port is None else "tminterface")

    @property
    def resolved_mode(self) -> Literal["ghost", "drive"]:
        """The mode in force."""
        return self.mode or ("ghost" if self.resolved_game == "simulator" else "drive")

    @property
    def resolved_tolerance_m(self) -> float:
        """The largest accepted distance to a ghost sample in force."""
        if self.sample_tolerance_m is not None:
            return self.sample_tolerance_m
        return 1.0 if self.resolved_game == "simulator" else 0.001

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height in force: flags, then the RL configuration, then 64 x 64."""
        width, height = self.width, self.height
        if (width is None or height is None) and self.rl_config_path is not None:
            named = _picture_size(read_yaml(self.rl_config_path), self.rl_config_path)
            width, height = width or named[0], height or named[1]
        return width or DEFAULT_SIZE_PX, height or DEFAULT_SIZE_PX

    @property
    def fingerprint(self) -> str:
        """16 hex digits that change when a flag that decides about replays changes."""
        on_game = _DECIDING_ON_GAME if self.resolved_game == "tminterface" else ()
        values = {name: getattr(self, name) for name in (*_DECIDING, *on_game)}
        values |= {
            "game": self.resolved_game,
            "mode": self.resolved_mode,
            "size": self.size_px,
            "sample_tolerance_m": self.resolved_tolerance_m,
        }
        return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()[:16]

    @classmethod
    def plain_flags(cls, argv: Sequence[str]) -> list[str]:
        """Let ``--config`` also name the RL configuration, as the documents do."""
        return rename_rl_config(argv)


def rename_rl_config(argv: Sequence[str]) -> list[str]:
    """Turn ``--config FILE`` into ``--rl-config-path FILE`` where the file is an RL configuration."""
    words = [part for word in argv for part in (word.split("=", 1) if word.startswith("--config=") else (word,))]
    for index, word in enumerate(words[:-1]):
        path = Path(words[index + 1])
        if word == "--config" and path.is_file() and "neural_network" in read_yaml(path):
            words[index] = "--rl-config-path"
    return words


def _picture_size(values: dict[str, Any], path: Path) -> tuple[int, int]:
    section = values.get("neural_network")
    width, height = (section.get(key) if isinstance(section, dict) else None for key in ("w_downsized", "h_downsized"))
    for side in (width, height):
        if not isinstance(side, int) or not 8 <= side <= 4096:
            raise ConfigError(
                f"{path}: neural_network.w_downsized and h_downsized must be whole numbers from 8 to 4096. "
                "Correct the file, or give --width and --height."
            )
    return int(width or 0), int(height or 0)

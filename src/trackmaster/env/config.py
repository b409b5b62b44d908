"""What an agent sees, what it is paid for and when an episode ends."""

from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, model_validator

from trackmaster.config import Section

if TYPE_CHECKING:
    from trackmaster.game.looks import Looks

ExtraFloats = Literal["lateral_contact", "turbo", "wheel_contact_count"]
ActionKind = Literal["keys", "analog"]
FloatSet = Literal["iqn", "telemetry", "lidar", "state"]


class RewardConfig(Section):
    """Coefficients of one decision's reward and of the potential that is added when a batch is drawn."""

    per_ms: float = -6 / 5000
    """Paid for every millisecond of race time."""
    per_m: float = 5 / 500
    """Paid for every metre of progress along the reference line."""
    final_speed_s: float = 0.0
    """Seconds for which gained speed counts as if it were progress already (rulka uses 2)."""
    speedslide: float = 0.0
    """For a slide at the ideal angle with all four wheels down."""
    neoslide: float = 0.0
    """For sideways speed of at least 2 m/s."""
    kamikaze: float = 0.0
    """For full gas, or for at most one wheel on the ground."""
    close_to_line: float = 0.0
    """Per metre of distance to the reference line, counted from 5 to 25 m."""
    potential_per_m: float = -0.1
    """Potential per metre of distance to the current zone centre, counted from 2 to 25 m."""
    potential_ahead: float = 0.0
    """Potential for looking along the line, times (cosine - 1)."""


class LooksConfig(Section):
    """How pictures vary from environment to environment; 0 and False keep the usual ones."""

    colors: float = Field(default=0.0, ge=0.0, le=1.0)
    """How far the colours of surfaces, sky and horizon may differ."""
    light: float = Field(default=0.0, ge=0.0, le=1.0)
    """How far place and strength of the sun may differ."""
    textures: bool = False
    """Draw grain and strength of the textures anew."""
    camera_jitter_m: float = Field(default=0.0, ge=0.0, le=2.0)
    """Largest distance of the camera from its place along each axis, drawn for every picture."""
    camera_jitter_deg: float = Field(default=0.0, ge=0.0, le=20.0)
    """Largest turn of the camera about each axis, drawn for every picture."""

    def draw(self, seed: int) -> "Looks":
        """Return the looks of the environment with this seed."""
        from trackmaster.game.looks import Looks, varied_appearance

        is_varied = self.colors > 0 or self.light > 0 or self.textures
        varied = varied_appearance(seed, colors=self.colors, light=self.light, textures=self.textures)
        return Looks(varied if is_varied else None, self.camera_jitter_m, self.camera_jitter_deg, seed)


class EnvConfig(Section):
    """One environment: picture, floats, reward and the limits of an episode."""

    image_width: int = Field(default=64, ge=8, le=1024)
    """Pixels per row of the grey picture (``w_downsized`` of the agent's configuration)."""
    image_height: int = Field(default=64, ge=8, le=1024)
    """Rows of the grey picture (``h_downsized``)."""
    images: bool = True
    """Draw pictures; without them ``image`` is left out of the observation and only physics costs time."""
    n_frames: int = Field(default=1, ge=1, le=16)
    """Pictures per observation, oldest first; 1 keeps weights interchangeable with Linesight."""
    actions: ActionKind = "keys"
    """``keys``: index into the table of 12; ``analog``: gas, brake, steer from -1 to 1 (SAC, REDQ, PPO)."""
    floats: FloatSet = "iqn"
    """``iqn``: the 184 raw floats; the others are scaled: ``telemetry`` (15, beside pictures), ``lidar`` (93) or
    ``state`` (115); ``env.driver_floats`` says what stands where."""
    extra_floats: tuple[ExtraFloats, ...] = ()
    """Optional floats appended after index 183 of ``iqn``, in this order."""
    ticks_per_action: int = Field(default=5, ge=1, le=100)
    """Physics ticks of 10 ms that one decision lasts."""
    stall_limit_ms: int = Field(default=2_000, ge=10)
    """Cut the episode off when no new zone was reached for this long."""
    stall_limit_ms_by_track: dict[str, int] = Field(default_factory=dict)
    """Longer limits for maps with long flights, by map uid."""
    time_limit_ms: int = Field(default=300_000, ge=10)
    """Cut the episode off at this race time."""
    deck_height_m: float = float("-inf")
    """Below this height the zone stays where it is."""
    snapshot_start_fraction: float = Field(default=0.0, ge=0.0, le=1.0)
    """Share of episodes that begin from a kept state of an earlier episode instead of the start line."""
    snapshot_margin_ticks: int = Field(default=200, ge=0)
    """How long before a failure a state must lie to serve as a start."""
    looks: LooksConfig = LooksConfig()
    """Domain randomisation of the pictures (vector environment only)."""
    reward: RewardConfig = RewardConfig()

    @model_validator(mode="after")
    def _extras_belong_to_the_184(self) -> Self:
        if self.extra_floats and self.floats != "iqn":
            raise ValueError(
                f"extra_floats are appended to floats: iqn only; with floats: {self.floats} leave them out"
            )
        return self

    def stall_limit_for(self, track_uid: str) -> int:
        """Return the stall limit of one map in ms."""
        return self.stall_limit_ms_by_track.get(track_uid, self.stall_limit_ms)

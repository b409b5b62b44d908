"""The sections of a training configuration about what is driven and seen; names as Linesight's and rulka's users know.

Frames in every schedule are decisions of 50 ms.
"""

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from trackmaster.env.config import ExtraFloats, LooksConfig
from trackmaster.rl.config.base import FiniteSection


class EnvironmentSection(FiniteSection):
    """Cars, clock and limits of an episode."""

    game: Literal["simulator"] = "simulator"
    """Where the cars drive."""
    n_envs: int = Field(default=16, ge=1, le=4096)
    """Cars that one worker drives side by side."""
    tm_engine_step_per_action: int = Field(default=5, ge=1, le=100)
    """Physics ticks of 10 ms per decision."""
    temporal_mini_race_duration_ms: int = Field(default=7_000, ge=100)
    """Window over which rewards are summed; the agent always acts as if all of it lay ahead."""
    cutoff_rollout_if_no_vcp_passed_within_duration_ms: int = Field(default=2_000, ge=10)
    """Cut an episode off when no new zone of the reference line was reached for this long."""
    cutoff_rollout_if_race_not_finished_within_duration_ms: int = Field(default=300_000, ge=10)
    """Cut an episode off at this race time."""
    deck_height: float | None = None
    """Below this height (m) the zone stays where it is; left out, no height matters."""
    snapshot_start_fraction: float = Field(default=0.5, ge=0.0, le=1.0)
    """Share of training episodes that begin from a state an earlier episode passed through."""
    snapshot_margin_ticks: int = Field(default=200, ge=0)
    """How long before a failure such a state must lie."""
    looks: LooksConfig = LooksConfig()
    """Domain randomisation of the pictures an agent is trained on; each worker draws its own, evaluation none."""


class InputsSection(FiniteSection):
    """What is appended to the 184 floats."""

    extra_floats: tuple[ExtraFloats, ...] = ()
    """Names of the appended floats, in this order; none keeps weights interchangeable with Linesight."""


class StateNormalizationSection(FiniteSection):
    """Means and deviations of the floats; the environment's table where left out."""

    float_inputs_mean: tuple[float, ...] | None = None
    """One number per float, subtracted from it."""
    float_inputs_std: tuple[float, ...] | None = None
    """One number per float; the difference is divided by it."""

    @field_validator("float_inputs_std")
    @classmethod
    def _positive_deviations(cls, values: tuple[float, ...] | None) -> tuple[float, ...] | None:
        for number, value in enumerate(values or ()):
            if value <= 0:
                raise ValueError(f"a deviation must be positive, number {number} is {value:g}; 1 leaves a float as is")
        return values


class RewardsSection(FiniteSection):
    """Coefficients of the reward; a decision costs 0.06 and a metre brings 0.01 by default."""

    constant_reward_per_ms: float = -6 / 5000
    """Paid for every millisecond of race time."""
    reward_per_m_advanced_along_centerline: float = 5 / 500
    """Paid for every metre of progress along the reference line."""
    final_speed_reward_as_if_duration_s: float = Field(default=0.0, ge=0)
    """Gained speed counts as if it had lasted this long already."""
    engineered_speedslide_reward: float = 0.0
    """Per decision, for a slide at the ideal angle with all four wheels down."""
    engineered_neoslide_reward: float = 0.0
    """Per decision, for sideways speed of at least 2 m/s."""
    engineered_kamikaze_reward: float = 0.0
    """Per decision, for full gas or for at most one wheel on the ground."""
    engineered_close_to_vcp_reward: float = 0.0
    """Per decision and metre of distance to the reference line, counted from 5 to 25 m."""
    shaped_reward_dist_to_cur_vcp: float = -0.1
    """Potential per metre of distance to the reference line, 2 to 25 m."""
    shaped_reward_point_to_vcp_ahead: float = 0.0
    """Potential for looking along the line."""


class MapEntry(FiniteSection):
    """One kind of episode in the cycle."""

    short_name: str = Field(min_length=1)
    """Name of the track in metrics and files."""
    map_path: str = Field(min_length=1)
    """A ``.Challenge.Gbx`` file, or ``bundled:<name>`` for a track that comes with the program."""
    reference_line_path: str | None = None
    """A ``.npy`` reference line or a ``.Replay.Gbx``; the track's own when left out."""
    is_exploration: bool = True
    """Whether cars stray from the greedy action."""
    fill_buffer: bool = True
    """Whether the learner may learn from these episodes."""
    repeat: int = Field(default=1, ge=1)
    """Episodes in a row."""
    cutoff_rollout_if_no_vcp_passed_within_duration_ms: int | None = Field(default=None, ge=10)
    """Longer or shorter limit for this track, as long flights need; that of the environment when left out."""


class MapCycleSection(FiniteSection):
    """Which tracks are driven, and how often with exploration."""

    entries: tuple[MapEntry, ...] = Field(default=(), validate_default=True)
    """Episodes in the order in which they are driven, again and again."""

    @model_validator(mode="after")
    def _one_file_per_name(self) -> Self:
        places: dict[str, tuple[str, str | None]] = {}
        limits: dict[str, int | None] = {}
        for entry in self.entries:
            place = (entry.map_path, entry.reference_line_path)
            if places.setdefault(entry.short_name, place) != place:
                raise ValueError(f"the name {entry.short_name!r} stands for two different tracks")
            limit = entry.cutoff_rollout_if_no_vcp_passed_within_duration_ms
            if limits.setdefault(entry.short_name, limit) != limit:
                raise ValueError(
                    f"the entries of {entry.short_name!r} say different cutoff_rollout_if_no_vcp_passed_within_"
                    "duration_ms: give all of them the same"
                )
        return self

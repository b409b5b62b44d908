"""Which rejections stand: a replay is tried again when something changed that its reason depends on."""

import hashlib
from pathlib import Path

from trackmaster import __version__
from trackmaster.capture.config import CaptureConfig
from trackmaster.capture.errors import UNFORESEEN
from trackmaster.capture.lines import line_path
from trackmaster.capture.outcomes import Outcome
from trackmaster.capture.source import local_map
from trackmaster.files import sha256_of

SAME_NAME = "same_name"
"""Reason of a rejection that depends on the other files alone, so that every run decides about it anew."""

_BY_MAP = ("no_map", "map_mismatch")
_BY_LINE = ("no_valid_frames", "meta")
RUN_REASONS = ("not_finished", "finish_diff", "cp_diff", "sample_diff")
"""What comes out differently on a game that is played in another way."""
_BY_CHANCE = (UNFORESEEN, "no_start", "stuck_menu", "stalled", "timeout", "frame_tick", "inputs_diff")
"""What a machine or a game does at one time and not at another."""
_BY_WINDOW = ("image", "count")
"""What depends on the window of a game, its HUD and how fast it draws; the simulator has none."""


def circumstances(reason: str, track_id: str, config: CaptureConfig) -> str:
    """Return 16 hex digits that change when a rejection may no longer be right, apart from its file and the flags.

    That is the program's version always, the local map where the map was the reason, the reference line where the
    floats were, and how fast and beside how many others the game ran where its run was.
    """
    cause: Path | None = None
    if track_id and reason in _BY_MAP:
        cause = local_map(config.tracks_dir, track_id)
    elif track_id and reason in _BY_LINE:
        cause = line_path(config, track_id)
    state = sha256_of(cause) if cause is not None and cause.is_file() else ""
    if reason.startswith(RUN_REASONS) and config.resolved_game == "tminterface":
        state += f"speed {config.running_speed:g}, {config.workers} games"
    return hashlib.sha256(f"{__version__} {state}".encode()).hexdigest()[:16]


def is_passing(reason: str, config: CaptureConfig) -> bool:
    """Return whether a rejection says something about the moment rather than about the replay."""
    is_played = config.resolved_game == "tminterface"
    return reason.startswith(_BY_CHANCE) or (is_played and reason in _BY_WINDOW)


def is_settled(before: Outcome, config: CaptureConfig) -> bool:
    """Return whether an outcome is a rejection that would come out the same again."""
    return (
        before.status == "rejected"
        and not is_passing(before.reason, config)
        and before.reason != SAME_NAME
        and before.settings == config.fingerprint
        and before.circumstances == circumstances(before.reason, before.track_id, config)
    )

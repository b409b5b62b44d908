"""The stand-in of TrackMania 2020 from its flags."""

from typing import Final

from trackmaster.game.openplanet.standin import OpenPlanetStandin
from trackmaster.game.standin.config import StandinConfig
from trackmaster.track.named import track_named

DEFAULT_TRACK: Final = "first_steps"


def openplanet_standin(config: StandinConfig) -> OpenPlanetStandin:
    """Return the stand-in, not started yet.

    Raises:
        TrackmasterError: a port is taken, or the map cannot be driven.
    """
    return OpenPlanetStandin(
        track_named(config.map or DEFAULT_TRACK, allow_unknown=config.allow_unknown_blocks),
        port=config.openplanet_port,
        ghost_port=config.ghost_port,
        desk_port=config.desk_port,
        layout=config.openplanet_layout,
        fps=config.fps,
        is_virtual=config.virtual_time,
        countdown_ms=config.countdown_ms,
        ghost_folder=config.ghost_folder,
    )

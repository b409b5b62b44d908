"""The stand-in of TrackMania 2020 from its flags."""

from dataclasses import replace
from pathlib import Path
from typing import Final

from trackmaster import gbx
from trackmaster.game.openplanet.standin import OpenPlanetStandin
from trackmaster.game.standin.config import StandinConfig
from trackmaster.game.state import GameError
from trackmaster.track import Track, line_from_path
from trackmaster.track.bundled import bundled_challenge

DEFAULT_TRACK: Final = "first_steps"
_SUFFIX: Final = ".Challenge.Gbx"


def openplanet_standin(config: StandinConfig) -> OpenPlanetStandin:
    """Return the stand-in, not started yet.

    Raises:
        TrackmasterError: a port is taken, or the map cannot be driven.
    """
    return OpenPlanetStandin(
        _track(config),
        port=config.openplanet_port,
        ghost_port=config.ghost_port,
        desk_port=config.desk_port,
        layout=config.openplanet_layout,
        fps=config.fps,
        is_virtual=config.virtual_time,
        countdown_ms=config.countdown_ms,
        ghost_folder=config.ghost_folder,
    )


def _track(config: StandinConfig) -> Track:
    name = config.map or DEFAULT_TRACK
    if Path(name).is_file():
        found = gbx.read(Path(name))
        if not isinstance(found, gbx.Challenge):
            raise GameError(f"{name}: holds no map; give a {_SUFFIX} file or the name of a bundled track.")
        challenge = found
    else:
        challenge = bundled_challenge(name.removesuffix(_SUFFIX)).challenge
    track = Track.from_challenge(challenge, allow_unknown=config.allow_unknown_blocks)
    return replace(track, reference_line=line_from_path(track.centre_line(), map_uid=track.uid))

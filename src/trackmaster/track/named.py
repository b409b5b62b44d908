"""A track by what people call it: a bundled one by its name, any other by its map file."""

from dataclasses import replace
from pathlib import Path

from trackmaster import gbx
from trackmaster.track.bundled import bundled_challenge
from trackmaster.track.errors import TrackError
from trackmaster.track.reference_line import line_from_path
from trackmaster.track.track import Track

_SUFFIX = ".Challenge.Gbx"


def track_named(name: str, *, allow_unknown: bool = False) -> Track:
    """Return a track with the middle of its road as reference line.

    Args:
        name: of a bundled track, with or without ``.Challenge.Gbx``, or the path of a map file.
        allow_unknown: leave drivable blocks without known geometry out instead of refusing the map.

    Raises:
        TrackError: there is no such track or file, or it cannot be driven.
        GbxError: the file is damaged.
    """
    path = Path(name)
    if path.is_file():
        found = gbx.read(path)
        if not isinstance(found, gbx.Challenge):
            raise TrackError(f"{name}: holds no map; give a {_SUFFIX} file or the name of a bundled track.")
        challenge = found
    elif path.parent != Path():
        raise TrackError(f"{name}: there is no such map file. Give a {_SUFFIX} file or the name of a bundled track.")
    else:
        challenge = bundled_challenge(name.removesuffix(_SUFFIX)).challenge
    track = Track.from_challenge(challenge, allow_unknown=allow_unknown)
    return replace(track, reference_line=line_from_path(track.centre_line(), map_uid=track.uid))

"""A short straight track for the TrackMania 2020 stand-in."""

import dataclasses

import pytest

from trackmaster.gbx import Challenge
from trackmaster.track import Track, line_from_path
from trackmaster.track.layout import RoadLayout


@pytest.fixture(scope="session")
def straight() -> Track:
    """Start, four cells of road, the finish, four cells."""
    road = RoadLayout(10, 1, 5, 0).straights(4).add("StadiumRoadMainFinishLine").straights(4)
    track = Track.from_challenge(Challenge(uid="straight2020", name="Straight", blocks=tuple(road.blocks)))
    return dataclasses.replace(track, reference_line=line_from_path(track.centre_line(), map_uid=track.uid))

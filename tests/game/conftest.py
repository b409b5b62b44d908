"""A short straight track that is driven in about seven seconds."""

import dataclasses

import pytest

from trackmaster.gbx import Challenge
from trackmaster.track import Track, line_from_path
from trackmaster.track.layout import RoadLayout


@pytest.fixture(scope="session")
def straight() -> Track:
    """Start, four cells of road, a checkpoint, four cells, the finish."""
    road = RoadLayout(10, 1, 5, 0).straights(4).add("StadiumRoadMainCheckpoint")
    road.straights(4).add("StadiumRoadMainFinishLine").straights(4)
    track = Track.from_challenge(Challenge(uid="straight", name="Straight", blocks=tuple(road.blocks)))
    return dataclasses.replace(track, reference_line=line_from_path(track.centre_line(), map_uid=track.uid))

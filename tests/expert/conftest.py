"""A short track with one bend, and a team that practises for a moment only."""

import pytest

from trackmaster.expert import Expert, Found, PlanSearch, Refinement, Route, Style
from trackmaster.expert.line import Corridor, build_corridor
from trackmaster.gbx import Challenge, make_uid
from trackmaster.sim import World
from trackmaster.track import Track
from trackmaster.track.bundled import BundledTrack
from trackmaster.track.layout import RoadLayout


@pytest.fixture(scope="session")
def short() -> BundledTrack:
    """Start, checkpoint, a left bend of 48 m radius, a straight and the finish: about seven seconds."""
    road = RoadLayout(10, 1, 8, 0).add("StadiumRoadMainCheckpoint").straights(1).left(2).straights(2)
    blocks = road.add("StadiumRoadMainFinishLine").blocks
    challenge = Challenge(uid=make_uid("expert test"), name="Short", author="trackmaster", blocks=tuple(blocks))
    return BundledTrack("short", challenge, "one bend")


@pytest.fixture(scope="session")
def track(short: BundledTrack) -> Track:
    return Track.from_challenge(short.challenge)


@pytest.fixture(scope="session")
def route(track: Track) -> Route:
    return Route.of_track(track)


@pytest.fixture(scope="session")
def corridor(track: Track, route: Route) -> Corridor:
    return build_corridor(track, route)


@pytest.fixture(scope="session")
def team() -> tuple[Expert, ...]:
    """Two quick learners, one of whom refines."""
    quick = Refinement(seed=1, changed=10, horizon=36, keep=8, rounds=1)
    return Expert(Style(seed=1, generations=2), quick), Expert(Style(seed=2, generations=0, room=0.4))


@pytest.fixture(scope="session")
def world(track: Track) -> World:
    return World(track, 48)


@pytest.fixture(scope="session")
def found(world: World, route: Route, corridor: Corridor) -> Found:
    """A drive that finishes the short track, after little practice."""
    return PlanSearch(world, route, corridor, Style(seed=1, generations=5), limit_ms=15_000).run()

"""A team of drivers for a track: the same search with different seeds, patience and courage."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from trackmaster.expert.line import find_way
from trackmaster.expert.refine import Refinement, Refiner
from trackmaster.expert.search import Found, PlanSearch, Style
from trackmaster.sim import World
from trackmaster.track import Track

CANDIDATES = 256
"""Drives per batch for the bundled files. Another number gives other drives."""

LIMIT_MS_PER_M = 60
LEAST_LIMIT_MS = 15_000


@dataclass(frozen=True)
class Expert:
    """One driver of the team.

    Attributes:
        style: how the plan is searched.
        refinement: how key presses are refined afterwards, None for a driver who keeps to the plan.
    """

    style: Style
    refinement: Refinement | None = None


TEAM: tuple[Expert, ...] = (
    Expert(Style(seed=1, generations=18), Refinement(seed=1, rounds=3)),
    Expert(Style(seed=2, generations=6)),
    Expert(Style(seed=3, generations=5, room=0.6)),
    Expert(Style(seed=4, generations=1, room=0.35)),
)
"""The drivers of the bundled replays: our best, a good one, one who keeps off the edges, a careful beginner."""


def find_drives(
    track: Track,
    team: Sequence[Expert] = TEAM,
    *,
    candidates: int = CANDIDATES,
    report: Callable[[str], None] = lambda _: None,
) -> Iterator[Found]:
    """Search one drive per member of the team, in their order; equal arguments give equal drives.

    Args:
        track: where to drive.
        team: who drives.
        candidates: drives per batch; at least 16.
        report: called with a line of text after each batch.

    Raises:
        ExpertError: a member found no way to the finish.
        TrackError: the track has no connected road from start to finish.
    """
    route, corridor = find_way(track)
    world = World(track, candidates)
    limit_ms = max(LEAST_LIMIT_MS, int(LIMIT_MS_PER_M * route.finish_m) // 1_000 * 1_000)
    for expert in team:
        found = PlanSearch(world, route, corridor, expert.style, limit_ms=limit_ms).run(report)
        if expert.refinement is not None:
            found = Refiner(world, route, found, expert.refinement).run(report)
        yield found

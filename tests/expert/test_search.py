from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from trackmaster.expert import (
    Expert,
    ExpertError,
    Found,
    PlanSearch,
    Refinement,
    Refiner,
    Route,
    Style,
    drive_timeline,
    timeline_of,
)
from trackmaster.expert.line import Corridor
from trackmaster.gbx.timeline import ACCELERATE
from trackmaster.sim import World
from trackmaster.track import Track

LIMIT_MS = 15_000


def test_full_gas_alone_scrapes_along_the_barrier_and_is_a_tenth_slower(track: Track, found: Found) -> None:
    keys = np.full(LIMIT_MS // 50, ACCELERATE, np.uint8)
    ghost = drive_timeline(track, timeline_of(keys, LIMIT_MS), limit_ms=LIMIT_MS)
    assert ghost.race_time_ms is None or ghost.race_time_ms > 1.1 * found.race_time_ms


def test_search_finds_a_drive_that_finishes_and_gets_faster_by_practice(found: Found, route: Route) -> None:
    assert 0 < found.race_time_ms < LIMIT_MS
    assert found.race_time_ms < found.history_ms[0]
    assert list(found.history_ms) == sorted(found.history_ms, reverse=True)
    assert 1_000 * route.finish_m / found.race_time_ms > 25, "mean speed in m/s of a car that knows its way"


def test_a_found_drive_alone_takes_the_same_time_as_in_the_batch(found: Found, track: Track) -> None:
    ghost = drive_timeline(track, timeline_of(found.keys, found.race_time_ms), limit_ms=LIMIT_MS)
    assert ghost.race_time_ms == found.race_time_ms
    assert len(ghost.cp_times_ms) == 2
    assert ghost.cp_times_ms[-1] == found.race_time_ms


def test_equal_seeds_give_equal_drives_and_other_seeds_others(
    world: World, route: Route, corridor: Corridor, found: Found
) -> None:
    style = Style(seed=7, generations=1)
    first, second = (PlanSearch(world, route, corridor, style, limit_ms=LIMIT_MS).run() for _ in range(2))
    other = PlanSearch(world, route, corridor, replace(style, seed=8), limit_ms=LIMIT_MS).run()
    assert first.race_time_ms == second.race_time_ms
    assert np.array_equal(first.keys, second.keys)
    assert not np.array_equal(first.keys, other.keys)


def test_a_style_with_less_room_stays_nearer_to_the_middle(world: World, route: Route, corridor: Corridor) -> None:
    plan = PlanSearch(world, route, corridor, Style(seed=1, generations=1, room=0.2), limit_ms=LIMIT_MS).run().plan
    assert np.all(plan.offset_m <= 0.2 * corridor.left_m + 1e-9)
    assert np.all(plan.offset_m >= 0.2 * corridor.right_m - 1e-9)


def test_refining_is_deterministic_and_never_slower(
    world: World, route: Route, found: Found, team: Sequence[Expert]
) -> None:
    settings = team[0].refinement
    assert settings is not None
    first, second = (Refiner(world, route, found, settings).run() for _ in range(2))
    assert first.race_time_ms <= found.race_time_ms
    assert np.array_equal(first.keys, second.keys)


def test_refining_makes_a_beginner_faster(world: World, route: Route, corridor: Corridor) -> None:
    slow = PlanSearch(world, route, corridor, Style(seed=3, generations=0, room=0.1), limit_ms=LIMIT_MS).run()
    assert Refiner(world, route, slow, Refinement(seed=1)).run().race_time_ms < slow.race_time_ms


def test_a_search_without_time_to_finish_says_how_far_it_came(world: World, route: Route, corridor: Corridor) -> None:
    with pytest.raises(ExpertError, match=r"came \d+ m of \d+ m far"):
        PlanSearch(world, route, corridor, Style(generations=0), limit_ms=2_010).run()

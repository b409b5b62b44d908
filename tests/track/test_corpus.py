"""The geometry against real drives: wheels on the surface, stamps at the gates, lines that can be walked."""

import csv
import itertools
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from trackmaster.gbx import Challenge, Ghost, find_gbx_files, read
from trackmaster.track import (
    Track,
    TrackError,
    Trigger,
    TriggerKind,
    ZoneMap,
    build_reference_line,
    contacts,
    gate_points,
)
from trackmaster.track.catalogue import Exit, Site
from trackmaster.track.coverage import coverage, total
from trackmaster.track.fit import FitReport
from trackmaster.track.fit_command import unjustified
from trackmaster.track.mesh import TriangleMesh
from trackmaster.track.placement import OUTWARDS, PlacedBlock, exits_by_joint, joined_sides, local_joint, place_blocks

pytestmark = pytest.mark.corpus

OFFICIAL = re.compile(r"[A-E]\d\d-\w+")
"""Names of the campaign's maps."""


@cache
def vanilla_drives(folder: Path) -> tuple[tuple[str, Challenge, Ghost], ...]:
    """Every distinct finished ghost of a replay on a Stadium map without TMUnlimiter."""
    found, seen = [], set()
    for row in manifest(folder):
        if row["file_class"] != "Replay" or row["env"] != "Stadium" or row["game"] not in ("TMF", "TMU"):
            continue
        replay = read(folder / row["path"])
        map_ = replay.challenge
        if map_ is None or map_.is_unlimiter:
            continue
        for ghost in replay.ghosts:
            key = ghost.samples.raw.tobytes() if ghost.samples is not None else b""
            if ghost.race_time_ms and key and key not in seen:
                seen.add(key)
                found.append((row["path"], map_, ghost))
    return tuple(found)


def manifest(folder: Path) -> list[dict[str, str]]:
    with (folder / "MANIFEST.tsv").open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


# Median and 90 % of |surface - wheel| in millimetres that each family has to keep.
TOLERANCES_MM = {
    "road": (7, 18),
    "road slope": (8, 22),
    "tilted road": (11, 28),
    "holed road": (7, 18),
    "platform": (7, 18),
    "platform slope": (8, 25),
    "platform ramp": (7, 20),
    "border": (9, 20),
    "plate": (7, 16),
    "loop": (13, 30),
    "wall": (15, 40),
    "dirt ground": (8, 20),
    "dirt road": (40, 150),
}


@pytest.fixture(scope="module")
def fit_of_all_drives(corpus_dir: Path) -> FitReport:
    report = FitReport()
    for number, drive in enumerate(contacts.vanilla_drives(find_gbx_files([corpus_dir]), clips=True)):
        report.add_drive(number, drive)
    return report


def test_wheels_of_real_drives_touch_our_surfaces(fit_of_all_drives: FitReport) -> None:
    families = fit_of_all_drives.families()
    for name, (median_mm, p90_mm) in TOLERANCES_MM.items():
        found = families[name]
        assert len(found) > 50, name
        assert 1000 * found.spread_m(50) < median_mm, name
        assert 1000 * found.spread_m(90) < p90_mm, name
        assert found.other_material < 0.2 * len(found), name
    explained = sum(map(len, fit_of_all_drives.blocks.values()))
    assert explained > 20_000
    assert fit_of_all_drives.unexplained_total < 0.05 * explained


def test_blocks_marked_as_measured_were_touched_by_a_wheel(fit_of_all_drives: FitReport) -> None:
    assert unjustified(fit_of_all_drives.blocks) == []


def test_stamps_of_real_drives_fall_on_our_trigger_planes(corpus_dir: Path) -> None:
    """The origin is outside of the box at a stamp and inside one tick later (Hermite interpolation of samples)."""
    offsets = []
    for _, map_, ghost in vanilla_drives(corpus_dir):
        if map_.is_multilap or ghost.respawns:
            continue
        try:
            triggers = Track.from_challenge(map_, allow_unknown=True).triggers
        except TrackError:
            continue
        for stamp in ghost.cp_times_ms[:-1]:
            offsets.extend(_distance_to_plane(ghost, stamp, triggers))
        offsets.extend(
            _distance_to_plane(ghost, ghost.race_time_ms, [t for t in triggers if t.kind is TriggerKind.FINISH])
        )
    assert len(offsets) > 60
    assert np.median(np.abs(offsets)) < 0.6, "a tick at 60 m/s is 0.6 m"


def _distance_to_plane(ghost: Ghost, stamp_ms: int, triggers: Sequence[Trigger]) -> list[float]:
    """Distance of the car to the entry plane half a tick after the stamp, for gates it stands before squarely."""
    times = ghost.samples.time_ms
    if not 0 < stamp_ms < times[-1]:
        return []
    position = np.array([np.interp(stamp_ms + 5, times, ghost.samples.position_m[:, k]) for k in range(3)])
    velocity = ghost.samples.velocity_mps[min(stamp_ms // 100, len(times) - 1)]
    result = []
    for trigger in triggers:
        local = trigger.rotation.T @ (position - trigger.center_m)
        ahead = (trigger.rotation.T @ velocity)[2]
        if abs(local[0]) < 16 and abs(local[1]) < 6 and abs(local[2]) < 12 and abs(ahead) > 10:
            result.append(float(-local[2] * np.sign(ahead) - trigger.half_size_m[2]))
    return result


def test_lines_of_real_drives_are_walked_to_the_finish(corpus_dir: Path) -> None:
    walked = 0
    for name, map_, ghost in vanilla_drives(corpus_dir):
        if ghost.respawns or ghost.race_time_ms > 120_000:
            continue
        line = build_reference_line(ghost.samples, ghost.race_time_ms)
        zones = ZoneMap(line.points_m, gate_points(map_.blocks))
        zone = zones.start(1)
        for point in ghost.samples.position_m[ghost.samples.time_ms <= ghost.race_time_ms]:
            zone = zones.advance(zone, point[None])
        assert zones.true_finish_m - zones.progress_m(zone, point[None])[0] < 12.0, name
        walked += 1
    assert walked > 10


@cache
def official_maps(folder: Path) -> tuple[Challenge, ...]:
    maps = {}
    for row in manifest(folder):
        is_stadium_map = row["file_class"] == "Challenge" and row["env"] == "Stadium" and row["game"] in ("TMF", "TMU")
        if is_stadium_map and OFFICIAL.fullmatch(row["name"]):
            map_ = read(folder / row["path"])
            maps[map_.uid] = map_
    return tuple(maps.values())


def test_official_maps_are_supported_nearly_all(corpus_dir: Path) -> None:
    rows = coverage(official_maps(corpus_dir))
    assert len(rows) >= 40
    assert total(rows).share > 0.99
    assert sum(row.coverage.is_complete for row in rows) >= 40


def test_blocks_that_meet_in_official_maps_leave_no_steps(corpus_dir: Path) -> None:
    """Surface heights on both sides of every joint, in the middle and 4 and 9 m to either side."""
    found: dict[tuple[object, ...], np.ndarray] = {}
    joints = 0
    for map_ in official_maps(corpus_dir):
        placed, _ = place_blocks(map_.blocks)
        joined = joined_sides(placed)
        for members in exits_by_joint(placed).values():
            for (a, way_a), (b, way_b) in itertools.combinations(members, 2):
                if a.world_side(way_a.side) != (b.world_side(way_b.side) + 2) % 4 or not way_a.clip.joins(way_b.clip):
                    continue
                both = []
                for item, way in ((a, way_a), (b, way_b)):
                    key = (id(item.spec), joined[item.index], item.block.is_ground, way)
                    if key not in found:
                        found[key] = heights_inside(item, joined[item.index], way)
                    both.append(found[key])
                assert both[0] == pytest.approx(both[1][::-1], abs=0.02), (a.block.name, b.block.name)
                joints += 1
    assert joints > 5_000


def heights_inside(item: PlacedBlock, joined: frozenset[tuple[int, tuple[int, int, int]]], way: Exit) -> np.ndarray:
    mesh = TriangleMesh.from_patches(item.spec.surfaces(Site(item.block.is_ground, joined)))
    middle = local_joint(way.side, way.unit)
    ahead = np.array([OUTWARDS[way.side][0], 0.0, OUTWARDS[way.side][1]])
    left = np.cross([0.0, 1.0, 0.0], ahead)
    across = np.array([-9.0, -4.0, 0.0, 4.0, 9.0])
    heights, _ = mesh.ground_below(middle - 0.01 * ahead + across[:, None] * left + [0, 9.0, 0])
    return heights - middle[1]


def test_lines_of_official_maps_reach_the_finish_over_every_checkpoint(corpus_dir: Path) -> None:
    names = {"A01-Race", "A02-Race", "B13-Obstacle", "C08-Obstacle", "D04-Race", "D14-Endurance"}
    for row in manifest(corpus_dir):
        if row["name"] not in names or row["file_class"] != "Challenge":
            continue
        track = Track.from_challenge(read(corpus_dir / row["path"]))
        line = track.centre_line()
        assert np.linalg.norm(np.diff(line, axis=0), axis=1).max() < 2.0, row["name"]
        assert np.linalg.norm((line[0] - track.start.position_m)[[0, 2]]) < 1.0
        gates = [t for t in track.triggers if t.kind is TriggerKind.CHECKPOINT]
        for gate in gates:
            nearest = np.abs((line - gate.center_m) @ gate.rotation / np.add(gate.half_size_m, [0, 3.0, 2.0])).max(
                axis=1
            )
            assert nearest.min() < 1.0, (row["name"], gate.block_index)


def test_some_real_maps_are_supported_completely(corpus_dir: Path) -> None:
    maps = {map_.uid: map_ for _, map_, _ in vanilla_drives(corpus_dir)}
    rows = coverage(maps.values())
    assert any(row.coverage.is_complete for row in rows)
    assert total(rows).supported > 300

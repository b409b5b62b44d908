"""The geometry against real drives: wheels on the surface, stamps at the gates, lines that can be walked."""

import csv
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from trackmaster.gbx import Challenge, Ghost, read
from trackmaster.track import Track, TrackError, Trigger, TriggerKind, ZoneMap, build_reference_line, gate_points
from trackmaster.track.coverage import coverage, total

pytestmark = pytest.mark.corpus

HUBS_M = np.array(
    [(0.863, 0.3525, 1.782), (-0.863, 0.3525, 1.782), (-0.885, 0.3525, -1.2055), (0.885, 0.3525, -1.2055)]
)
WHEEL_RADIUS_M = 0.364


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


def wheel_points(ghost: Ghost) -> Iterator[tuple[int, np.ndarray]]:
    """Yield sample number and lowest point of each wheel on the ground, until the finish."""
    samples = ghost.samples
    for wheel in range(4):
        down = HUBS_M[wheel] - np.array([0, 1, 0]) * (samples.damper_m[:, wheel : wheel + 1] + WHEEL_RADIUS_M)
        points = samples.position_m + np.einsum("nij,nj->ni", samples.rotation, down)
        for i in np.flatnonzero(samples.wheel_contact[: ghost.race_time_ms // 100, wheel]):
            yield int(i), points[i]


def test_wheels_of_real_drives_touch_our_surfaces_within_two_centimetres(corpus_dir: Path) -> None:
    """On measured blocks that stand alone in their column, so that nothing else can explain the contact."""
    errors = []
    for _, map_, ghost in vanilla_drives(corpus_dir)[::2]:
        track = Track.from_challenge(map_, allow_unknown=True)
        columns: dict[tuple[int, int], list[float]] = {}
        for block in map_.blocks:
            columns.setdefault((block.x, block.z), []).append(block.y)
        sure = {
            column: placed.block.y
            for placed in track.blocks
            if placed.spec.family == "road" and not placed.spec.is_assumed
            for column in placed.columns()
            if len(columns.get(column, ())) == 1
        }
        points = np.array([
            p for _, p in wheel_points(ghost)
            if abs(p[1] - 8 * sure.get((int(p[0] // 32), int(p[2] // 32)), np.inf) - 1.5) < 0.6
        ])  # fmt: skip
        if len(points):
            heights, _ = track.mesh.ground_below(points[:400] + np.array([0, 0.5, 0]), reach_m=2.0)
            errors.extend(heights - points[:400, 1])
    errors = np.abs(errors)
    assert len(errors) > 1_000
    assert np.nanmedian(errors) < 0.01
    assert np.nanpercentile(errors, 90) < 0.02
    assert np.isnan(errors).mean() < 0.01


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


def test_some_real_maps_are_supported_completely(corpus_dir: Path) -> None:
    maps = {map_.uid: map_ for _, map_, _ in vanilla_drives(corpus_dir)}
    rows = coverage(maps.values())
    assert any(row.coverage.is_complete for row in rows)
    assert total(rows).supported > 300

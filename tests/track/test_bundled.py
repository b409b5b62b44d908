"""The tracks of the package: drivable from start to finish by their own geometry."""

import numpy as np
import pytest

from trackmaster.gbx import read
from trackmaster.gbx.write_challenge import write_challenge
from trackmaster.track import Track, TrackError, TriggerKind, ZoneMap, gate_points, line_from_path
from trackmaster.track.bundled import BundledTrack, bundled_challenge, bundled_challenges

UP_3_M = np.array([0.0, 3.0, 0.0])
BUNDLED = bundled_challenges()
every_track = pytest.mark.parametrize("bundled", BUNDLED, ids=[b.slug for b in BUNDLED])


@every_track
def test_centre_line_lies_on_the_road_all_the_way(bundled: BundledTrack) -> None:
    track = Track.from_challenge(bundled.challenge)
    line = track.centre_line()
    steps = np.linalg.norm(np.diff(line, axis=0), axis=1)
    assert 300 < steps.sum() < 2_500
    assert steps.max() < 1.5
    heights, _ = track.mesh.ground_below(line[::3] + UP_3_M, reach_m=4.0)
    off = np.abs(heights - line[::3, 1])
    assert np.isfinite(heights).all()
    on_pad = np.linalg.norm(line[::3] - track.start.position_m, axis=1) < 18.0
    assert off[~on_pad].max() < 0.05
    assert off[on_pad].max() < 0.7, "the line keeps the height of the road under the start pad"


@every_track
def test_line_starts_at_the_start_and_passes_every_checkpoint_before_the_finish(bundled: BundledTrack) -> None:
    track = Track.from_challenge(bundled.challenge)
    line = track.centre_line()
    assert line[0, [0, 2]] == pytest.approx(track.start.position_m[[0, 2]])
    inside = [np.flatnonzero(trigger.contains(line + UP_3_M / 10)) for trigger in track.triggers]
    assert all(len(hits) for hits in inside)
    *gates, goal = (int(hits[0]) for hits in inside)
    assert track.triggers[-1].kind is TriggerKind.FINISH
    assert max(gates) < goal
    assert len(gates) == track.n_checkpoints >= 1


@every_track
def test_walking_the_line_reaches_the_finish_zone(bundled: BundledTrack) -> None:
    track = Track.from_challenge(bundled.challenge)
    line = line_from_path(track.centre_line())
    zones = ZoneMap(line.points_m, gate_points(bundled.challenge.blocks))
    zone = zones.start(1)
    metres = [zones.progress_m(zone, line.points_m[:1])[0]]
    for point in line.points_m[1::4]:
        zone = zones.advance(zone, point[None] + [0, 0.02, 0])
        metres.append(zones.progress_m(zone, point[None])[0])
    assert zone[0] >= zones.finish_idx - 6
    assert np.diff(metres).min() > -0.6
    assert metres[-1] - metres[0] == pytest.approx(line.info.length_m, rel=0.02)


@every_track
def test_blocks_do_not_overlap(bundled: BundledTrack) -> None:
    blocks = Track.from_challenge(bundled.challenge).blocks
    cells = [(*column, b.block.y) for b in blocks for column in b.columns()]
    assert len(set(cells)) == len(cells)


@every_track
def test_written_map_reads_back_with_the_same_blocks_and_uid(bundled: BundledTrack) -> None:
    again = read(write_challenge(bundled.challenge))
    assert (again.uid, again.name, again.blocks) == (
        bundled.challenge.uid, bundled.challenge.name, bundled.challenge.blocks)  # fmt: skip


def test_slugs_are_unique_and_an_unknown_one_is_answered_with_the_choice() -> None:
    assert len({b.slug for b in BUNDLED}) == len({b.challenge.uid for b in BUNDLED}) == len(BUNDLED)
    with pytest.raises(TrackError, match="first_steps"):
        bundled_challenge("nowhere")

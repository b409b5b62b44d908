import numpy as np

from trackmaster.expert import Route
from trackmaster.expert.line import find_way
from trackmaster.track import Track, TriggerKind
from trackmaster.track.bundled import bundled_challenge


def test_a_route_over_open_platforms_is_pulled_tight_but_through_its_gates() -> None:
    track = Track.from_challenge(bundled_challenge("table_top").challenge)
    middle = Route.of_track(track)
    tight, _ = find_way(track)
    assert tight.finish_m < middle.finish_m - 20
    assert len(tight.gates_m) == track.n_checkpoints
    gates = [t for t in track.triggers if t.kind is TriggerKind.CHECKPOINT]
    for gate in gates:
        assert gate.contains(tight.points_m).any()
    on_way = tight.points_m[tight.points_m[:, 1] > 0][: int(tight.finish_m)]
    heights, _ = track.mesh.ground_below(on_way[::10] + np.array([0.0, 3.0, 0.0]))
    assert np.all(np.abs(heights - on_way[::10, 1]) < 1.0), "nowhere beside the platforms"


def test_a_road_between_barriers_keeps_its_middle(track: Track) -> None:
    route, _ = find_way(track)
    assert np.array_equal(route.points_m, Route.of_track(track).points_m)

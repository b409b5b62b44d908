"""Tracks stay with their worker, closed tracks have one worker, and every replay is taken exactly once."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from trackmaster.capture.discover import ReplayFile
from trackmaster.capture.schedule import TrackQueue


def files(*names: str) -> list[ReplayFile]:
    """Replays named ``track/number``."""
    return [ReplayFile(Path(name), name.split("/")[0] or None) for name in names]


def test_a_worker_keeps_its_track_and_the_next_takes_another() -> None:
    a1, a2, a3, b1 = files("a/1", "a/2", "a/3", "b/1")
    queue = TrackQueue([a1, a2, a3, b1])
    assert queue.take(0) == a1
    assert queue.take(1) == b1
    assert queue.take(2) is None, "the line of track a is not known yet"
    queue.done(a1, captured=True)
    assert queue.take(0) == a2
    assert queue.take(2) == a3, "helps where replays wait"
    assert len(queue) == 0


def test_a_track_stays_closed_until_one_of_its_replays_was_captured() -> None:
    a1, a2, a3 = files("a/1", "a/2", "a/3")
    queue = TrackQueue([a1, a2, a3])
    assert queue.take(0) == a1
    queue.done(a1, captured=False)
    assert queue.take(1) == a2
    assert queue.take(0) is None
    queue.done(a2, captured=True)
    assert queue.take(0) == a3


def test_what_is_given_back_comes_first_again() -> None:
    a1, a2 = files("a/1", "a/2")
    queue = TrackQueue([a1, a2])
    assert queue.take(0) == a1
    queue.give_back(a1)
    assert len(queue) == 2
    assert queue.take(1) == a1


def test_files_that_tell_no_track_do_not_wait_for_each_other() -> None:
    unknown = [ReplayFile(Path(name), None) for name in ("x", "y")]
    queue = TrackQueue(unknown)
    assert [queue.take(0), queue.take(1)] == unknown


@given(
    st.lists(st.sampled_from("abc"), max_size=12),
    st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["ok", "rejected", "back"])), max_size=200),
)
def test_every_replay_is_done_once_and_closed_tracks_have_one_worker(
    tracks: list[str], moves: list[tuple[int, str]]
) -> None:
    todo = files(*(f"{track}/{number}" for number, track in enumerate(tracks)))
    queue = TrackQueue(todo)
    in_work: dict[int, ReplayFile] = {}
    finished: list[ReplayFile] = []
    opened: set[str | None] = set()
    for worker, end in [*moves, *((worker, "ok") for _ in range(40) for worker in range(4))]:
        if worker in in_work:
            file = in_work.pop(worker)
            if end == "back":
                queue.give_back(file)
                continue
            queue.done(file, captured=end == "ok")
            finished.append(file)
            opened |= {file.track_id} if end == "ok" else set()
        elif (file := queue.take(worker)) is not None:
            others = [other.track_id for other in in_work.values()]
            assert file.track_id in opened or file.track_id not in others
            in_work[worker] = file
    assert sorted(finished, key=str) == sorted(todo, key=str)
    assert len(queue) == 0

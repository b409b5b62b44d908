"""Windows stay inside one replay and one stretch of time; the two halves of a split share no map."""

import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trackmaster.data import DataError, ReplayFolder, find_replays, split_by_map
from trackmaster.data.split import refuse_shared_maps
from trackmaster.data.windows import evenly_spaced, stack_windows, window_starts


def replay(track_id: str, times_ms: list[int], *, uid: str | None = None, interval_ms: float = 10.0) -> ReplayFolder:
    n = len(times_ms)
    zeros = np.zeros(n, dtype=np.int64)
    return ReplayFolder(
        track_id, "r", Path("r"), uid, interval_ms, ("f",) * n, np.arange(n), np.array(times_ms), zeros, zeros
    )


def test_windows_cross_neither_replays_nor_gaps() -> None:
    first = replay("1", [0, 10, 20, 40, 50])  # one frame is missing at 30 ms
    second = replay("2", [0, 10, 20])
    assert stack_windows([first, second], 2).tolist() == [0, 1, 3, 5, 6]
    assert stack_windows([first, second], 3).tolist() == [0, 5]
    assert stack_windows([first, second], 1).tolist() == list(range(8))
    assert stack_windows([first, second], 4).tolist() == []


def test_rounding_to_ticks_is_no_gap_at_64_frames_per_second() -> None:
    ticks = np.array([0, 20, 40, 50, 70, 80, 100, 110])
    assert evenly_spaced(ticks, 1000 / 64)[1:].all()
    assert not evenly_spaced(np.delete(ticks, 3), 1000 / 64)[3], "50 ms is missing between 40 and 70"


@settings(deadline=None, max_examples=200)
@given(follows=st.lists(st.booleans(), min_size=1, max_size=40), n_stack=st.integers(1, 6))
def test_window_starts_equal_the_obvious_loop(follows: list[bool], n_stack: int) -> None:
    follows[0] = False
    expected = [s for s in range(len(follows) - n_stack + 1) if all(follows[s + 1 : s + n_stack])]
    assert window_starts(np.array(follows), n_stack).tolist() == expected


def test_a_stack_of_no_frames_is_refused() -> None:
    with pytest.raises(DataError, match="stack of 0"):
        window_starts(np.zeros(3, dtype=np.bool_), 0)


def test_split_is_the_documented_shuffle() -> None:
    ids = [str(1000 + number) for number in range(20)]
    split = split_by_map([replay(track, [0, 10], uid="u" + track) for track in ids], 0.1, seed=42)
    shuffled = sorted(ids)
    random.Random(42).shuffle(shuffled)
    assert set(split.track_ids_val) == set(shuffled[:2])
    assert set(split.track_ids_train) == set(shuffled[2:])
    assert "18 maps to train on, 2 held out" in split.note


@settings(deadline=None, max_examples=150)
@given(
    uids=st.lists(st.none() | st.sampled_from("abcdef"), min_size=2, max_size=15),
    fraction=st.floats(0.01, 0.9),
    seed=st.integers(0, 99),
)
def test_no_map_stands_on_both_sides(uids: list[str | None], fraction: float, seed: int) -> None:
    replays = [replay(str(number), [0], uid=uid) for number, uid in enumerate(uids)]
    split = split_by_map(replays, fraction, seed)
    shared = {r.map_uid for r in split.train} & {r.map_uid for r in split.val}
    assert not shared - {None}
    assert len(split.train) + len(split.val) == len(replays)
    assert split.train


def test_two_ids_of_one_map_stay_together() -> None:
    replays = [replay("1", [0], uid="same"), replay("2", [0], uid="same"), replay("3", [0], uid="other")]
    for seed in range(10):
        split = split_by_map(replays, 0.5, seed)
        assert set(split.track_ids_val) in ({"1", "2"}, {"3"})


def test_a_single_map_has_no_validation_set_and_says_so() -> None:
    split = split_by_map([replay("1", [0], uid="u"), replay("2", [0], uid="u")], 0.5, 0)
    assert split.val == ()
    assert "no validation set" in split.note


def test_overlap_and_impossible_shares_are_refused() -> None:
    with pytest.raises(DataError, match="map u is in the training and in the validation"):
        refuse_shared_maps([replay("1", [0], uid="u")], [replay("2", [0], uid="u")])
    with pytest.raises(DataError, match=r"1\.5"):
        split_by_map([replay("1", [0])], 1.5, 0)


def test_split_of_a_real_tree_uses_the_uid_in_the_metadata(tree: Path) -> None:
    split = split_by_map(find_replays(tree), 0.25, seed=1)
    assert len({r.map_uid for r in split.val}) == 1

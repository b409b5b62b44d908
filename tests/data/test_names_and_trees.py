"""Names are ordered by their numbers, and folders become replays or sentences."""

from pathlib import Path

import pytest

from trackmaster.data import (
    DataError,
    find_replays,
    frame_name,
    iter_replays,
    natural_key,
    parse_frame_name,
    replay_key,
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("frame_00003_30ms.jpeg", (3, 30)),
        ("frame_000003_30ms.JPG", (3, 30)),
        ("frame_123456_1234560ms.png", (123456, 1234560)),
        ("frame_00000_-10ms.npy", (0, -10)),
        ("frame_00003_30ms.json", None),
        ("frame_3.jpeg", None),
        ("frame_00003_30ms.jpeg.part", None),
        ("metadata.json", None),
    ],
)
def test_frame_names_are_parsed_by_their_numbers(name: str, expected: tuple[int, int] | None) -> None:
    assert parse_frame_name(name) == expected


def test_frame_names_survive_a_round_trip() -> None:
    assert parse_frame_name(frame_name(100_000, 1_000_000)) == (100_000, 1_000_000)


def test_only_digits_of_numbers_count() -> None:
    assert sorted(["10²", "2²"], key=natural_key) == ["2²", "10²"]


def test_replays_are_ordered_by_position_and_time_not_by_text() -> None:
    names = ["pos10_a_91000ms.replay", "other", "pos2_é b'_90500ms.replay", "pos2_c_90400ms.replay", "pos1_x_90000ms"]
    assert sorted(names, key=replay_key) == [names[4], names[3], names[2], names[0], names[1]]


def test_natural_order_compares_digits_as_numbers() -> None:
    assert sorted(["10", "9", "100", "a2", "a10"], key=natural_key) == ["9", "10", "100", "a2", "a10"]


def test_tree_lists_tracks_replays_and_frames_in_order(tmp_path: Path, make_replay) -> None:  # type: ignore[no-untyped-def]
    make_replay("1000", "pos10_a_91000ms.replay", n=3)
    make_replay("1000", "pos2_a_90000ms.replay", n=12)
    make_replay("999", n=2)
    make_replay("1000", ".pos3_half_90100ms.replay", n=4)
    replays = find_replays(tmp_path / "img")
    assert [(replay.track_id, replay.name, len(replay)) for replay in replays] == [
        ("999", "pos1_driver_90000ms.replay", 2),
        ("1000", "pos2_a_90000ms.replay", 12),
        ("1000", "pos10_a_91000ms.replay", 3),
    ]
    assert replays[1].times_ms.tolist() == [10 * step for step in range(12)]
    assert replays[1].frame_path(11).name == "frame_00011_110ms.jpeg"


def test_more_than_five_digits_keep_their_place(tmp_path: Path) -> None:
    folder = tmp_path / "1" / "r"
    folder.mkdir(parents=True)
    for step in (99_999, 100_000, 9):
        (folder / frame_name(step, 10 * step)).write_bytes(b"x")
    assert next(iter_replays(tmp_path)).steps.tolist() == [9, 99_999, 100_000]


def test_two_frames_with_one_step_are_refused(make_replay, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    folder = make_replay(n=3)
    (folder / "frame_000001_10ms.png").write_bytes(b"x")
    with pytest.raises(DataError, match="two frames claim step 1"):
        find_replays(tmp_path / "img")


def test_time_running_backwards_is_refused(make_replay, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    make_replay(times_ms=[0, 10, 5])
    with pytest.raises(DataError, match="frame 2 is at 5 ms"):
        find_replays(tmp_path / "img")


@pytest.mark.parametrize("name", ["nothing", "empty"])
def test_missing_and_empty_trees_get_a_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty" / "1001" / "replay").mkdir(parents=True)
    with pytest.raises(DataError, match="<track_id>/<replay_name>"):
        find_replays(tmp_path / name)


def test_interval_is_estimated_where_metadata_does_not_tell(make_replay, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    make_replay(times_ms=[0, 20, 40, 50, 70, 80, 100, 500, 520], interval_ms=None)
    assert find_replays(tmp_path / "img")[0].interval_ms == pytest.approx(120 / 7, abs=0.01)

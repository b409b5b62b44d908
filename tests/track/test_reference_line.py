"""Reference lines: exact spacing, exact finish, files that survive or are refused."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trackmaster.track import ReferenceLine, TrackError, build_reference_line, line_from_path, vcp_name


def drive(seconds: float = 8.0, speed_mps: float = 30.0) -> SimpleNamespace:
    """Samples of a car on a circle of radius 100 m, 3 s longer than the race."""
    time_ms = np.arange(0, int(seconds * 1000) + 3_000, 100)
    angle = time_ms / 1000 * speed_mps / 100
    positions = np.stack([100 * np.cos(angle), np.full(len(angle), 9.4), 100 * np.sin(angle)], axis=1)
    return SimpleNamespace(time_ms=time_ms.astype(np.int32), position_m=positions.astype(np.float32))


def test_points_are_evenly_spaced_and_the_finish_is_the_middle_of_the_last_two() -> None:
    samples = drive()
    line = build_reference_line(samples, 7_940, map_uid="m", replay_id="r")
    points = line.points_m
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    expected = line.info.length_m / (len(points) - 2 + 0.5)
    assert steps[:-1] == pytest.approx(expected, abs=2e-3)
    finish = samples.position_m[79] + 0.4 * (samples.position_m[80] - samples.position_m[79])
    assert (points[-1] + points[-2]) / 2 == pytest.approx(finish, abs=1e-3)
    assert points[0] == pytest.approx(samples.position_m[0])
    assert line.info.length_m == pytest.approx(7.94 * 30, rel=1e-3)
    assert (line.info.race_time_ms, line.info.sample_period_ms, line.info.map_uid) == (7_940, 100, "m")


def test_samples_after_the_finish_do_not_change_the_line() -> None:
    samples = drive()
    short = SimpleNamespace(time_ms=samples.time_ms[:81], position_m=samples.position_m[:81])
    assert np.array_equal(build_reference_line(short, 7_940).points_m, build_reference_line(samples, 7_940).points_m)


def test_samples_of_another_period_give_the_same_length() -> None:
    samples = drive()
    every_second = SimpleNamespace(time_ms=samples.time_ms[::2], position_m=samples.position_m[::2])
    line = build_reference_line(every_second, 8_000)
    assert line.info.sample_period_ms == 200
    assert line.info.length_m == pytest.approx(build_reference_line(samples, 8_000).info.length_m, rel=1e-3)


@pytest.mark.parametrize(("samples", "race_time_ms"), [(drive(), -1), (drive(), 0), (drive(8.0, 0.0), 8_000)])
def test_unfinished_or_parked_ghosts_are_refused(samples: SimpleNamespace, race_time_ms: int) -> None:
    with pytest.raises(TrackError):
        build_reference_line(samples, race_time_ms)


def with_respawn(place_s: float, press_ms: int = 5_000) -> SimpleNamespace:
    """The circle, left at ``press_ms`` and taken up again, from rest, where the car was at ``place_s``."""
    whole = drive(20.0)
    drawn = np.where(whole.time_ms <= press_ms, whole.time_ms, whole.time_ms - press_ms + 1000 * place_s)
    rows = np.interp(drawn / 100, np.arange(len(drawn)), np.arange(len(drawn)))
    positions = np.stack([np.interp(rows, np.arange(len(drawn)), whole.position_m[:, k]) for k in range(3)], axis=1)
    return SimpleNamespace(time_ms=whole.time_ms, position_m=positions.astype(np.float32))


@pytest.mark.parametrize(
    ("gates", "place_s"),
    [
        pytest.param((3_000, 11_000), 3.0, id="the last gate"),
        pytest.param((3_050, 11_000), 2.9, id="a little before it"),
        pytest.param((11_000,), 0.0, id="the start"),
        pytest.param((1_000, 3_000, 11_000), 3.0, id="not the first gate"),
    ],
)
def test_a_way_given_up_by_a_respawn_is_no_part_of_the_line(gates: tuple[int, ...], place_s: float) -> None:
    samples = with_respawn(place_s)
    race_ms = 11_000
    line = build_reference_line(samples, race_ms, respawns_ms=(5_000,), cp_times_ms=gates)
    steps = np.diff(line.points_m, axis=0)
    tangent = np.stack([-line.points_m[:-1, 2], 0 * line.points_m[:-1, 0], line.points_m[:-1, 0]], axis=1)
    assert (np.sum(steps * tangent, axis=1) > 0).all(), "it never runs backwards"
    assert line.info.length_m == pytest.approx(30 * (place_s + 6.0), rel=0.01)
    plain = build_reference_line(samples, race_ms)
    assert plain.info.length_m > line.info.length_m + 60, "the control: both ways and the jump back"


def test_several_respawns_to_one_gate_leave_one_way() -> None:
    samples = with_respawn(3.0)
    once = build_reference_line(samples, 11_000, respawns_ms=(5_000,), cp_times_ms=(3_000, 11_000))
    more = build_reference_line(samples, 11_000, respawns_ms=(4_000, 5_000, 4_500), cp_times_ms=(3_000, 11_000))
    assert np.array_equal(once.points_m, more.points_m)


def test_a_respawn_to_an_unknown_place_is_refused() -> None:
    samples = with_respawn(3.0)
    samples.position_m[samples.time_ms > 5_000] += np.float32(200.0)
    with pytest.raises(TrackError, match=r"respawned at 5000 ms to a place \d+ m away .* without respawns"):
        build_reference_line(samples, 11_000, respawns_ms=(5_000,), cp_times_ms=(3_000, 11_000))


def test_a_respawn_to_another_place_than_the_last_gate_finds_its_place() -> None:
    samples = with_respawn(3.0)
    told = build_reference_line(samples, 11_000, respawns_ms=(5_000,), cp_times_ms=(3_000, 11_000))
    for gates in ((), (500, 11_000), (4_900, 11_000)):
        found = build_reference_line(samples, 11_000, respawns_ms=(5_000,), cp_times_ms=gates)
        assert found.info.length_m == pytest.approx(told.info.length_m, abs=7.0)  # two samples are 3 m apart


def test_line_survives_its_files(tmp_path: Path) -> None:
    path = tmp_path / "vcp" / vcp_name("924307")
    assert path.name == "924307_0.5m_cl.npy"
    line = build_reference_line(drive(), 8_000, map_uid="uid", replay_id="17")
    line.save(path)
    again = ReferenceLine.load(path)
    assert np.array_equal(again.points_m, line.points_m)
    assert again.info == line.info
    assert json.loads(path.with_suffix(".json").read_text())["builder_version"] == 1


def test_line_of_another_project_loads_without_a_json(tmp_path: Path) -> None:
    line = line_from_path(np.array([[0.0, 0, 0], [0, 0, 100]]))
    np.save(tmp_path / "map5_0.5m_cl.npy", line.points_m)
    again = ReferenceLine.load(tmp_path / "map5_0.5m_cl.npy")
    assert again.info.length_m == pytest.approx(100.0, abs=0.01)
    assert again.info.distance_m == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(
    "content", [b"", b"no array", b"\x93NUMPY\x01\x00", np.zeros(1).tobytes()], ids=["empty", "text", "cut", "raw"]
)
def test_damaged_files_end_in_a_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "line.npy"
    path.write_bytes(content)
    with pytest.raises(TrackError, match=r"line\.npy"):
        ReferenceLine.load(path)


def announcing(path: Path, shape: tuple[int, ...], content: bytes = bytes(64)) -> Path:
    with path.open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, {"descr": "<f8", "fortran_order": False, "shape": shape})
        stream.write(content)
    return path


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((10**13, 3), "expected 4 to"),
        ((10**30, 3), "expected 4 to"),
        ((-5, 3), "expected 4 to"),
        ((2_000_000, 3), "announces 48000000 bytes of points and holds 64"),
        ((2, 3), "expected 4 to"),
        ((10**13,), r"shape \(N, 3\)"),
    ],
)
def test_a_file_that_announces_more_than_it_holds_is_a_sentence(
    tmp_path: Path, shape: tuple[int, ...], message: str
) -> None:
    path = announcing(tmp_path / "line.npy", shape)
    assert path.stat().st_size == 192
    with pytest.raises(TrackError, match=message):
        ReferenceLine.load(path)


@pytest.mark.parametrize("header", [b"{", b"(((", b"'", b"{'descr': '<f8'}", b"1\n  2\n 3", b"\x00" * 9, b"-" * 9_000])
def test_damaged_headers_are_a_sentence(tmp_path: Path, header: bytes) -> None:
    path = tmp_path / "line.npy"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(64))
    with pytest.raises(TrackError, match=r"line\.npy"):
        ReferenceLine.load(path)


@pytest.mark.parametrize("array", [np.zeros((3, 3)), np.zeros((9, 2)), np.full((9, 3), np.nan), np.array(["a"] * 9)])
def test_arrays_of_the_wrong_form_are_refused(tmp_path: Path, array: np.ndarray) -> None:
    np.save(tmp_path / "line.npy", array)
    with pytest.raises(TrackError):
        ReferenceLine.load(tmp_path / "line.npy")


def test_missing_and_pickled_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TrackError, match="does not exist"):
        ReferenceLine.load(tmp_path / "none.npy")
    np.save(tmp_path / "pickle.npy", np.array([{}, {}], object), allow_pickle=True)
    with pytest.raises(TrackError):
        ReferenceLine.load(tmp_path / "pickle.npy")


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(*[st.floats(-500, 500)] * 3), min_size=2, max_size=30),
    st.floats(0.3, 5.0),
)
def test_any_path_gives_a_line_of_its_length_or_a_sentence(path: list[tuple[float, ...]], distance_m: float) -> None:
    corners = np.array(path)
    length = np.linalg.norm(np.diff(corners, axis=0), axis=1).sum()
    try:
        line = line_from_path(corners, distance_m=distance_m)
    except TrackError:
        assert length < 2.6 * distance_m
        return
    assert line.info.length_m == pytest.approx(length)
    spacing = length / (len(line.points_m) - 1.5)
    assert 0.7 * distance_m < spacing < 1.3 * distance_m

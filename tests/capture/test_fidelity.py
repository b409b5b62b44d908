"""The simulator against real runs: on its own runs it must find no error, and what it reports must be what it did."""

import csv
import gc
import json
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from trackmaster import cli
from trackmaster.capture.errors import CaptureError
from trackmaster.capture.fidelity import roll as rolls
from trackmaster.capture.fidelity import runs
from trackmaster.capture.fidelity.command import measure_all, run_fidelity
from trackmaster.capture.fidelity.config import FidelityConfig
from trackmaster.capture.fidelity.drives import DAMPER_STEP_M, Drive, Recording, as_drive, find_files, read_drives
from trackmaster.capture.fidelity.fit import Fit, fit_windows, rotation_matrix, spread_of
from trackmaster.capture.fidelity.ground import VOID_M, Ground, is_supported, level_floor
from trackmaster.capture.fidelity.measured import CLASSES, class_summary
from trackmaster.capture.fidelity.own import own_ghosts
from trackmaster.capture.fidelity.roll import CHUNK, chunks, measure, measure_both, roll, twins_apart
from trackmaster.capture.fidelity.runs import drive_runs
from trackmaster.capture.fidelity.starts import roll_starts, start_windows
from trackmaster.capture.fidelity.state import get, nudge, put, warm_states
from trackmaster.capture.fidelity.windows import (
    HORIZONS,
    Marks,
    Windows,
    air_windows,
    mesh_windows,
    plane_windows,
    rows_before,
    run_lengths,
    wall_hits,
)
from trackmaster.gbx import Challenge, Ghost
from trackmaster.sim import World
from trackmaster.track import Track


@pytest.fixture(scope="module")
def recording(challenge: Challenge, ghost: Ghost) -> Recording:
    drive = as_drive("own.Replay.Gbx", challenge, ghost)
    assert drive is not None
    return Recording.of([drive])


@pytest.fixture
def replay_file(tmp_path, replay_bytes):
    path = tmp_path / "own.Replay.Gbx"
    path.write_bytes(replay_bytes)
    return path


def windows_at(rows: list[int], length: int) -> Windows:
    n = len(rows)
    return Windows(np.array(rows), np.full(n, length), np.full(n, 5), np.zeros(n))


def test_own_run_is_driven_again_to_the_finish(recording: Recording, track: Track) -> None:
    (run,) = drive_runs(track, recording, [0])
    assert run.first_away_ms is None
    assert run.finish_error_ms == 0
    assert run.within_10_s
    assert run.is_no_wall
    assert run.is_complete


def test_a_car_that_is_nowhere_has_left_the_ghost(
    recording: Recording, track: Track, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Breaking(World):
        def step(self, steer, gas, brake, ticks=1) -> None:
            super().step(steer, gas, brake, ticks)
            if self.view.time_ms[0] >= 400:
                self.view.position_m[0] = np.nan

    monkeypatch.setattr(runs, "World", Breaking)
    (run,) = drive_runs(track, recording, [0])
    assert run.first_away_ms == 400
    assert not run.within_10_s


def test_own_start_has_no_error(recording: Recording) -> None:
    windows = start_windows(recording)
    errors = roll_starts(level_floor(0.0), recording, windows)
    assert len(windows) == 1
    assert errors.position_m[0, :6].max() < 1e-4


def test_windows_of_an_own_run_end_within_a_millimetre(recording: Recording, track: Track) -> None:
    ground = Ground.of(recording)
    rows = np.arange(len(recording))
    windows = mesh_windows(recording, is_supported(recording, rows, ground, track), every=6)
    errors = measure(track, recording, windows)
    reaches = windows.length >= 10
    assert reaches.sum() >= 5
    assert np.median(errors.position_m[reaches, 10]) < 1e-3


def test_the_fit_finds_a_changed_velocity_again(recording: Recording, track: Track) -> None:
    windows = windows_at([30, 40, 50], 10)
    warm = warm_states(World(track, 3), recording, windows, recording.slewed_steer)
    right = get(warm, "velocity").astype(np.float64)
    put(warm, "velocity", right + np.array([[0.3, 0.0, -0.4], [-0.2, 0.0, 0.5], [0.1, 0.0, 0.2]]))
    before = roll(World(track, 3), recording, windows, warm).position_m[:, 10]
    fit = fit_windows(World(track, 3 * 14), recording, windows, warm)
    after = roll(World(track, 3), recording, windows, fit.state).position_m[:, 10]
    assert before.min() > 0.1
    assert after.max() < 5e-3
    assert np.abs(get(fit.state, "velocity") - right).max() < 0.06


def test_a_window_is_fitted_again_only_to_be_explained_better(recording: Recording, track: Track) -> None:
    windows = windows_at([30, 40, 50], 10)
    warm = warm_states(World(track, 3), recording, windows, recording.slewed_steer)
    found = fit_windows(World(track, 3 * 14), recording, windows, warm)
    kept = Fit.none(3, warm)
    kept.take_in(found, np.array([0, 1, 2]), 2)
    assert kept.residual[:2] == pytest.approx(found.residual[:2])
    assert np.isinf(kept.residual[2])
    assert np.array_equal(kept.state.floats[:, :2], found.state.floats[:, :2])
    worse = Fit(warm, found.residual + 1.0)
    kept.take_in(worse, np.array([0, 1, 2]), 3)
    assert np.array_equal(kept.state.floats[:, :2], found.state.floats[:, :2])
    assert kept.residual[2] == worse.residual[2]


def test_a_car_put_back_onto_its_ghost_keeps_its_wheels_where_they_are(recording: Recording, track: Track) -> None:
    """A ghost 8 mm higher than the car driven up to it: the suspensions of the touching wheels get that much longer."""
    windows = windows_at([30, 40], 10)
    world = World(track, 2)
    driven = warm_states(world, recording, windows, recording.slewed_steer)
    before = get(driven, "absorb").astype(np.float64)
    raised = recording.position_m.copy()
    raised[[30, 40], 1] += 0.008
    bent = recording.contact[[30, 40]].all(axis=1)
    assert bent.any()
    longer = recording.damper_m.copy()
    longer[[30, 40]] += 0.008
    nudge(driven, changed(recording, position_m=raised, damper_m=longer), np.array([30, 40]), np.zeros(2))
    assert get(driven, "absorb")[bent] - before[bent] == pytest.approx(0.008, abs=1e-4)


@pytest.mark.parametrize("count", [1, 255, 256, 257, 600, 1025])
def test_chunks_hold_every_window_once_and_drive_hardly_any_twice(count: int) -> None:
    which = np.arange(count) * 3
    parts = chunks(which)
    assert np.concatenate([part[:keep] for part, keep in parts]).tolist() == which.tolist()
    assert len({len(part) for part, _ in parts}) == 1
    assert sum(len(part) for part, _ in parts) - count < len(parts) == -(-count // CHUNK)


def test_windows_that_are_fitted_again_are_driven_by_themselves(
    recording: Recording, track: Track, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of three windows one stays unexplained: the second and third fit drive its 14 cars alone."""
    sizes = []

    def one_is_hard(world, recording, windows, warm, *, seed=0):
        sizes.append((world.n_cars, len(windows)))
        return Fit(warm, np.where(windows.row == 40, 9.0 - seed, 0.2))

    monkeypatch.setattr(rolls, "fit_windows", one_is_hard)
    errors = measure(track, recording, windows_at([30, 40, 50], 10))
    assert sizes == [(42, 3), (14, 1), (14, 1)]
    assert errors.fit.tolist() == [0.2, 7.0, 0.2]


def test_own_ghosts_go_on_from_where_windows_begin_and_are_stored_as_coarsely(
    recording: Recording, track: Track
) -> None:
    windows = windows_at([30, 40], 20)
    world = World(track, 2)
    state = warm_states(world, recording, windows, recording.slewed_steer)
    runs, on_own = own_ghosts(world, recording, windows, state)
    assert on_own.row.tolist() == [6, 57 + 6]
    assert on_own.length.tolist() == [14, 14]
    assert runs.position_m[[0, 57]] == pytest.approx(recording.position_m[[30, 40]], abs=1e-6)
    # This recording was driven by the simulator, so its own ghosts are the same run again.
    assert np.abs(runs.position_m[:20] - recording.position_m[30:50]).max() < 0.01
    assert np.array_equal(runs.gear[:20], recording.gear[30:50])
    steps = (runs.damper_m / DAMPER_STEP_M) % 1.0
    assert np.minimum(steps, 1.0 - steps).max() < 1e-3
    assert np.abs(runs.damper_m[[0, 57]] - get(state, "absorb")).max() <= DAMPER_STEP_M / 2 + 1e-6
    errors, own_errors, begins = measure_both(track, recording, windows)
    assert begins.row.tolist() == [30, 40]
    assert begins.length.tolist() == [14, 14]
    assert np.nanmax(own_errors.position_m[:, 10]) < 5e-3
    assert np.isnan(own_errors.position_m[:, 15:]).all()
    assert np.array_equal(errors.position_m, measure(track, recording, windows).position_m, equal_nan=True)


def test_windows_too_short_for_an_own_ghost_have_none(recording: Recording, track: Track) -> None:
    _, own_errors, begins = measure_both(track, recording, windows_at([30], 11))
    assert len(begins) == len(own_errors.fit) == 0


def test_small_rotations_are_exact() -> None:
    vectors = np.array([[0.0, 0.0, 0.0], [0.0, np.pi / 2, 0.0], [1e-9, 0.0, 0.0]])
    turned = rotation_matrix(vectors)
    assert turned[0] == pytest.approx(np.eye(3))
    assert turned[1] @ [0, 0, 1] == pytest.approx([1, 0, 0])
    assert turned @ turned.transpose(0, 2, 1) == pytest.approx(np.broadcast_to(np.eye(3), (3, 3, 3)))


def changed(recording: Recording, **values: np.ndarray) -> Recording:
    return replace(recording, **values)


def test_the_slewed_steering_is_kept_as_long_as_its_recording_and_no_longer(recording: Recording) -> None:
    steer = np.where(np.arange(len(recording.steer)) < 15, 1.0, 0.0).astype(np.float32)
    turned = replace(recording, steer=steer)
    slewed = turned.slewed_steer
    assert slewed[:4] == pytest.approx([0.0, 1.0, 0.0, 0.0])  # full after 5 ticks, gone 5 ticks after tick 15
    assert turned.slewed_steer is slewed
    assert not np.array_equal(recording.slewed_steer, slewed), "each recording has its own"
    alive = weakref.ref(turned)
    del turned
    gc.collect()
    assert alive() is None


def test_windows_are_named_by_what_happens_in_them(recording: Recording) -> None:
    start, n = 20, len(recording)
    contact, material, rotation = recording.contact.copy(), recording.material.copy(), recording.rotation.copy()
    speed = recording.recorded_mps.copy()
    contact[start + 8 : start + 12] = False
    material[start + 28, 0] = 6
    rotation[start + 43, :, 2] = [0.0, 0.1, 0.995]
    speed[start + 48 :] *= 0.5
    changes = changed(recording, contact=contact, material=material, rotation=rotation, recorded_mps=speed)
    marks = Marks.of_rows(changes, np.zeros(n, np.bool_))

    def name(first: int, horizon: int) -> str:
        return str(marks.classes(windows_at([start + first], 50), horizon)[0])

    assert name(0, 5) == "road"
    assert name(0, 10) == "jump"
    assert name(0, 20) == "landing"
    assert name(20, 10) == "dirt"
    assert name(36, 10) == "slope"
    assert name(42, 10) == "wall"
    assert wall_hits(changes).sum() == 1


def test_windows_end_at_respawns_and_before_the_finish(challenge: Challenge, ghost: Ghost) -> None:
    drive = as_drive("own.Replay.Gbx", challenge, ghost)
    assert drive is not None
    again = Recording.of([Drive(drive.name, challenge, ghost, drive.race_time_ms, (1_995,))])
    good = np.ones(len(again), np.bool_)
    left = run_lengths(good, again)
    assert left[10] == 10
    assert left[20] == again.end_row[0] - 20
    assert left[again.end_row[0] :].sum() == 0
    assert rows_before(good, again)[[0, 3, 19, 20, 22, 30]].tolist() == [0, 3, 5, 0, 2, 5]


def test_planes_are_found_only_where_all_wheels_stand_on_them(recording: Recording) -> None:
    ground = Ground.of(recording)
    stands = np.isfinite(ground.plane_m)
    assert stands[23:29].all()
    assert np.unique(ground.plane_m[stands]) == pytest.approx([9.3448])
    contact = recording.contact.copy()
    contact[25, 2] = False
    lifted = changed(recording, contact=contact)
    windows = plane_windows(lifted, Ground.of(lifted), 1)
    assert np.isnan(Ground.of(lifted).plane_m[25])
    assert all(row + length < 25 or row > 25 for row, length in zip(windows.row, windows.length, strict=True))


def test_json_has_the_promised_shape(replay_file, tmp_path, capsys) -> None:
    target = tmp_path / "fidelity.json"
    assert run_fidelity(FidelityConfig(paths=[replay_file], json_file=str(target), every=8, own=True)) == 0
    found = json.loads(target.read_text())
    assert {"start", "flat", "all", "twin", "own", "road"} <= set(found["classes"]) <= set(CLASSES)
    assert found["classes"]["own"]["median_m"]["1.0"] < 1e-3
    for summary in found["classes"].values():
        assert set(summary) == {"windows", "median_m", "p90_m"}
        assert set(summary["median_m"]) == set(summary["p90_m"]) == {"0.5", "1.0", "2.0", "5.0"}
    assert found["classes"]["start"]["windows"] == 1
    assert found["runs"][0]["finish_error_ms"] == 0
    printed = capsys.readouterr().out
    assert "maps without TMUnlimiter" in printed
    assert set(found["classes"]) <= {line.split(" ")[0] for line in printed.splitlines()}
    assert "100% to the finish" in printed


def test_every_window_is_a_line_of_the_list(replay_file, tmp_path, capsys) -> None:
    target = tmp_path / "windows.csv"
    assert cli.main(["fidelity", str(replay_file), "--windows", str(target), "--every", "8"]) == 0
    lines = list(csv.DictReader(target.read_text().splitlines()))
    assert len(lines) >= 5
    for line in lines:
        assert float(line["error_0_5_m"]) < 1e-3
        assert line["blocks"].startswith("Stadium")
        assert (int(line["seen_ms"]) >= 0) == bool(line["seen_on"])
        assert (int(line["differs_ms"]) >= 0) == bool(line["differs_on"])


def test_twins_begin_together_and_a_sharper_start_parts_them(recording: Recording, track: Track) -> None:
    windows = windows_at([30, 40], 10)
    state = warm_states(World(track, 2), recording, windows, recording.slewed_steer)
    apart = twins_apart(World(track, 2 * 14), recording, windows, state)
    assert np.isnan(apart[:, 0]).all()
    assert np.isnan(apart[:, 11:]).all()
    assert ((apart[:, 1:11] > 1e-5) & (apart[:, 1:11] < 5e-3)).all()


def test_json_alone_goes_to_standard_output(replay_file, capsys) -> None:
    assert cli.main(["fidelity", str(replay_file), "--json", "-", "--starts-only"]) == 0
    captured = capsys.readouterr()
    assert set(json.loads(captured.out)["classes"]) == {"start"}
    assert "1 runs" in captured.err


def test_damaged_file_is_a_sentence(tmp_path, replay_bytes, capsys) -> None:
    path = tmp_path / "broken.Replay.Gbx"
    path.write_bytes(replay_bytes[:200])
    assert cli.main(["fidelity", str(path)]) == 1
    error = capsys.readouterr().err
    assert "No finished Stadium run" in error
    assert "broken.Replay.Gbx" in error
    assert "Traceback" not in error


def test_missing_path_is_a_sentence(tmp_path) -> None:
    with pytest.raises(CaptureError, match="no such file or folder"):
        find_files([tmp_path / "nothing"])
    with pytest.raises(CaptureError, match=r"no \.Gbx file"):
        find_files([tmp_path])


def test_repeated_runs_count_once(tmp_path, replay_bytes) -> None:
    for name in ("a.Replay.Gbx", "b.Replay.Gbx"):
        (tmp_path / name).write_bytes(replay_bytes)
    drives, left_out = read_drives(find_files([tmp_path]))
    assert len(drives) == 1
    assert left_out == []


def test_a_class_without_windows_is_not_reported(recording: Recording) -> None:
    found = measure_all(recording, FidelityConfig(paths=[], starts_only=True))
    assert set(class_summary(found.table)) == {"start"}
    assert class_summary(found.table)["start"]["median_m"]["5.0"] is None


def drives_of(corpus_dir: Path, *folders: str) -> Recording:
    drives, _ = read_drives(find_files([corpus_dir / name for name in folders if (corpus_dir / name).is_dir()]))
    if not drives:
        pytest.skip(f"none of {', '.join(folders)} is in this folder of real replays")
    return Recording.of(drives)


@pytest.mark.corpus
def test_real_runs_on_known_planes_are_reproduced(corpus_dir: Path) -> None:
    recording = drives_of(corpus_dir, "buyablemos+TrackManiaBot")
    starts = start_windows(recording)
    start = roll_starts(level_floor(0.0), recording, starts).position_m
    assert np.median(start[starts.length >= 10, 10]) <= 1e-3
    assert np.median(start[starts.length >= 20, 20]) <= 2e-3
    flat = plane_windows(recording, Ground.of(recording), every=60)
    errors = measure(level_floor(0.0), recording, flat).position_m
    by_horizon = {h: errors[flat.length >= h, h] for h in HORIZONS}
    assert len(by_horizon[50]) >= 25
    assert np.median(by_horizon[10]) <= 1e-3
    assert np.median(by_horizon[50]) <= 10e-3
    assert np.percentile(by_horizon[50], 90) <= 30e-3


@pytest.mark.corpus
def test_real_free_flights_are_reproduced(corpus_dir: Path) -> None:
    recording = drives_of(corpus_dir, "Atheuz+Gbx-Replay", "adrien-obrecht+GbxParser")
    flights = air_windows(recording, every=4)
    errors = measure(level_floor(VOID_M), recording, flights).position_m
    ends = errors[np.arange(len(flights)), flights.length]
    assert len(flights) >= 15
    assert np.median(ends) <= 3e-3


def test_starts_are_spread_even_where_parameters_can_hardly_be_told_apart() -> None:
    rng = np.random.default_rng(0)
    failed = 0
    for _ in range(20):
        slope = rng.standard_normal((13, 18)) * 10.0 ** rng.uniform(0, 9, (13, 1))
        slope[3:9] = slope[0] * rng.standard_normal((6, 1)) * (1 + 1e-7 * rng.standard_normal((6, 18)))
        product = slope @ slope.T + np.eye(13)
        normal = (product + 1e-9 * np.diag(np.diagonal(product)))[None]
        try:
            np.linalg.cholesky(np.linalg.inv(normal))
        except np.linalg.LinAlgError:
            failed += 1
            scale = np.sqrt(np.diagonal(normal[0]))
            spread = scale[:, None] * spread_of(normal)[0]  # of parameters whose matrix has ones on its diagonal
            assert np.abs(spread.T @ (normal[0] / np.outer(scale, scale)) @ spread - np.eye(13)).max() < 1e-3
    assert failed > 3, "the plain way must fail on some of these, or this test shows nothing"

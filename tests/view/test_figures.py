"""Figures hold the numbers they were given; contact sheets hold the frames."""

import cv2
import numpy as np
import pytest

from trackmaster.view import ViewError, contact_sheet, data_url, lap_figure, loss_figure, progress_figure
from trackmaster.view.figures import MAX_TRACK_TRIANGLES
from trackmaster.view.pictures import SHEET_GAP_PX, encode_jpeg, encode_png


def grid_mesh(side: int) -> tuple[np.ndarray, np.ndarray]:
    """A flat sheet of side x side squares of 4 m."""
    x, z = np.meshgrid(np.arange(side + 1) * 4.0, np.arange(side + 1) * 4.0, indexing="ij")
    vertices = np.stack([x, 0 * x, z], axis=2).reshape(-1, 3).astype(np.float32)
    a = (np.arange(side)[:, None] * (side + 1) + np.arange(side)).reshape(-1)
    triangles = np.concatenate([np.stack([a, a + 1, a + side + 2], 1), np.stack([a, a + side + 2, a + side + 1], 1)])
    return vertices, triangles.astype(np.int32)


def test_loss_curves_keep_their_values_and_choose_a_usable_axis() -> None:
    figure = loss_figure({"train": [0.4, 0.2], "validation": np.array([0.5, 0.3])})
    assert [tuple(trace.y) for trace in figure.data] == [(0.4, 0.2), (0.5, 0.3)]
    assert figure.layout.yaxis.type == "log"
    assert loss_figure({"train": [0.4, -0.1]}).layout.yaxis.type == "linear"
    assert len(loss_figure({}).data) == 0


def test_progress_shows_mean_range_and_only_finished_laps() -> None:
    runs = {"seed 1": [(0.0, (10.0, 30.0), (None, None)), (5.0, (90.0, 110.0), (None, 24_540))]}
    figure = progress_figure(runs, track_length_m=110.0)
    band, mean, laps = figure.data
    assert tuple(mean.y) == (20.0, 100.0)
    assert tuple(band.y) == (30.0, 110.0, 90.0, 10.0)
    assert tuple(laps.y) == (24.54,)
    assert tuple(laps.text) == ("24.54",)
    unfinished = progress_figure({"seed 1": [(0.0, (10.0,), (None,))]})
    assert len(unfinished.data) == 2


def test_lap_keeps_place_speed_and_handedness() -> None:
    line = np.array([[0.0, 1.0, 0.0], [10.0, 2.0, 5.0]])
    figure = lap_figure(line, np.array([10.0, 50.0]), time_ms=np.array([0, 1_230]))
    lap = figure.data[0]
    np.testing.assert_allclose(lap.x, [0, 10])
    np.testing.assert_allclose(lap.y, [0, -5])
    np.testing.assert_allclose(lap.z, [1.6, 2.6])
    np.testing.assert_allclose(lap.line.color, [36, 180])
    assert lap.text[1] == "1.23 · 180 km/h"


def test_lap_draws_only_the_track_around_it_one_trace_per_color() -> None:
    vertices, triangles = grid_mesh(200)  # 800 x 800 m
    line = np.array([[40.0, 0.0, 40.0], [120.0, 0.0, 40.0]])
    colors = np.where(np.arange(len(triangles))[:, None] % 2 == 0, [10, 20, 30], [200, 100, 50])
    figure = lap_figure(line, np.ones(2), vertices=vertices, triangles=triangles, look_colors=colors, reach_m=60.0)
    meshes = [trace for trace in figure.data if trace.type == "mesh3d"]
    assert {trace.color for trace in meshes} == {"rgb(30,20,10)", "rgb(50,100,200)"}
    for trace in meshes:
        assert trace.x.max() < 120 + 90
        assert -trace.y.min() < 40 + 90
        assert max(trace.i.max(), trace.j.max(), trace.k.max()) == len(trace.x) - 1
    assert 100 < sum(len(trace.i) for trace in meshes) < 10_000 < MAX_TRACK_TRIANGLES


def test_lap_without_positions_is_refused() -> None:
    with pytest.raises(ViewError, match="n > 0"):
        lap_figure(np.zeros((0, 3)), np.zeros(0))
    with pytest.raises(ViewError, match="2 speeds"):
        lap_figure(np.zeros((3, 3)), np.zeros(2))


def test_contact_sheet_places_frames_row_by_row() -> None:
    frames = [np.full((6, 8), 10 * k, np.uint8) for k in range(5)]
    sheet = contact_sheet(frames, columns=3)
    assert sheet.shape == (2 * 6 + SHEET_GAP_PX, 3 * 8 + 2 * SHEET_GAP_PX, 3)
    for k in range(5):
        y, x = k // 3 * (6 + SHEET_GAP_PX), k % 3 * (8 + SHEET_GAP_PX)
        assert (sheet[y : y + 6, x : x + 8] == 10 * k).all()
    large = contact_sheet([frames[4], np.full((12, 16, 4), 7, np.uint8)], width_px=32)
    assert large.shape == (24, 2 * 32 + SHEET_GAP_PX, 3)
    assert (large[:, -32:] == 7).all()


def test_pictures_are_refused_or_encoded() -> None:
    with pytest.raises(ViewError, match="no frames"):
        contact_sheet([])
    with pytest.raises(ViewError, match="expected uint8"):
        contact_sheet([np.zeros((4, 4))])  # type: ignore[list-item]
    with pytest.raises(ViewError, match="empty"):
        encode_png(np.zeros((0, 4), np.uint8))
    picture = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert (cv2.imdecode(np.frombuffer(encode_png(picture), np.uint8), cv2.IMREAD_GRAYSCALE) == picture).all()
    assert encode_jpeg(picture)[:2] == b"\xff\xd8"
    assert data_url(b"abc", "image/png") == "data:image/png;base64,YWJj"

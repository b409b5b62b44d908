"""Lap videos are read back with the decoder; overlays are looked at pixel by pixel."""

from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from trackmaster.view import OverlayFrame, ViewError, draw_overlay, write_lap_video


def gradient(k: int, width: int = 96, height: int = 64) -> np.ndarray:
    """A smooth picture that brightens with k, (H, W, 3)."""
    x = np.linspace(0, 120, width)[None, :, None]
    y = np.linspace(0, 60, height)[:, None, None]
    return (x + y + np.array([10 + 4 * k, 20, 40])).clip(0, 255).astype(np.uint8)


def decoded(path: Path) -> tuple[list[np.ndarray], av.video.stream.VideoStream]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        facts = (stream.codec_context.name, stream.codec_context.pix_fmt, stream.average_rate)
        return [frame.to_ndarray(format="bgr24") for frame in container.decode(stream)], facts


def test_video_holds_the_frames_in_a_form_browsers_play(tmp_path: Path) -> None:
    frames = [gradient(k) for k in range(12)]
    target = tmp_path / "new" / "lap.mp4"
    assert write_lap_video(target, iter(frames), fps=20) == 12
    shown, (codec, pixels, rate) = decoded(target)
    assert (codec, pixels, rate) == ("h264", "yuv420p", 20)
    assert len(shown) == 12
    for one, other in zip(frames, shown, strict=True):
        assert np.abs(one.astype(int) - other).mean() < 4
    head = target.read_bytes()[:4096]
    assert b"moov" in head, "the index must come first, or a browser has to load the whole file before it plays"


def test_same_frames_give_the_same_file(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        write_lap_video(tmp_path / name, (gradient(k) for k in range(5)))
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


@pytest.mark.parametrize("shape", [(63, 63), (63, 63, 4), (1, 63, 63)])
def test_odd_gray_and_bgra_frames_are_accepted(tmp_path: Path, shape: tuple[int, ...]) -> None:
    frames = [np.full(shape, 60 + 20 * k, np.uint8) for k in range(3)]
    write_lap_video(tmp_path / "odd.mp4", frames)
    shown, _ = decoded(tmp_path / "odd.mp4")
    assert shown[0].shape == (64, 64, 3)
    assert abs(float(shown[2].mean()) - 100) < 6


def test_refused_videos_leave_nothing_behind(tmp_path: Path) -> None:
    target = tmp_path / "lap.mp4"
    with pytest.raises(ViewError, match="no frame"):
        write_lap_video(target, [])
    with pytest.raises(ViewError, match="one size"):
        write_lap_video(target, [gradient(0), gradient(0, width=64)])
    with pytest.raises(ViewError, match="overlays end at 1"):
        write_lap_video(target, [gradient(0)] * 2, [OverlayFrame(0, 0.0)])
    with pytest.raises(ViewError, match="frames end at 1"):
        write_lap_video(target, [gradient(0)], [OverlayFrame(0, 0.0)] * 2)
    with pytest.raises(ViewError, match="fps"):
        write_lap_video(target, [gradient(0)], fps=0)
    assert list(tmp_path.iterdir()) == []


def changed(a: np.ndarray, b: np.ndarray) -> tuple[int, int, int, int]:
    """Box (left, top, right, bottom) around the pixels that differ."""
    rows, columns = np.nonzero((a != b).any(axis=2))
    return int(columns.min()), int(rows.min()), int(columns.max()), int(rows.max())


def test_overlay_shows_each_key_where_it_belongs() -> None:
    frame = np.full((480, 640, 3), 128, np.uint8)
    idle = draw_overlay(frame, OverlayFrame(1000, 100.0))
    boxes = {
        name: changed(idle, draw_overlay(frame, OverlayFrame(1000, 100.0, **pressed)))
        for name, pressed in {
            "gas": {"gas": 1.0},
            "brake": {"brake": 1.0},
            "left": {"steer": -1.0},
            "right": {"steer": 1.0},
        }.items()
    }
    assert boxes["gas"][3] < boxes["brake"][1], "up stands above down"
    assert boxes["left"][2] < boxes["brake"][0] <= boxes["brake"][2] < boxes["right"][0]
    assert all(right < 320 and top > 240 for _, top, right, _ in boxes.values())
    half = changed(idle, draw_overlay(frame, OverlayFrame(1000, 100.0, steer=0.4)))
    assert half[2] - half[0] < 0.6 * (boxes["right"][2] - boxes["right"][0]), "analog steering fills its key in part"


def test_overlay_progress_bar_grows_and_text_changes() -> None:
    frame = np.full((240, 320, 3), 128, np.uint8)
    widths = []
    for share in (0.25, 0.5, 1.0):
        picture = draw_overlay(frame, OverlayFrame(0, 0.0, progress=share))
        widths.append(int((picture[-1, :, 2] > 200).sum()))
    assert widths == [80, 160, 320]
    slow, fast = (draw_overlay(frame, OverlayFrame(0, v)) for v in (99.4, 312.0))
    left, top, _, _ = changed(slow, fast)
    assert left > 160
    assert top > 120
    early, late = (draw_overlay(frame, OverlayFrame(t, 0.0)) for t in (1_000, 71_230))
    assert changed(early, late)[3] < 60
    assert (frame == 128).all(), "the frame given stays as it is"


def test_overlay_refuses_other_arrays_and_odd_characters_do_not_stop_it() -> None:
    with pytest.raises(ViewError, match="uint8"):
        draw_overlay(np.zeros((4, 4)), OverlayFrame(0, 0.0))  # type: ignore[arg-type]
    frame = np.zeros((120, 160, 3), np.uint8)
    assert draw_overlay(frame, OverlayFrame(-250, -3.0, caption="Öß漢")).any()
    assert draw_overlay(np.zeros((8, 8, 3), np.uint8), OverlayFrame(0, 0.0, progress=2.0)).shape == (8, 8, 3)


def test_the_edge_of_a_text_lies_around_its_letters() -> None:
    """Dark pixels far from white ones would be a second text beside the first."""
    plain = np.full((480, 854, 3), 200, np.uint8)
    drawn = draw_overlay(plain, OverlayFrame(0, 0.0, caption="trackmaster, first_steps"))[:45, 300:]
    white, dark = (drawn > 240).all(axis=2), (drawn < 100).all(axis=2)
    assert white.any()
    assert dark.any()
    near = cv2.dilate(white.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    assert not (dark & ~near).any()

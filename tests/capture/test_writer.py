"""Pictures are handed to threads in groups: none is lost at a border, and none fails in silence."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from trackmaster.capture.errors import CaptureError
from trackmaster.capture.writer import TOGETHER, WAITING, FrameWriter


def picture(number: int) -> np.ndarray:
    return np.full((8, 8), number % 256, np.uint8)


@pytest.mark.parametrize(
    "count", [0, 1, TOGETHER - 1, TOGETHER, TOGETHER + 1, WAITING * TOGETHER, 2 * WAITING * TOGETHER + 3]
)
def test_every_picture_is_on_disk_after_waiting(tmp_path: Path, count: int) -> None:
    with FrameWriter() as frames:
        for number in range(count):
            frames.write(tmp_path / f"{number}.jpeg", picture(number))
        frames.wait()
        assert len(list(tmp_path.iterdir())) == count
        frames.write(tmp_path / "later.jpeg", picture(7))
    assert len(list(tmp_path.iterdir())) == count + 1, "leaving waits for what came after"
    for number in range(count):
        read = cv2.imread(str(tmp_path / f"{number}.jpeg"), cv2.IMREAD_GRAYSCALE)
        assert read is not None
        assert abs(int(read[0, 0]) - number % 256) <= 2


@pytest.mark.parametrize("number", [0, TOGETHER - 1, TOGETHER, 2 * TOGETHER])
def test_a_picture_that_cannot_be_written_is_told_wherever_it_stands(tmp_path: Path, number: int) -> None:
    (tmp_path / f"{number}.jpeg").mkdir()
    with FrameWriter() as frames:
        for each in range(2 * TOGETHER + 1):
            frames.write(tmp_path / f"{each}.jpeg", picture(each))
        with pytest.raises(CaptureError, match=rf"{number}\.jpeg: cannot be written .*disk full"):
            frames.wait()


def test_pictures_that_nobody_waited_for_are_dropped_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), FrameWriter() as frames:
        frames.write(tmp_path / "last.jpeg", picture(1))
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())

"""The observations that the seed and tmrl name, without the action buffer that the environment adds."""

from collections import deque
from typing import Any

import cv2
import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from trackmaster.env.driver_floats import ZONES_PER_BORDER, road_lidar
from trackmaster.env.errors import EnvError
from trackmaster.env.racing import to_grey
from trackmaster.env.realtime.race import PictureWish, Reading
from trackmaster.env.realtime.screen_lidar import DARK_BELOW, N_RAYS, WINDOW, ScreenLidar
from trackmaster.env.zones import zone_map_of
from trackmaster.track import Track

Observation = list[NDArray[Any]]

_SPEED = gym.spaces.Box(0.0, 1_000.0, (1,), np.float32)
_GEAR = gym.spaces.Box(0.0, 6.0, (1,), np.float32)
_RPM = gym.spaces.Box(0.0, np.inf, (1,), np.float32)
_SHARE = gym.spaces.Box(0.0, 1.0, (1,), np.float32)


def _number(value: float) -> NDArray[np.float32]:
    return np.array([value], dtype=np.float32)


class FullView:
    """Speed km/h (1,), gear (1,), rpm (1,), the last pictures uint8 (4, H, W) grey or (4, H, W, 3) RGB."""

    def __init__(
        self, img_hist_len: int = 4, resize_to: tuple[int, int] | None = (64, 64), *, grayscale: bool = True
    ) -> None:
        """Choose pictures.

        Args:
            img_hist_len: how many.
            resize_to: width and height; None keeps the size of the source, 256 x 128.
            grayscale: one channel instead of three.
        """
        self._size = resize_to if resize_to is not None else (256, 128)
        self._is_grey = grayscale
        self._pictures: deque[NDArray[np.uint8]] = deque(maxlen=img_hist_len)
        self.wish: PictureWish | None = PictureWish("follow", self._size)

    def space(self) -> gym.spaces.Tuple[Any]:
        """Return Tuple(speed, gear, rpm, pictures)."""
        width, height = self._size
        shape = (self._pictures.maxlen or 1, height, width) + (() if self._is_grey else (3,))
        return gym.spaces.Tuple((_SPEED, _GEAR, _RPM, gym.spaces.Box(0, 255, shape, np.uint8)))

    def begin(self, reading: Reading, progress: float) -> Observation:
        """Show the first picture as often as there are places."""
        del progress
        self._pictures.extend([self._picture(reading)] * (self._pictures.maxlen or 1))
        return self._shown(reading)

    def observe(self, reading: Reading, progress: float) -> Observation:
        """Show one more picture."""
        del progress
        self._pictures.append(self._picture(reading))
        return self._shown(reading)

    def _shown(self, reading: Reading) -> Observation:
        telemetry = [_number(value) for value in (reading.speed_kmph, reading.gear, reading.rpm)]
        return [*telemetry, np.stack(self._pictures)]

    def _picture(self, reading: Reading) -> NDArray[np.uint8]:
        picture = _picture_of(reading)
        if picture.shape[1::-1] != self._size:
            picture = np.asarray(cv2.resize(picture, self._size), dtype=np.uint8)
        return to_grey(picture) if self._is_grey else np.ascontiguousarray(picture[:, :, 2::-1])


class LidarView:
    """Speed km/h (1,), with ``progress`` the share that is done (1,), the last scans float32 (4, 19) in pixels."""

    def __init__(
        self,
        img_hist_len: int = 4,
        *,
        progress: bool = False,
        window: tuple[int, int] = WINDOW,
        dark_below: int = DARK_BELOW,
    ) -> None:
        """Choose a lidar.

        Args:
            img_hist_len: how many scans.
            progress: show how much of the demonstration is done, too.
            window: width and height of the picture that is scanned.
            dark_below: see ``ScreenLidar``.

        Raises:
            EnvError: the window is too small.
        """
        self._has_progress = progress
        self._lidar = ScreenLidar(*window, dark_below=dark_below)
        self._scans: deque[NDArray[np.float32]] = deque(maxlen=img_hist_len)
        self.wish: PictureWish | None = PictureWish("lidar", window)

    def space(self) -> gym.spaces.Tuple[Any]:
        """Return Tuple(speed, scans) or Tuple(speed, progress, scans)."""
        scans = gym.spaces.Box(0.0, np.inf, (self._scans.maxlen or 1, N_RAYS), np.float32)
        return gym.spaces.Tuple((_SPEED, _SHARE, scans) if self._has_progress else (_SPEED, scans))

    def begin(self, reading: Reading, progress: float) -> Observation:
        """Show the first scan as often as there are places."""
        self._scans.extend([self._scan(reading)] * (self._scans.maxlen or 1))
        return self._shown(reading, progress)

    def observe(self, reading: Reading, progress: float) -> Observation:
        """Show one more scan."""
        self._scans.append(self._scan(reading))
        return self._shown(reading, progress)

    def _shown(self, reading: Reading, progress: float) -> Observation:
        share = [_number(progress)] if self._has_progress else []
        return [_number(reading.speed_kmph), *share, np.stack(self._scans)]

    def _scan(self, reading: Reading) -> NDArray[np.float32]:
        picture = _picture_of(reading)
        height, width = picture.shape[:2]
        if (self._lidar.width, self._lidar.height) != (width, height):  # a window cannot always be made as wished
            self._lidar = ScreenLidar(width, height, dark_below=self._lidar.dark_below)
        return self._lidar.scan(picture)


class ExactLidarView(LidarView):
    """Like ``LidarView``, but measured in metres on the track's own triangles: for sources that know the map."""

    def __init__(self, track: Track, img_hist_len: int = 4, *, progress: bool = False) -> None:
        """Measure the borders of the road once.

        Args:
            track: with a reference line.
            img_hist_len: how many scans.
            progress: show how much of the demonstration is done, too.
        """
        super().__init__(img_hist_len, progress=progress)
        self.wish = None
        self._zones = zone_map_of(track)
        self._zone = self._zones.start(1)
        self._rays = road_lidar((track,), (self._zones,), np.zeros(1, dtype=np.int64))

    def begin(self, reading: Reading, progress: float) -> Observation:
        """Begin at the start of the line."""
        self._zone = self._zones.start(1)
        return super().begin(reading, progress)

    def _scan(self, reading: Reading) -> NDArray[np.float32]:
        if reading.state is None:
            raise EnvError("an exact lidar needs the car's state, which this game does not tell: use the drawn one.")
        state = reading.state
        self._zone = self._zones.advance(self._zone, state.position_m[None])
        beside = self._zone // ZONES_PER_BORDER
        scan: NDArray[np.float32] = self._rays.scan(state.position_m[None], state.rotation[None], beside)[0]
        return scan.copy()


def _picture_of(reading: Reading) -> NDArray[np.uint8]:
    if reading.picture is None:
        raise EnvError("the source gave no picture, but the observation needs one: give it a screen.")
    return reading.picture

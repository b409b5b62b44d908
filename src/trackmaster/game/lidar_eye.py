"""The simulator's picture for a lidar: from the hood, without the car, road bright and everything beside it black.

tmrl reads its lidar off the dark borders of TrackMania 2020's road. The Stadium road has no such border, so it is drawn
as if it had: what one drives on keeps a colour above the threshold, all the rest has none.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from trackmaster.game.state import CarState
from trackmaster.sim import Appearance, HoodCamera, Renderer
from trackmaster.track import Look, Track

_DRIVEN: Final = {
    Look.ROAD, Look.PLATFORM, Look.DIRT, Look.TURBO, Look.CHECKPOINT, Look.FINISH, Look.START, Look.MARKING,
    Look.FREE_WHEELING,
}  # fmt: skip
APPEARANCE: Final = Appearance(
    colors=tuple((200.0, 200.0, 200.0) if look in _DRIVEN else (0.0, 0.0, 0.0) for look in Look),
    contrast=0.0,
    ambient=1.0,
    diffuse=0.0,
    fog_start=1.0,
)


class LidarEye:
    """Draws one car's view."""

    def __init__(self, track: Track, size: tuple[int, int]) -> None:
        """Make a renderer.

        Args:
            track: where the car drives.
            size: width and height in pixels.
        """
        self._camera = HoodCamera(1)
        self._renderer = Renderer(track, *size, appearance=APPEARANCE, supersample=1)

    def look(self, state: CarState) -> NDArray[np.uint8]:
        """Return (H, W, 4) BGRA as seen from the car."""
        pose = self._camera.update(0.0, state.position_m[None], state.rotation[None])
        picture: NDArray[np.uint8] = self._renderer.render(pose.eye_m, pose.rotation, pose.fov_deg, mode="bgra")[0]
        return picture

"""From car states to pictures: the one way in which environments, games and capture look at a simulated car."""

from collections.abc import Sequence
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from trackmaster.game.state import CarStates
from trackmaster.sim.appearance import Appearance
from trackmaster.sim.camera import CameraPose, CameraState, ChaseCamera, causes_of
from trackmaster.sim.camera_run import chase_run
from trackmaster.sim.renderer import Renderer
from trackmaster.track import Track
from trackmaster.units import TICK_MS

CAMERA: Final = 2
"""The game's camera number that is imitated (``cam 2``, the one agents are trained with)."""

FULL_LOCK_RAD: Final = 0.45
"""How far the drawn front wheels turn at full steering; looks only."""

Mode = Literal["gray", "bgra"]
Floats = NDArray[np.float32]


class CarCameras:
    """One chase camera per car, moved on whenever its car was."""

    def __init__(self, n: int) -> None:
        """Stand behind ``n`` cars that were not seen yet."""
        self._cameras = ChaseCamera(n)

    def follow(self, ticks: int, cars: CarStates, steer: Floats, gas: Floats, brake: Floats) -> CameraPose:
        """Move on by ``ticks`` ticks to ``cars`` and return the views of them.

        Args:
            ticks: ticks since the last call; 0 looks again without moving on.
            cars: N cars.
            steer: (N,) inputs that were in force meanwhile.
            gas: (N,).
            brake: (N,).
        """
        return self._cameras.update(
            ticks * TICK_MS / 1_000,
            cars.position_m,
            cars.rotation,
            _speed_mps(cars),
            gas,
            brake,
            steer,
            cars.wheel_contact,
            turbo=cars.turbo,
            gear=cars.gear,
        )

    def forget(self, mask: NDArray[np.bool_] | None = None) -> None:
        """Begin anew behind the cars in ``mask``, because they were put elsewhere."""
        self._cameras.reset(mask)

    def snapshot(self, ids: Sequence[int]) -> CameraState:
        """Return what the cameras of some cars remember."""
        return self._cameras.snapshot(ids)

    def restore(self, state: CameraState, ids: Sequence[int]) -> None:
        """Go on from a snapshot."""
        self._cameras.restore(state, ids)


def follow_run(cars: CarStates, steer: Floats, gas: Floats, brake: Floats, placed: NDArray[np.bool_]) -> CameraPose:
    """Return the views of every tick of one car's run, equal to those of ``CarCameras(1)`` tick by tick.

    Args:
        cars: (T,) one row per tick.
        steer: (T,) inputs in force in the tick before each.
        gas: (T,).
        brake: (T,).
        placed: (T,) where the car was put elsewhere, so that the camera begins anew.
    """
    causes = causes_of(len(cars), _speed_mps(cars), gas, brake, steer, cars.wheel_contact, cars.turbo)
    return chase_run(cars.position_m, cars.rotation, causes, cars.gear, placed)


def _speed_mps(cars: CarStates) -> NDArray[np.float64]:
    velocity = cars.velocity_mps.astype(np.float64)
    speed: NDArray[np.float64] = np.sqrt(velocity[:, 0] ** 2 + velocity[:, 1] ** 2 + velocity[:, 2] ** 2)
    return speed


class Easel:
    """Renderers of one set of tracks, made once per picture size."""

    def __init__(
        self, tracks: Sequence[Track], n_views: int, device: str = "cpu", appearance: Appearance | None = None
    ) -> None:
        """Remember what to draw.

        Args:
            tracks: places.
            n_views: most pictures per call.
            device: Warp device.
            appearance: colours, light and textures; the usual ones without it.
        """
        self._tracks, self._n_views, self._device, self._appearance = tuple(tracks), n_views, device, appearance
        self._renderers: dict[tuple[int, int], Renderer] = {}

    def draw(
        self,
        pose: CameraPose,
        cars: CarStates,
        steer: Floats,
        size: tuple[int, int],
        *,
        track: NDArray[np.integer] | None = None,
        mode: Mode = "gray",
    ) -> NDArray[np.uint8]:
        """Return (N, H, W) grey or (N, H, W, 4) BGRA pictures of N cars.

        Args:
            pose: their cameras.
            cars: the cars, drawn with their shadows.
            steer: (N,) steering input that turns the drawn wheels, + = right.
            size: width and height in pixels.
            track: (N,) which track each car is on; the first without it.
            mode: "gray" equals the BGRA picture turned to grey by OpenCV.
        """
        renderer = self._renderers.get(size)
        if renderer is None:
            renderer = self._renderers[size] = Renderer(
                self._tracks, *size, n_views=self._n_views, device=self._device, appearance=self._appearance
            )
        pictures = renderer.render(
            pose.eye_m,
            pose.rotation,
            pose.fov_deg,
            cars.position_m,
            cars.rotation,
            car_steer_rad=-FULL_LOCK_RAD * steer,
            track=track,
            mode=mode,
        )
        on_host: NDArray[np.uint8] = pictures if isinstance(pictures, np.ndarray) else pictures.cpu().numpy()
        return on_host

    def clear(self) -> None:
        """Let go of all renderers."""
        self._renderers.clear()

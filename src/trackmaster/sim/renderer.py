"""Pictures of the simulated world: a batched z-buffer renderer that writes into the caller's frames."""

from collections.abc import Sequence
from typing import Any, Literal, Protocol, cast

import numpy as np
import warp as wp
from numpy.typing import ArrayLike, NDArray

from trackmaster.sim import kernels_draw_types, kernels_raster
from trackmaster.sim.appearance import Appearance
from trackmaster.sim.car_model import FRONT_HUB_M, CarModel, build_car
from trackmaster.sim.draw_cells import CELL_M, MeshLike, SceneArrays, build_scene
from trackmaster.sim.errors import SimError
from trackmaster.sim.world import checked_device

Mode = Literal["gray", "bgra"]

_IS_GRAY, _GRAY, _BGRA = 9, 10, 11
"""Places of the arguments of ``render_views`` that change from call to call."""

NEAR_M = 0.2
"""Nothing closer to the eye is drawn."""

DRAW_DISTANCE_M = 250.0
"""Default reach; haze is complete there, so nothing pops up."""

CUDA_TILE_PX = 16
"""Edge of the square one CUDA thread fills."""

SPILL_PX = 8
"""Pixels are coloured in groups of this many; the last group of a frame may reach beyond it."""

SMOOTH_FROM_PX = 360

MAX_SIZE_PX = 8192


class RenderError(SimError):
    """A picture cannot be drawn as asked."""


class TrackLike(Protocol):
    """A track for the renderer: something with a mesh."""

    @property
    def mesh(self) -> MeshLike:
        """The triangles to draw."""


class Renderer:
    """Draws the view of ``n_views`` cameras at once.

    A frame depends only on its own camera, car and track: it is bit-equal in every run, batch size and tiling. Gray
    frames equal ``cv2.cvtColor(bgra, COLOR_BGRA2GRAY)`` of the colour frame, so capture and training see the same
    pixels whichever way they ask. A renderer owns one set of buffers: give every thread its own.

    Args:
        tracks: one or more tracks (or bare meshes).
        width: columns of a frame.
        height: rows of a frame.
        n_views: the most cameras one call may have.
        device: Warp device, ``"cpu"`` or ``"cuda:0"``.
        appearance: colours, light, haze; the default is the house style.
        draw_distance_m: how far one sees; the time per frame grows with it.
        supersample: draw this many times finer along each side and average, for smooth edges; by default twice for
            pictures people look at (``SMOOTH_FROM_PX`` rows and more) and not at all for smaller ones.
        tile_px: edge of the square one thread fills; None takes the whole frame on the CPU and 16 on CUDA.
    """

    def __init__(
        self,
        tracks: TrackLike | MeshLike | Sequence[TrackLike | MeshLike],
        width: int,
        height: int,
        n_views: int = 1,
        device: str = "cpu",
        *,
        appearance: Appearance | None = None,
        draw_distance_m: float = DRAW_DISTANCE_M,
        supersample: int | None = None,
        tile_px: int | None = None,
    ) -> None:
        if not (1 <= width <= MAX_SIZE_PX and 1 <= height <= MAX_SIZE_PX):
            raise RenderError(f"a frame of {width} x {height} pixels was asked for: each side must be 1..{MAX_SIZE_PX}")
        supersample = supersample or (2 if height >= SMOOTH_FROM_PX else 1)
        if n_views < 1 or not 1 <= supersample <= 8:
            raise RenderError(f"n_views is {n_views} and supersample {supersample}: expected at least 1, and 1..8")
        self.width, self.height, self.n_views = width, height, n_views
        self.appearance = appearance or Appearance()
        self._supersample = supersample
        self._device = wp.get_device(checked_device(device))
        fine_w, fine_h = width * supersample, height * supersample
        tile = tile_px or (CUDA_TILE_PX if self._device.is_cuda else max(fine_w, fine_h))
        self._tiles_x = -(-fine_w // tile)
        self._tiles = self._tiles_x * -(-fine_h // tile)
        self._tile = tile
        # CPU threads run one after the other: one buffer that stays in the cache serves all of them.
        self._slots = n_views * self._tiles if self._device.is_cuda else 1
        pixels = self._slots * min(tile, fine_w) * min(tile, fine_h)
        self._depth = wp.empty(pixels, dtype=wp.float32, device=self._device)
        self._ids = wp.empty(pixels + SPILL_PX, dtype=wp.int32, device=self._device)
        self._scene = self._upload(build_scene(_meshes(tracks)), build_car(), draw_distance_m)
        self._views = _ViewBuffers(n_views, self._device, n_tracks=len(_meshes(tracks)))
        self._no_gray = wp.empty(1, dtype=wp.uint8, device=self._device)
        self._no_bgra = wp.empty(1, dtype=wp.uint32, device=self._device)
        self._fine = self._coarse = self._no_bgra
        if supersample > 1:
            self._fine = wp.empty(n_views * fine_h * fine_w, dtype=wp.uint32, device=self._device)
            self._coarse = wp.empty(n_views * height * width, dtype=wp.int32, device=self._device)

        # Recorded once: packing the scene's arrays for every call would cost more than a small frame.
        self._command = wp.launch(
            kernels_raster.render_views,
            dim=(n_views, self._tiles),
            inputs=[
                self._scene,
                self._views.struct,
                fine_w,
                fine_h,
                tile,
                self._tiles_x,
                self._slots,
                self._depth,
                self._ids,
                0,
                self._no_gray,
                self._no_bgra,
            ],
            device=self._device,
            record_cmd=True,
        )

    def render(
        self,
        eye_m: ArrayLike,
        rotation: ArrayLike,
        fov_deg: ArrayLike,
        car_position_m: ArrayLike | None = None,
        car_rotation: ArrayLike | None = None,
        *,
        car_steer_rad: ArrayLike | None = None,
        track: ArrayLike | None = None,
        draw_car: bool = True,
        mode: Mode = "gray",
        out: Any = None,
    ) -> Any:
        """Draw one frame per camera.

        Args:
            eye_m: (n, 3) world positions of the cameras, ``n <= n_views``.
            rotation: (n, 3, 3), columns are the camera's left, up and forward in the world.
            fov_deg: (n,) or scalar, vertical angle of view.
            car_position_m: (n, 3) origins of the cars; None draws neither cars nor shadows.
            car_rotation: (n, 3, 3), columns are the car's left, up and forward.
            car_steer_rad: (n,) angle of the drawn front wheels, positive to the left; straight by default.
            track: (n,) number of the track each view is on; 0 by default.
            draw_car: False (hood camera) draws only the shadow.
            mode: ``"gray"`` or ``"bgra"``.
            out: where to draw: contiguous uint8, numpy array or torch tensor on the renderer's device, (n, H, W) or
                (n, 1, H, W) for gray, (n, H, W, 4) for bgra. None makes a new array.

        Returns:
            ``out``, or a new numpy array (CPU) or torch tensor (CUDA); rows from top to bottom.

        Raises:
            RenderError: shapes or types do not fit.
        """
        n = self._views.fill(
            eye_m,
            rotation,
            self._focal_px(fov_deg),
            car_position_m,
            car_rotation,
            car_steer_rad,
            track,
            draw_car=draw_car,
        )
        frames, target = self._target(n, mode, out)
        is_gray = int(mode == "gray")
        gray, bgra = (target, self._no_bgra) if is_gray else (self._no_gray, target)
        fine = self._supersample > 1
        command = self._command
        command.set_dim((n, self._tiles))
        command.set_param_at_index(_IS_GRAY, 0 if fine else is_gray)
        command.set_param_at_index(_GRAY, self._no_gray if fine else gray)
        command.set_param_at_index(_BGRA, self._fine if fine else bgra)
        command.launch()
        if fine:
            wp.launch(
                kernels_raster.average_blocks,
                dim=(n, self.height),
                inputs=[
                    self._fine,
                    self.width,
                    self.height,
                    self._supersample,
                    is_gray,
                    self._coarse,
                    gray,
                    bgra,
                ],
                device=self._device,
            )
        return frames

    def _focal_px(self, fov_deg: ArrayLike) -> NDArray[np.float32]:
        fov = np.asarray(fov_deg, np.float64)
        if not np.all((fov > 1.0) & (fov < 179.0)):
            raise RenderError(f"the angle of view is {fov.min()}..{fov.max()} degrees: expected more than 1, below 179")
        focal = self.height * self._supersample / 2 / np.tan(np.deg2rad(fov) / 2)
        return np.asarray(focal, np.float32)

    def _target(self, n: int, mode: Mode, out: Any) -> tuple[Any, Any]:
        """Return the frames for the caller and the Warp array over the same memory."""
        if mode not in ("gray", "bgra"):
            raise RenderError(f"the frame mode is {mode!r}: use 'gray' or 'bgra'")
        shape = (n, self.height, self.width) + ((4,) if mode == "bgra" else ())
        if out is None:
            out = self._new_frames(shape)
        allowed = {shape} if mode == "bgra" else {shape, (n, 1, self.height, self.width)}
        if tuple(out.shape) not in allowed or str(out.dtype).removeprefix("torch.") != "uint8":
            raise RenderError(f"out is {out.dtype} {tuple(out.shape)}: {mode} frames need uint8 {shape}")
        contiguous = out.flags.c_contiguous if isinstance(out, np.ndarray) else out.is_contiguous()
        if not contiguous:
            raise RenderError("out is not contiguous: pass a whole array, or a slice of its first axis")
        pointer = out.ctypes.data if isinstance(out, np.ndarray) else out.data_ptr()
        on_cuda = not isinstance(out, np.ndarray) and out.is_cuda
        if on_cuda != self._device.is_cuda or pointer % 4:
            raise RenderError(f"out must lie on {self._device} at an address that is a multiple of 4")
        dtype = wp.uint8 if mode == "gray" else wp.uint32
        # Over the bare memory: a view of uint8 quadruples as packed pixels, and no per-call conversion.
        target: Any = wp.array(ptr=pointer, shape=(n * self.height * self.width,), dtype=dtype, device=self._device)
        return out, target

    def _new_frames(self, shape: tuple[int, ...]) -> Any:
        if self._device.is_cuda:
            import torch

            return torch.empty(shape, dtype=torch.uint8, device=str(self._device))
        return np.empty(shape, np.uint8)

    def _upload(self, arrays: SceneArrays, car: CarModel, draw_distance_m: float) -> Any:
        look = self.appearance
        device = self._device

        def vectors(values: NDArray[np.float32]) -> Any:
            return wp.array(np.ascontiguousarray(values, np.float32).reshape(-1, 3), dtype=wp.vec3, device=device)

        def flat(values: NDArray[Any], dtype: Any) -> Any:
            return wp.array(values, dtype=dtype, device=device)

        scene = kernels_draw_types.Scene()
        scene.corner_a, scene.corner_b, scene.corner_c = (vectors(arrays.corners[:, k]) for k in range(3))
        scene.plane = wp.array(arrays.planes.reshape(-1, 4), dtype=wp.vec4, device=device)
        rows = _rows(arrays.corners, arrays.planes)
        scene.rows, scene.row_length = flat(rows.ravel(), wp.float32), rows.shape[1]
        scene.surface = flat(arrays.surface, wp.int32)
        scene.light = flat(look.light(arrays.normals), wp.float32)
        scene.cell_first = flat(arrays.cell_first, wp.int32)
        scene.cell_low, scene.cell_high = vectors(arrays.cell_low), vectors(arrays.cell_high)
        scene.track_grid = wp.array(arrays.track_grid, dtype=wp.int32, device=device, ndim=2)
        scene.car_a, scene.car_b, scene.car_c = (vectors(car.corners[:, k]) for k in range(3))
        scene.car_normal, scene.car_color = vectors(car.normals), vectors(car.colors)
        scene.car_part = flat(car.part, wp.int32)
        offset = -(car.normals.astype(np.float64) * car.corners[:, 0]).sum(axis=1)
        rows = _rows(car.corners, np.concatenate([car.normals, offset[:, None]], axis=1))
        scene.car_rows, scene.car_row_length = flat(rows.ravel(), wp.float32), rows.shape[1]
        groups = [0, *(np.flatnonzero(np.diff(car.part)) + 1), len(car.part)]
        scene.car_group, scene.n_car_groups = flat(np.asarray(groups, np.int32), wp.int32), len(groups) - 1
        scene.atlas = flat(look.atlas(), wp.uint32)
        scene.sky = flat(look.sky(), wp.uint32)
        scene.cell_size, scene.draw_distance, scene.near = CELL_M, float(draw_distance_m), NEAR_M
        scene.fog_start2 = (look.fog_start * float(draw_distance_m)) ** 2
        scene.fog_scale = 1.0 / max(float(draw_distance_m) ** 2 - scene.fog_start2, 1e-6)
        scene.fog_color = wp.vec3(*look.fog_color)
        scene.sun = wp.vec3(*look.sun_direction().tolist())
        scene.ambient, scene.diffuse = look.ambient, look.diffuse
        scene.ground_light = float(look.light(np.array([[0, 1, 0]], np.float32))[0])
        scene.steer_pivot = wp.vec3(*FRONT_HUB_M)
        scene.n_triangles, scene.n_car_triangles = len(arrays.corners), len(car.corners)
        return scene


def _rows(corners: NDArray[Any], planes: NDArray[Any]) -> NDArray[np.float32]:
    """Return corners (F, 3, 3) and planes (F, 4) by component, (13, F + padding), to be read eight at a time."""
    table = np.zeros((13, (len(corners) | 15) + 9), np.float32)
    table[:9, : len(corners)] = corners.reshape(-1, 9).T
    table[9:, : len(corners)] = planes.T
    return table


class _ViewBuffers:
    """Cameras and cars on the device, made once and refilled."""

    def __init__(self, n_views: int, device: Any, *, n_tracks: int) -> None:
        self._n_views, self._n_tracks, self._device = n_views, n_tracks, device
        self._host = {
            "track": np.zeros(n_views, np.int32),
            "eye": np.zeros((n_views, 3), np.float32),
            "rotation": np.zeros((n_views, 3, 3), np.float32),
            "focal_px": np.ones(n_views, np.float32),
            "car_position": np.zeros((n_views, 3), np.float32),
            "car_rotation": np.zeros((n_views, 3, 3), np.float32),
            "car_steer": np.zeros((n_views, 2), np.float32),
            "car_mode": np.zeros(n_views, np.int32),
        }
        types = {
            "track": wp.int32,
            "eye": wp.vec3,
            "rotation": wp.mat33,
            "focal_px": wp.float32,
            "car_position": wp.vec3,
            "car_rotation": wp.mat33,
            "car_steer": wp.vec2,
            "car_mode": wp.int32,
        }
        self.struct = kernels_draw_types.Views()
        self._arrays: dict[str, Any] = {}
        for name, host in self._host.items():
            # On the CPU the Warp array is the numpy array: filling it is all there is to do.
            array: Any = wp.array(host, dtype=types[name], device=device, copy=device.is_cuda)
            self._arrays[name] = array
            setattr(self.struct, name, array)

    def fill(
        self,
        eye_m: ArrayLike,
        rotation: ArrayLike,
        focal_px: NDArray[np.float32],
        car_position_m: ArrayLike | None,
        car_rotation: ArrayLike | None,
        car_steer_rad: ArrayLike | None,
        track: ArrayLike | None,
        *,
        draw_car: bool,
    ) -> int:
        eye = np.asarray(eye_m)
        n = len(eye) if eye.ndim == 2 else 0
        if not 1 <= n <= self._n_views or eye.shape != (n, 3):
            raise RenderError(f"eye has shape {eye.shape}: expected (n, 3) with n in 1..{self._n_views}")
        if (car_position_m is None) != (car_rotation is None):
            raise RenderError("only one of car position and car rotation was given: pass both or neither")
        host = self._host
        try:
            host["eye"][:n] = eye
            host["rotation"][:n] = np.asarray(rotation).reshape(n, 3, 3)
            host["focal_px"][:n] = focal_px
            host["track"][:n] = 0 if track is None else track
            host["car_mode"][:n] = 0 if car_position_m is None else 1 if draw_car else 2
            if car_position_m is not None:
                host["car_position"][:n] = car_position_m
                host["car_rotation"][:n] = np.asarray(car_rotation).reshape(n, 3, 3)
                steer = np.zeros(n) if car_steer_rad is None else np.asarray(car_steer_rad, np.float64)
                host["car_steer"][:n, 0] = np.cos(steer)
                host["car_steer"][:n, 1] = np.sin(steer)
        except ValueError as error:
            raise RenderError(f"cameras and cars of {n} views do not fit together: {error}") from error
        if host["track"][:n].min() < 0 or host["track"][:n].max() >= self._n_tracks:
            raise RenderError(f"a view is on track {host['track'][:n].max()}: the renderer has {self._n_tracks} tracks")
        if self._device.is_cuda:
            for name, array in self._arrays.items():
                array.assign(host[name])
        return n


def _meshes(tracks: TrackLike | MeshLike | Sequence[TrackLike | MeshLike]) -> list[MeshLike]:
    items = list(tracks) if isinstance(tracks, Sequence) else [tracks]
    if not items:
        raise RenderError("no track was given to draw: pass at least one")
    return [cast(MeshLike, getattr(item, "mesh", item)) for item in items]

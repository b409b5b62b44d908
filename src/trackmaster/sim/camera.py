"""Where the picture is taken from: the game's chase cameras and a hood camera of our own, for many cars at once.

Only additions, products, divisions and square roots are used, element by element: the same car sees the same view in
every batch and on every machine.

Source: camera values of the public TMUF validator (rest pose, ramps of the distance, spring, angle of view). How fast
the camera turns with the car is not public; :attr:`ChaseSettings.turn_s` and its neighbours are our choice.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trackmaster.sim.errors import SimError

F64 = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

SUBSTEP_S = 0.01
"""The springs advance in steps of about one tick, however rarely a picture is taken."""

SPEED_OF_FULL_ZOOM_MPS = 10.0
"""Below this the distance answers to the pedals in proportion: a car on the grid with its wheels spinning stays put."""


@dataclass(frozen=True)
class Ramp:
    """One influence on the camera: grows to ``size`` in ``up_s`` while its cause lasts, fades within ``down_s``."""

    size: float
    up_s: float
    down_s: float


@dataclass(frozen=True)
class ChaseSettings:
    """A camera on a spring behind the car.

    Attributes:
        height_m: above the car's origin, along the car's up.
        distance_m: behind the car's origin at rest.
        look_factor: the camera looks at this share of its own height above the car's origin.
        fov_deg: vertical angle of view.
        spring: stiffness of the distance, 1/s^2.
        damping: of the same spring, 1/s.
        gas: change of distance on the throttle, metres.
        brake: the same for the brake.
        steer: the same for steering, at full lock.
        turbo: the same on a boost.
        gear: the same after a gear change.
        air: the same with no wheel on the ground.
        turbo_fov_deg: added to the angle of view at full boost ramp.
        air_height_m: added to the height at full air ramp.
        turn_s: time constant with which the view turns after the car.
        tilt_s: time constant of the view's up direction.
        air_turn_s: ``turn_s`` in the air, where a tumbling car must not tumble the view.
        air_tilt_s: ``tilt_s`` in the air.
    """

    height_m: float = 2.2
    distance_m: float = 4.5
    look_factor: float = 0.88
    fov_deg: float = 75.0
    spring: float = 10.0
    damping: float = 5.0
    gas: Ramp = Ramp(1.0, 2.0, 1.0)
    brake: Ramp = Ramp(-0.7, 0.75, 1.0)
    steer: Ramp = Ramp(-0.8, 2.0, 1.5)
    turbo: Ramp = Ramp(-0.6, 1.0, 1.4)
    gear: Ramp = Ramp(-0.35, 0.5, 2.0)
    air: Ramp = Ramp(3.0, 3.0, 2.5)
    turbo_fov_deg: float = 10.5
    air_height_m: float = 0.0
    turn_s: float = 0.05
    tilt_s: float = 0.10
    air_turn_s: float = 0.30
    air_tilt_s: float = 0.80

    def ramps(self) -> F64:
        """Return size, up_s and down_s (3, 6) of the influences in the order of the state's columns."""
        ramps = (self.gas, self.brake, self.steer, self.turbo, self.gear, self.air)
        return np.array([[ramp.size, ramp.up_s, ramp.down_s] for ramp in ramps]).T


CAMERA_2 = ChaseSettings()
"""The near chase camera, with which agents are trained."""

CAMERA_1 = replace(
    CAMERA_2,
    height_m=3.3,
    distance_m=5.0,
    look_factor=0.7,
    turbo=Ramp(0.0, 1.0, 1.4),
    gear=Ramp(0.0, 0.5, 2.0),
    air=Ramp(2.0, 3.0, 2.5),
    air_height_m=4.0,
)
"""The far chase camera, the game's default."""

_GAS, _BRAKE, _STEER, _TURBO, GEAR, AIR = range(6)


@dataclass(frozen=True, eq=False)
class CameraPose:
    """Cameras of ``n`` views.

    Attributes:
        eye_m: (n, 3) world.
        rotation: (n, 3, 3), columns are the camera's left, up and forward in the world.
        fov_deg: (n,) vertical.
    """

    eye_m: F64
    rotation: F64
    fov_deg: F64


@dataclass(eq=False)
class CameraState:
    """Everything a chase camera remembers, per car.

    Attributes:
        ramps: (n, 6) how far each influence has grown, 0..1.
        stretch_m: (n,) distance beyond the rest distance.
        stretch_rate_mps: (n,) its rate.
        axes: (n, 2, 3) the view's forward and up before it looks down.
        car_axes: (n, 2, 3) the car's forward and up at the last update.
        gear: (n,) at the last update.
        gear_time_s: (n,) what is left of the pulse after a gear change.
        is_fresh: (n,) True until the first update after a reset.
    """

    ramps: F64
    stretch_m: F64
    stretch_rate_mps: F64
    axes: F64
    car_axes: F64
    gear: NDArray[np.int64]
    gear_time_s: F64
    is_fresh: BoolArray

    @classmethod
    def at_rest(cls, n: int) -> "CameraState":
        """Return ``n`` cameras that have not seen their car yet."""
        axes = (n, 2, 3)
        return cls(
            ramps=np.zeros((n, 6)),
            stretch_m=np.zeros(n),
            stretch_rate_mps=np.zeros(n),
            axes=np.zeros(axes),
            car_axes=np.zeros(axes),
            gear=np.zeros(n, np.int64),
            gear_time_s=np.zeros(n),
            is_fresh=np.ones(n, np.bool_),
        )

    def take(self, ids: ArrayLike | slice) -> "CameraState":
        """Return a copy of some cars' cameras."""
        key = ids if isinstance(ids, slice) else np.asarray(ids)
        return CameraState(*(np.array(value[key]) for value in vars(self).values()))

    def put(self, ids: ArrayLike | slice, other: "CameraState") -> None:
        """Overwrite some cars' cameras."""
        key = ids if isinstance(ids, slice) else np.asarray(ids)
        for name, value in vars(self).items():
            value[key] = getattr(other, name)


class ChaseCamera:
    """Follows ``n`` cars; feed it every picture's car state in order, after a reset the next one starts at rest.

    Args:
        n: number of cars.
        settings: which camera; the near chase camera by default.
    """

    def __init__(self, n: int, settings: ChaseSettings = CAMERA_2) -> None:
        if n < 1:
            raise SimError(f"a camera for {n} cars was asked for: expected at least one")
        self.n = n
        self.settings = settings
        self._state = CameraState.at_rest(n)
        self._follow_s = np.array([settings.turn_s, settings.tilt_s])
        self._follow_air_s = np.array([settings.air_turn_s, settings.air_tilt_s])
        self._ramp_size, self._ramp_up_s, self._ramp_down_s = settings.ramps()

    def reset(self, mask: ArrayLike | None = None) -> None:
        """Forget the past of all cars, or of those where ``mask`` (n,) is True."""
        chosen = np.ones(self.n, np.bool_) if mask is None else np.asarray(mask, np.bool_)
        self._state.put(chosen, CameraState.at_rest(int(chosen.sum())))

    def snapshot(self, ids: ArrayLike | None = None) -> CameraState:
        """Return a copy of what the cameras remember, of all cars or of ``ids``."""
        return self._state.take(slice(None) if ids is None else ids)

    def restore(self, state: CameraState, ids: ArrayLike | None = None) -> None:
        """Continue from a snapshot; the following views are bit-equal to those after it."""
        self._state.put(slice(None) if ids is None else ids, state)

    def update(
        self,
        dt_s: float,
        position_m: ArrayLike,
        rotation: ArrayLike,
        speed_mps: ArrayLike = 0.0,
        gas: ArrayLike = 0.0,
        brake: ArrayLike = 0.0,
        steer: ArrayLike = 0.0,
        contact: ArrayLike = True,
        *,
        turbo: ArrayLike = False,
        gear: ArrayLike | None = None,
    ) -> CameraPose:
        """Move on by ``dt_s`` to the car state given and return the view of it.

        A camera that has forgotten its past begins at this state, whatever ``dt_s`` is.

        Args:
            dt_s: time since the last update; 0 looks again without moving on.
            position_m: (n, 3) car origins.
            rotation: (n, 3, 3), columns are the car's left, up and forward.
            speed_mps: (n,) speed.
            gas: (n,) throttle 0..1 (the inputs since the last update).
            brake: (n,) 0..1 or bool.
            steer: (n,) -1..1; only its size matters, the view does not lean into it.
            contact: (n,) or (n, 4), which wheels touch the ground.
            turbo: (n,), true or positive while a boost lasts.
            gear: (n,) gear numbers; None leaves out the jerk of gear changes.
        """
        state = self._state
        car_axes = self._car_axes(rotation)
        state.axes[state.is_fresh] = car_axes[state.is_fresh]
        state.car_axes[state.is_fresh] = car_axes[state.is_fresh]
        if gear is not None:
            now = np.broadcast_to(np.asarray(gear), self.n)
            changed = (now != state.gear) & ~state.is_fresh
            state.gear_time_s[changed] = self.settings.gear.up_s
            state.gear[:] = now
        fresh = state.is_fresh.copy()
        begun = state.take(fresh) if fresh.any() else None
        state.is_fresh[:] = False
        causes = causes_of(self.n, speed_mps, gas, brake, steer, contact, turbo)
        steps = max(1, round(dt_s / SUBSTEP_S)) if dt_s > 0 else 0
        turn = car_axes - state.car_axes
        for k in range(steps):
            self._substep(dt_s / steps, causes, state.car_axes + turn * ((k + 1) / steps))
        state.car_axes[:] = car_axes
        if steps and begun is not None:
            state.put(fresh, begun)
            state.is_fresh[:] = False
        return camera_pose(self.settings, np.asarray(position_m, np.float64), state.axes, state.ramps, state.stretch_m)

    def _car_axes(self, rotation: ArrayLike) -> F64:
        """Return forward and up of the cars, (n, 2, 3)."""
        matrix = np.asarray(rotation, np.float64)
        if matrix.shape != (self.n, 3, 3):
            raise SimError(f"rotation has shape {matrix.shape}: a camera for {self.n} cars needs ({self.n}, 3, 3)")
        return np.stack([matrix[:, :, 2], matrix[:, :, 1]], axis=1)

    def _substep(self, dt_s: float, causes: F64, car_axes: F64) -> None:
        state, settings = self._state, self.settings
        causes[:, GEAR] = state.gear_time_s > 0
        np.maximum(state.gear_time_s - dt_s, 0.0, out=state.gear_time_s)
        levels = state.ramps
        np.maximum(levels - dt_s / self._ramp_down_s, np.minimum(causes, levels + dt_s / self._ramp_up_s), out=levels)
        pull = levels * self._ramp_size
        # Column by column: a sum over the axis might group differently for one car and for many.
        target = pull[:, 0] + pull[:, 1] + pull[:, 2] + pull[:, 3] + pull[:, 4] + pull[:, 5]
        force = settings.spring * (target - state.stretch_m) - settings.damping * state.stretch_rate_mps
        state.stretch_rate_mps += dt_s * force
        state.stretch_m += dt_s * state.stretch_rate_mps

        follow = np.where(causes[:, AIR, None] > 0, self._follow_air_s, self._follow_s)  # (n, 2)
        state.axes += (dt_s / (dt_s + follow))[:, :, None] * (car_axes - state.axes)
        state.axes /= _length(state.axes)[..., None]


def causes_of(
    n: int,
    speed_mps: ArrayLike,
    gas: ArrayLike,
    brake: ArrayLike,
    steer: ArrayLike,
    contact: ArrayLike,
    turbo: ArrayLike,
) -> F64:
    """Return what pulls at ``n`` cameras, (n, 6) in the order of the ramps; gear changes come with the time.

    The arguments are those of :meth:`ChaseCamera.update`.
    """
    pull = np.minimum(np.abs(np.asarray(speed_mps, np.float64)) / SPEED_OF_FULL_ZOOM_MPS, 1.0)
    causes = np.zeros((n, 6))
    causes[:, _GAS] = np.clip(gas, 0.0, 1.0) * pull
    causes[:, _BRAKE] = np.clip(np.asarray(brake, np.float64), 0.0, 1.0) * pull
    causes[:, _STEER] = np.clip(np.abs(steer), 0.0, 1.0) * pull
    causes[:, _TURBO] = np.asarray(turbo, np.float64) > 0
    touching = np.asarray(contact, np.bool_)
    causes[:, AIR] = ~(touching.any(axis=1) if touching.ndim == 2 else touching)
    return causes


def camera_pose(settings: ChaseSettings, position_m: F64, axes: F64, ramps: F64, stretch_m: F64) -> CameraPose:
    """Return the views of cameras whose springs stand like this.

    Args:
        settings: which camera.
        position_m: (n, 3) car origins.
        axes: (n, 2, 3) as in :class:`CameraState`.
        ramps: (n, 6) the same.
        stretch_m: (n,) the same.
    """
    forward = axes[:, 0]
    left = _unit(_cross(axes[:, 1], forward))
    up = _cross(forward, left)
    height = settings.height_m + settings.air_height_m * ramps[:, AIR]
    distance = np.maximum(settings.distance_m + stretch_m, 1.0)
    eye = position_m + up * height[:, None] - forward * distance[:, None]
    look = _unit(forward * distance[:, None] - up * (height * (1 - settings.look_factor))[:, None])
    fov = settings.fov_deg + settings.turbo_fov_deg * ramps[:, _TURBO]
    return CameraPose(eye, np.stack([left, _cross(look, left), look], axis=2), fov)


HOOD_OFFSET_M = (0.0, 0.95, 0.35)
"""Eye of the hood camera in car axes (left, up, forward): above the canopy, so that the nose is below the view."""

HOOD_FOV_DEG = 75.0


class HoodCamera:
    """Sits on the car and moves with it rigidly; draw without the car (``draw_car=False``). Our own choice of place."""

    def __init__(self, n: int) -> None:
        self.n = n

    def reset(self, mask: ArrayLike | None = None) -> None:
        """Do nothing: this camera remembers nothing."""

    def update(self, dt_s: float, position_m: ArrayLike, rotation: ArrayLike, *_: object, **__: object) -> CameraPose:
        """Return the view of these car states; takes and ignores the rest of :meth:`ChaseCamera.update`."""
        del dt_s
        matrix = np.asarray(rotation, np.float64)
        x, y, z = HOOD_OFFSET_M
        eye = np.asarray(position_m, np.float64) + matrix[:, :, 0] * x + matrix[:, :, 1] * y + matrix[:, :, 2] * z
        return CameraPose(eye, matrix.copy(), np.full(len(matrix), HOOD_FOV_DEG))


def _cross(a: F64, b: F64) -> F64:
    return np.stack(
        [
            a[:, 1] * b[:, 2] - a[:, 2] * b[:, 1],
            a[:, 2] * b[:, 0] - a[:, 0] * b[:, 2],
            a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0],
        ],
        axis=1,
    )


def _length(v: F64) -> F64:
    """Return the lengths of vectors (..., 3), never 0."""
    square = v * v
    length: F64 = np.sqrt(square[..., 0] + square[..., 1] + square[..., 2])
    return np.maximum(length, 1e-9)


def _unit(v: F64) -> F64:
    return v / _length(v)[..., None]

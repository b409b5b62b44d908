"""N simulated cars with their cameras on the callback clock: what single game and vector environment share.

Because both drive through this class, the same actions give the same states and the same pictures in either.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trackmaster.game.looks import Looks, shaken
from trackmaster.game.picture import CarCameras, Easel, Mode
from trackmaster.game.start import Start
from trackmaster.game.state import CarStates, GameError
from trackmaster.sim import CarView, World, WorldState
from trackmaster.sim.camera import CameraPose, CameraState
from trackmaster.track import Track
from trackmaster.units import STATE_OFFSET_MS

Floats = NDArray[np.float32]

_NO_VIEW = CameraPose(np.zeros((0, 3)), np.zeros((0, 3, 3)), np.zeros(0))


@dataclass(frozen=True, slots=True)
class CarSnapshot:
    """The complete state of one simulated car and its camera; going on from it repeats the run bit for bit."""

    world: WorldState
    camera: CameraState
    inputs: tuple[float, float, float]
    map_uid: str


class SimulatorFleet:
    """Cars that are stepped together, each reset on its own."""

    def __init__(
        self,
        tracks: Sequence[Track],
        n_cars: int,
        *,
        track_of_car: NDArray[np.integer] | None = None,
        device: str = "cpu",
        watched: bool = True,
        looks: Looks | None = None,
        threads: int = 1,
    ) -> None:
        """Build the world and put every car on its start line at race time 0.

        Args:
            tracks: places to drive.
            n_cars: number of cars.
            track_of_car: (N,) index into ``tracks``; all on the first without it.
            device: Warp device of physics and pictures.
            watched: False saves the cameras; ``pictures`` cannot be asked for then.
            looks: how the pictures differ from the usual ones.
            threads: that share the physics of the batch (CPU only).
        """
        self.n_cars = n_cars
        self._is_watched = watched
        self._tracks = tuple(tracks)
        on_track = (
            np.zeros(n_cars, dtype=np.int32) if track_of_car is None else np.asarray(track_of_car, dtype=np.int32)
        )
        self._track_of_car = on_track
        self._world = World(self._tracks, n_cars, device=device, track_of_car=on_track, threads=threads)
        self._looks = looks if looks is not None else Looks()
        self._easel = Easel(self._tracks, n_cars, device, self._looks.appearance)
        self._cameras = CarCameras(n_cars)
        self._inputs = np.zeros((3, n_cars), dtype=np.float32)
        self._world.step(0.0, 0.0, 0.0, ticks=1)
        # Race time 0 of every car, so that some can be reset while the others are on their way.
        self._at_start = self._world.snapshot()
        self._respawned = np.zeros(n_cars, dtype=bool)
        self._pose: CameraPose | None = None
        self._ticks_unseen = 0

    @property
    def states(self) -> CarStates:
        """The cars now; the arrays are the simulator's own and change with the next call."""
        return states_from_view(self._world.view)

    def reset(self, mask: NDArray[np.bool_], starts: Sequence[Start] | None = None) -> None:
        """Put the cars in ``mask`` on their start line at race time 0 (later where a start waits).

        Args:
            mask: (N,) who.
            starts: one per car, N of them; undisturbed without it.
        """
        ids = np.flatnonzero(mask)
        if not len(ids):
            return
        self._catch_up()
        self._world.restore(self._at_start.take(ids), ids)
        self._inputs[:, ids] = 0.0
        if starts is not None:
            self._disturb([car for car in ids.tolist() if not starts[car].is_undisturbed], starts)
        self._cameras.forget(mask)
        self._respawned[ids] = False
        self._pose = None

    def step(self, steer: Floats, gas: Floats, brake: Floats, ticks: int) -> None:
        """Drive all cars ``ticks`` ticks with constant inputs, each (N,)."""
        self._catch_up()
        if self._respawned.any():
            self._cameras.forget(self._respawned)  # they begin where the car is first seen driving
            self._respawned[:] = False
        self._inputs[0], self._inputs[1], self._inputs[2] = steer, gas, brake
        self._world.step(steer, gas, brake, ticks=ticks)
        self._ticks_unseen = ticks
        self._pose = None

    def respawn(self, mask: NDArray[np.bool_]) -> None:
        """Put the cars in ``mask`` back to their last gate; the race clock runs on.

        Their cameras begin anew with the next step, whether or not somebody looks before it.
        """
        self._catch_up()
        self._world.respawn(mask)
        self._cameras.forget(mask)
        self._respawned |= np.asarray(mask, dtype=bool)
        self._pose = None

    def snapshot(self, car: int) -> CarSnapshot:
        """Return the complete state of one car."""
        self._catch_up()
        if self._respawned[car]:
            self._cameras.forget(np.arange(self.n_cars) == car)
            self._pose = None
        steer, gas, brake = self._inputs[:, car].tolist()
        uid = self._tracks[self._track_of_car[car]].uid
        return CarSnapshot(self._world.snapshot([car]), self._cameras.snapshot([car]), (steer, gas, brake), uid)

    def restore(self, car: int, snapshot: CarSnapshot) -> None:
        """Put a state back into a car on the same track.

        Raises:
            GameError: the state comes from another track.
        """
        track = self._tracks[self._track_of_car[car]]
        if snapshot.map_uid != track.uid:
            raise GameError(
                f"the state comes from the map {snapshot.map_uid!r}, the car drives on {track.uid!r} ({track.name}): "
                "restore states on the track on which they were taken."
            )
        self._catch_up()
        self._world.restore(snapshot.world, [car])
        self._cameras.restore(snapshot.camera, [car])
        self._respawned[car] = bool(snapshot.camera.is_fresh[0])
        self._inputs[:, car] = snapshot.inputs
        self._pose = None

    def pictures(
        self, size: tuple[int, int], *, cars: NDArray[np.integer] | None = None, mode: Mode = "gray"
    ) -> NDArray[np.uint8]:
        """Return the pictures of cars: (K, H, W) grey or (K, H, W, 4) BGRA.

        Args:
            size: width and height.
            cars: (K,) which; all by default.
            mode: what a pixel holds.

        Raises:
            GameError: the fleet was built with ``watched=False``.
        """
        if not self._is_watched:
            raise GameError("nobody watches these cars: build the fleet with watched=True to draw them.")
        pose = self._catch_up()
        states, steer, track = self.states, self._inputs[0], self._track_of_car
        numbers = np.arange(self.n_cars)
        if cars is not None and len(cars) < self.n_cars:
            pose = CameraPose(pose.eye_m[cars], pose.rotation[cars], pose.fov_deg[cars])
            states, steer, track, numbers = states[cars], steer[cars], track[cars], numbers[cars]
        if self._looks.shakes:
            pose = shaken(pose, self._looks, numbers, states.time_ms)
        return self._easel.draw(pose, states, steer, size, track=track, mode=mode)

    def close(self) -> None:
        """Let go of world and renderers."""
        self._easel.clear()
        self._world.close()

    def _catch_up(self) -> CameraPose:
        """Move the cameras on to the cars, once per step, whether or not a picture is drawn."""
        if self._pose is None and not self._is_watched:
            self._pose = _NO_VIEW
        elif self._pose is None:
            steer, gas, brake = self._inputs
            self._pose = self._cameras.follow(self._ticks_unseen, self.states, steer, gas, brake)
            self._ticks_unseen = 0
        return self._pose

    def _disturb(self, cars: list[int], starts: Sequence[Start]) -> None:
        """Move, turn and delay some cars at the start; the others are set back as if nothing had happened."""
        if not cars:
            return
        everyone = self._world.snapshot()
        self._world.reset(np.isin(np.arange(self.n_cars), cars))
        for car in cars:
            pose = self._tracks[self._track_of_car[car]].start
            position = pose.position_m + starts[car].lateral_m * pose.rotation[:, 0]
            self._world.place([car], position, pose.rotation @ _yaw(starts[car].yaw_rad))
        ready: dict[int, WorldState] = {}
        for waited in range(max(starts[car].wait_ticks for car in cars) + 1):
            self._world.step(0.0, 0.0, 0.0, ticks=1)
            ready |= {car: self._world.snapshot([car]) for car in cars if starts[car].wait_ticks == waited}
        self._world.restore(everyone)
        for car, state in ready.items():
            self._world.restore(state, [car])


def states_from_view(view: CarView) -> CarStates:
    """Return simulator cars on the callback clock, without copying what need not be copied."""
    return CarStates(
        time_ms=view.time_ms - np.int32(STATE_OFFSET_MS),
        position_m=view.position_m,
        rotation=view.rotation,
        velocity_mps=view.velocity_mps,
        angular_velocity_radps=view.angular_velocity_radps,
        wheel_sliding=view.wheel_sliding,
        wheel_contact=view.wheel_contact,
        damper_m=view.damper_m,
        wheel_material=view.wheel_material.astype(np.int32),
        gearbox_state=view.gearbox_state,
        gear=view.gear,
        rpm=view.rpm,
        is_freewheeling=view.is_freewheeling,
        turbo=view.turbo,
        lateral_contact=view.lateral_contact,
        cp_count=view.cp_count,
        cp_times_ms=view.cp_times_ms,
        finished=view.finished,
        race_time_ms=view.race_time_ms,
    )


def _yaw(angle_rad: float) -> NDArray[np.float64]:
    """Return the rotation about the up axis, + = left (from forward towards the left axis)."""
    cos, sin = np.cos(angle_rad), np.sin(angle_rad)
    return np.array([[cos, 0.0, sin], [0.0, 1.0, 0.0], [-sin, 0.0, cos]])

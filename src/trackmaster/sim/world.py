"""Many cars on one or more tracks, stepped together in 10 ms ticks."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trackmaster.sim import layout
from trackmaster.sim.collision_scene import Drivable, build_scene, scene_for_cars
from trackmaster.sim.constants import MAX_NEAR
from trackmaster.sim.errors import SimError
from trackmaster.sim.kernels_copy import gather_columns, scatter_columns
from trackmaster.sim.kernels_tick import advance, forget_cars, place_cars, reset_cars, respawn_cars
from trackmaster.sim.kernels_types import Near
from trackmaster.sim.rotation import quaternion_from_matrix
from trackmaster.sim.state import CarView, WorldState, view_of
from trackmaster.sim.warp_start import wp

_TICKS = 7
"""Place of the number of ticks among the arguments of ``advance``."""
_CARS_IN_A_ROW = 64
"""So many cars a CPU thread takes at a time."""
_INPUTS = "steering and pedals"

Ids = Sequence[int] | NDArray[np.integer[Any]]


def checked_device(device: str) -> str:
    """Return Warp's name of a device.

    Raises:
        SimError: there is no such device.
    """
    try:
        return str(wp.get_device(device))
    except Exception as error:
        names = ", ".join(str(d) for d in wp.get_devices())
        raise SimError(f"There is no device '{device}' here; choose one of: {names}.") from error


def _finite(values: ArrayLike, name: str, shape: tuple[int, ...], dtype: type = np.float32) -> NDArray[Any]:
    """Return numbers spread to the shape, or refuse them."""
    try:
        numbers: NDArray[Any] = np.asarray(values, dtype)
        spread = numbers if numbers.shape == shape else np.broadcast_to(numbers, shape)
    except (TypeError, ValueError):
        raise SimError(f"Numbers of shape {shape} are needed as {name}; got {_described(values)}.") from None
    if not np.isfinite(numbers).all():
        raise SimError(f"Numbers that are not finite cannot be taken as {name} of a car.")
    return spread


def _described(values: object) -> str:
    return f"shape {values.shape}" if isinstance(values, np.ndarray) else repr(values)[:80]


class World:
    """Cars of one physics world; they do not touch each other.

    Equal inputs from an equal state give equal bits, whatever the batch size, the number of threads or the other cars.

    Attributes:
        tracks: the tracks.
        n_cars: how many cars there are.
        device: Warp device name.
        track_of_car: int32 (N,).
    """

    def __init__(
        self,
        tracks: Drivable | Sequence[Drivable],
        n_cars: int,
        *,
        device: str = "cpu",
        track_of_car: ArrayLike | None = None,
        threads: int = 1,
        share: World | None = None,
    ) -> None:
        """Build the collision grid, compile or load the kernels and reset all cars.

        Args:
            tracks: one track or several.
            n_cars: batch size, at least 1.
            device: ``"cpu"`` or ``"cuda:0"``.
            track_of_car: (N,) number of the track of each car; all on the first one by default.
            threads: Python threads that share the batch (CPU only; the kernels release the interpreter lock).
            share: a world on the same tracks and device, whose collision grid is used instead of building one.

        Raises:
            SimError: no cars, an unknown device, a wrong track number or a track that cannot be simulated.
        """
        self.tracks: tuple[Drivable, ...] = tuple(tracks) if isinstance(tracks, Sequence) else (tracks,)
        self.n_cars = int(n_cars)
        self.device = checked_device(device)
        if self.n_cars < 1 or not self.tracks:
            raise SimError(f"A world needs at least one track and one car; got {len(self.tracks)} and {n_cars}.")
        self.track_of_car = self._checked_tracks(track_of_car)
        self._scene = self._built(share)
        self._floats = self._table(layout.N_FLOATS, wp.float32)
        self._ints = self._table(layout.N_INTS, wp.int32)
        self._bytes = self._table(layout.N_BYTES, wp.uint8)
        self._inputs = wp.zeros((3, self.n_cars), dtype=wp.float32, device=self.device)
        self._asked: NDArray[np.float32] = self._inputs.numpy()  # on the CPU the memory that the kernel reads
        # What a car remembers of its surroundings between launches; no part of its state.
        self._near = wp.zeros(self.n_cars, dtype=Near, device=self.device)
        self._items = wp.zeros((self.n_cars, MAX_NEAR), dtype=wp.int32, device=self.device)
        self._view: CarView | None = None
        self._tables: tuple[NDArray[Any], NDArray[Any], NDArray[Any]] | None = None
        self._launches = self._record(1 if self._on_gpu else max(1, min(int(threads), self.n_cars)))
        self._pool = ThreadPoolExecutor(len(self._launches)) if len(self._launches) > 1 else None
        self.reset()

    @property
    def _on_gpu(self) -> bool:
        return self.device != "cpu"

    def _built(self, share: World | None) -> Any:
        if share is None:
            return build_scene(self.tracks, self.track_of_car, self.device)
        if share.device != self.device or [id(t) for t in share.tracks] != [id(t) for t in self.tracks]:
            raise SimError("Only worlds on the same tracks and device can share their collision grid.")
        return scene_for_cars(share._scene, self.track_of_car, self.device)

    def _checked_tracks(self, track_of_car: ArrayLike | None) -> NDArray[np.int32]:
        numbers = np.zeros(self.n_cars, np.int32) if track_of_car is None else np.asarray(track_of_car, np.int32)
        if numbers.shape != (self.n_cars,) or numbers.min() < 0 or numbers.max() >= len(self.tracks):
            raise SimError(
                f"track_of_car must give {self.n_cars} track numbers from 0 to {len(self.tracks) - 1}; "
                f"got shape {numbers.shape} with values from {numbers.min()} to {numbers.max()}."
            )
        return numbers

    def _table(self, rows: int, dtype: type) -> Any:
        """Return a zeroed table; rows are an odd multiple of 64 bytes, so that they fall into all cache sets."""
        per_line = 64 if dtype is wp.uint8 else 16
        lines = -(-self.n_cars // per_line)
        return wp.zeros((rows, (lines | 1) * per_line), dtype=dtype, device=self.device)

    def _record(self, parts: int) -> list[Any]:
        state = (self._scene, self._floats, self._ints, self._bytes)
        bounds = np.linspace(0, self.n_cars, parts + 1).astype(int)
        in_a_row = 1 if self._on_gpu else _CARS_IN_A_ROW
        return [
            wp.launch(
                advance,
                -(-int(stop - start) // in_a_row),
                [*state, self._near, self._items, self._inputs, 1, int(start), int(stop), in_a_row],
                device=self.device,
                record_cmd=True,
            )
            for start, stop in pairwise(bounds)
        ]

    def reset(self, mask: ArrayLike | None = None) -> None:
        """Put cars on their start with race time 0; nothing has been simulated then.

        Args:
            mask: bool (N,), which cars; all by default.
        """
        self._launch_masked(reset_cars, mask)

    def respawn(self, mask: ArrayLike | None = None) -> None:
        """Put cars at rest where their last checkpoint (or the start) says; race time and progress go on.

        Args:
            mask: bool (N,), which cars; all by default.
        """
        self._launch_masked(respawn_cars, mask)

    def _launch_masked(self, kernel: Any, mask: ArrayLike | None) -> None:
        chosen = np.ones(self.n_cars, np.bool_) if mask is None else np.asarray(mask, np.bool_)
        if chosen.shape != (self.n_cars,):
            raise SimError(f"The mask must have shape ({self.n_cars},), one entry per car; got {chosen.shape}.")
        flags = wp.array(chosen.view(np.uint8), dtype=wp.uint8, device=self.device)
        inputs = [self._scene, self._floats, self._ints, self._bytes, self._near, flags]
        wp.launch(kernel, self.n_cars, inputs, device=self.device)

    def step(self, steer: ArrayLike, gas: ArrayLike, brake: ArrayLike, ticks: int = 1) -> None:
        """Advance every car by some ticks of 10 ms under constant inputs.

        After the finish line the game takes over: such cars brake whatever is asked.

        Args:
            steer: float32 (N,) or a number, -1 (left) to 1 (right); a torch or Warp array
                on the world's device is fine.
            gas: (N,) or a number, 0 to 1.
            brake: (N,) or a number, 0 to 1.
            ticks: how many ticks; 0 leaves everything as it is.

        Raises:
            SimError: inputs that are no N numbers or not finite (on the host; arrays on a GPU are not looked at), or
                ticks that are no whole number of at least 0.
        """
        if not isinstance(ticks, (int, np.integer)) or ticks < 0:
            raise SimError(f"A world cannot be stepped by {ticks!r} ticks; give a whole number of at least 0.")
        self._ask(steer, gas, brake)
        if self._pool is None:
            for launch in self._launches:  # several after the helper threads were ended
                self._run(launch, int(ticks))
        else:
            list(self._pool.map(self._run, self._launches, [int(ticks)] * len(self._launches)))

    @staticmethod
    def _run(launch: Any, ticks: int) -> None:
        launch.set_param_at_index(_TICKS, ticks)
        launch.launch()

    def _ask(self, *inputs: ArrayLike) -> None:
        """Hand steering, gas and brake to the kernel; one look over the whole table costs less than one per row."""
        if self._on_gpu:
            for row, values in enumerate(inputs):
                wp.copy(self._inputs, self._on_device(values), dest_offset=row * self.n_cars, count=self.n_cars)
            return
        try:
            for row, values in enumerate(inputs):
                self._asked[row] = values
            usable = bool(np.isfinite(self._asked).all())
        except (TypeError, ValueError):
            usable = False
        if not usable:
            for values in inputs:
                _finite(values, _INPUTS, (self.n_cars,))

    def _on_device(self, values: ArrayLike) -> Any:
        if not hasattr(values, "__cuda_array_interface__"):
            return wp.array(_finite(values, _INPUTS, (self.n_cars,)), dtype=wp.float32, device=self.device)
        on_gpu = wp.array(values, dtype=wp.float32, device=self.device, copy=False)
        if on_gpu.shape != (self.n_cars,):
            raise SimError(f"Steering and pedals need {self.n_cars} numbers each; got shape {on_gpu.shape}.")
        return on_gpu

    def snapshot(self, ids: Ids | None = None) -> WorldState:
        """Return a complete copy of the state of chosen cars (all by default), in the order of ``ids``."""
        if not self._on_gpu:
            numbers = self._numbers(ids)
            return WorldState(*(table.take(numbers, axis=1) for table in self._host()))
        slots = self._slots(ids)
        parts = []
        for table in (self._floats, self._ints, self._bytes):
            out = wp.empty((table.shape[0], len(slots)), dtype=table.dtype, device=self.device)
            wp.launch(gather_columns, out.shape, [table, slots, out], device=self.device)
            parts.append(out.numpy())
        return WorldState(*parts)

    def restore(self, state: WorldState, ids: Ids | None = None) -> None:
        """Put states back, column k into car ``ids[k]`` (all cars in order by default).

        A state belongs to a track: restoring it into a car on another track is meaningless.

        Raises:
            SimError: the number of states is not the number of cars.
        """
        slots = self._slots(ids)
        if len(slots) != state.n_cars:
            raise SimError(
                f"{state.n_cars} states cannot go into {len(slots)} cars; give as many ids as there are states."
            )
        parts: tuple[NDArray[Any], ...] = (state.floats, state.ints, state.bytes)
        if not self._on_gpu:
            numbers = self._numbers(ids)
            for rows, part in zip(self._host(), parts, strict=True):
                rows[:, numbers] = part
            wp.launch(forget_cars, len(slots), [self._near, slots], device=self.device)
            return
        for table, part in zip((self._floats, self._ints, self._bytes), parts, strict=True):
            source = wp.array(part, dtype=table.dtype, device=self.device)
            wp.launch(scatter_columns, part.shape, [source, slots, table], device=self.device)
        wp.launch(forget_cars, len(slots), [self._near, slots], device=self.device)

    def place(
        self,
        ids: Ids | None,
        position_m: ArrayLike,
        rotation: ArrayLike,
        velocity_mps: ArrayLike = (0.0, 0.0, 0.0),
        angular_velocity_radps: ArrayLike = (0.0, 0.0, 0.0),
    ) -> None:
        """Put cars somewhere in an otherwise fresh state; race time, checkpoints and laps stay.

        Args:
            ids: which cars (K of them); all by default.
            position_m: (K, 3) or (3,) car origin, world.
            rotation: (K, 3, 3) or (3, 3) car to world.
            velocity_mps: (K, 3) or (3,) world.
            angular_velocity_radps: (K, 3) or (3,) world.

        Raises:
            SimError: an array of another shape, or with numbers that are not finite.
        """
        slots = self._slots(ids)
        n = len(slots)
        named = {"position": position_m, "velocity": velocity_mps, "angular velocity": angular_velocity_radps}
        vectors = [
            wp.array(_finite(value, name, (n, 3)).copy(), dtype=wp.vec3, device=self.device)
            for name, value in named.items()
        ]
        matrices = _finite(rotation, "rotation", (n, 3, 3), np.float64)
        turns = quaternion_from_matrix(matrices).astype(np.float32)
        quaternions = wp.array(turns, dtype=wp.vec4, device=self.device)
        inputs = [self._floats, self._ints, self._bytes, self._near, slots, vectors[0], quaternions, *vectors[1:]]
        wp.launch(place_cars, n, inputs, device=self.device)

    def _host(self) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """The tables themselves as the kernels see them (CPU only): a copy of a column needs no launch."""
        if self._tables is None:
            self._tables = (self._floats.numpy(), self._ints.numpy(), self._bytes.numpy())
        return self._tables

    def _slots(self, ids: Ids | None) -> Any:
        return wp.array(self._numbers(ids), dtype=wp.int32, device=self.device)

    def _numbers(self, ids: Ids | None) -> NDArray[np.int32]:
        numbers = np.arange(self.n_cars, dtype=np.int32) if ids is None else np.asarray(ids, np.int32).reshape(-1)
        if len(numbers) and (numbers.min() < 0 or numbers.max() >= self.n_cars):
            raise SimError(f"Car numbers go from 0 to {self.n_cars - 1}; got {numbers.min()} to {numbers.max()}.")
        return numbers

    @property
    def view(self) -> CarView:
        """The state as named arrays (see :class:`CarView` for when they change)."""
        if self._view is None or self._on_gpu:
            n = self.n_cars
            self._view = view_of(self._floats.numpy()[:, :n], self._ints.numpy()[:, :n], self._bytes.numpy()[:, :n])
        return self._view

    def close(self) -> None:
        """End the helper threads; steps are made without them from now on."""
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None

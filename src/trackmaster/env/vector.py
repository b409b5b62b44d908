"""Many cars at once: one batched physics call and one render call per decision."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from trackmaster.env.actions import N_ACTIONS, analog_controls, controls, nearest_keys
from trackmaster.env.config import EnvConfig, RewardConfig
from trackmaster.env.driver_floats import driver_floats
from trackmaster.env.episode import EndReason, EpisodeBook
from trackmaster.env.errors import EnvError
from trackmaster.env.spaces import action_space, checked_analog, observation_space
from trackmaster.env.starts import KeptStart, StartPool, car_snapshot
from trackmaster.env.zones import ZoneTable, zone_map_of
from trackmaster.game.fleet import SimulatorFleet
from trackmaster.game.start import Start
from trackmaster.track import Track

Observation = dict[str, Any]
Info = dict[str, Any]


class RacingVectorEnv(VectorEnv[Observation, NDArray[Any], NDArray[Any]]):
    """N cars on one or several tracks behind Gymnasium's vector interface.

    Observation: ``{"image": uint8 (N, n_frames, H, W), "floats": float32 (N, F)}`` with F = 184 + extras, or that of
    another set of floats (``EnvConfig.floats``); action: (N,) index into the 12-action table, or with
    ``EnvConfig.actions`` analog float32 (N, 3) gas, brake, steer. Arrays that are handed out are never written again,
    except with ``copy=False``: then every observation is the environment's own storage, allocated once and overwritten
    by the next ``reset`` or ``step``; ``torch.from_numpy(observation["image"])``, made once, stays the newest picture.
    ``final_obs`` is a copy always.

    ``info`` holds one array per key: ``progress_m`` (metres since the episode began), ``race_time_ms`` (-1 before the
    finish), ``finished``, ``zone_idx``, ``time_ms``, ``potential`` and ``reason`` (``EndReason``).

    Autoreset modes: ``DISABLED`` leaves ended episodes standing (reward 0, flags kept) until
    ``reset(options={"reset_mask": (N,) bool})``; ``SAME_STEP`` resets at once and puts what was seen last into
    ``info["final_obs"]`` and ``info["final_info"]``; ``NEXT_STEP`` resets in the following step, ignoring its action.

    ``reset(options={"start": ...})`` takes one ``Start`` for all cars or one per car (``evaluation_starts``).
    """

    metadata: dict[str, Any] = {"render_modes": [], "autoreset_mode": AutoresetMode.DISABLED}  # noqa: RUF012

    def __init__(
        self,
        tracks: Track | Sequence[Track],
        n_envs: int,
        config: EnvConfig | None = None,
        *,
        autoreset_mode: AutoresetMode = AutoresetMode.DISABLED,
        seed: int | None = None,
        device: str = "cpu",
        track_of_env: Sequence[int] | None = None,
        copy: bool = True,
        threads: int = 1,
    ) -> None:
        """Build physics, camera, renderer and books.

        Args:
            tracks: places to drive; each needs a reference line.
            n_envs: number of cars.
            config: observation, reward and limits.
            autoreset_mode: what happens when an episode ends.
            seed: for starts drawn from kept states, and for the looks of the pictures.
            device: Warp device of physics and pictures.
            track_of_env: index into ``tracks`` per car; cars are dealt out in turn without it.
            copy: False hands out the environment's own storage as observation instead of a copy per step.
            threads: that share the physics of the cars (CPU only); the results are the same for any number.

        Raises:
            EnvError: a track has no reference line, or the numbers do not fit together.
        """
        self.config = config if config is not None else EnvConfig()
        self.tracks = (tracks,) if isinstance(tracks, Track) else tuple(tracks)
        self.num_envs = n_envs
        self.track_of_env = _track_of_env(len(self.tracks), n_envs, track_of_env)
        self.autoreset_mode = autoreset_mode
        self.metadata = {**type(self).metadata, "autoreset_mode": autoreset_mode}
        zones = ZoneTable([zone_map_of(track) for track in self.tracks], self.track_of_env)
        uids = tuple(self.tracks[index].uid for index in self.track_of_env)
        self._book = EpisodeBook(self.config, zones, uids, driver_floats(self.config, self.tracks, zones))
        self._fleet = SimulatorFleet(
            self.tracks,
            n_envs,
            track_of_car=self.track_of_env,
            device=device,
            watched=self.config.images,
            looks=self.config.looks.draw(seed or 0),
            threads=threads,
        )
        self._pool = StartPool(n_envs, self.config.snapshot_margin_ticks)
        self._rng = np.random.default_rng(seed)
        self.single_observation_space = observation_space(self.config, self._book.seen_floats.shape[1])
        self.single_action_space = action_space(self.config)
        self.observation_space = batch_space(self.single_observation_space, n_envs)
        self.action_space = batch_space(self.single_action_space, n_envs)
        shape = (n_envs, self.config.n_frames, self.config.image_height, self.config.image_width)
        self._image = np.zeros(shape, dtype=np.uint8)
        self._started = np.zeros(n_envs, dtype=bool)
        self._copy = copy

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, Info]:
        """Begin episodes.

        Args:
            seed: new seed for drawn starts; the cars themselves know no chance.
            options: ``reset_mask`` (N,) bool limits the reset to some cars; ``start`` is a ``Start`` or one per car.

        Raises:
            EnvError: an option is unknown or has the wrong size.
        """
        options = dict(options or {})
        mask = np.asarray(options.pop("reset_mask", np.ones(self.num_envs, dtype=bool)), dtype=bool)
        starts = _starts(options.pop("start", None), self.num_envs)
        if options:
            raise EnvError(
                f"reset does not know the option {sorted(options)[0]!r}: there are 'reset_mask' and 'start'."
            )
        if mask.shape != (self.num_envs,):
            raise EnvError(f"reset_mask has shape {mask.shape}, expected ({self.num_envs},): one flag per car.")
        if seed is not None:
            self._rng = np.random.default_rng(seed if isinstance(seed, int) else [s or 0 for s in seed])
        if not (mask | self._started).all():
            raise EnvError("the first reset must include every car: call reset() without a reset_mask once.")
        self._begin(mask, starts)
        self._look(moved=_nobody(self.num_envs), fresh=mask)
        return self._observation(), self._info()

    def step(
        self, actions: NDArray[Any]
    ) -> tuple[Observation, NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_], Info]:
        """Drive one decision (50 ms by default) with every car.

        Args:
            actions: (N,) indices 0 to 11, or analog (N, 3).

        Raises:
            EnvError: ``reset`` was not called, or an action is out of range.
        """
        keys, analog = self._checked(actions)
        was_over = self._book.reason != EndReason.RUNNING
        steer, gas, brake = controls(keys) if analog is None else analog_controls(analog)
        self._fleet.step(steer, gas, brake, self.config.ticks_per_action)
        outcome = self._book.advance(keys, self._fleet.states, analog=analog)
        over = outcome.terminated | outcome.truncated
        self._keep_states(over & ~was_over)
        info: Info = {}
        if self.autoreset_mode == AutoresetMode.NEXT_STEP and was_over.any():
            self._begin(was_over, None)
            outcome.reward[was_over] = 0.0
            outcome.terminated[was_over] = outcome.truncated[was_over] = False
            self._look(moved=~was_over, fresh=was_over)
        else:
            self._look(moved=~was_over, fresh=_nobody(self.num_envs))
        if self.autoreset_mode == AutoresetMode.SAME_STEP and over.any():
            info = {
                "final_obs": self._observation(copy=True),
                "final_info": self._info(),
                "_final_obs": over,
                "_final_info": over,
            }
            self._begin(over, None)
            self._look(moved=_nobody(self.num_envs), fresh=over)
        info.update(self._info())
        return self._observation(), outcome.reward, outcome.terminated, outcome.truncated, info

    def state(self) -> dict[str, Any]:
        """Return everything that ``restore`` of an equally made environment needs to go on bit for bit.

        A tree of dictionaries, lists, arrays and plain values; no episode may stand ended.
        """
        return {
            "cars": [asdict(self._fleet.snapshot(car)) for car in range(self.num_envs)],
            "books": [self._book.keep(car) for car in range(self.num_envs)],
            "reason": self._book.reason.copy(),
            "floats": self._book.floats.copy(),
            "image": self._image.copy(),
            "pool": self._pool.state(),
            "rng": self._rng.bit_generator.state,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where ``state`` was taken."""
        self.reset()
        for car in range(self.num_envs):
            self._fleet.restore(car, car_snapshot(state["cars"][car]))
            self._book.resume(car, state["books"][car])
        self._book.reason[:], self._book.floats[:] = state["reason"], state["floats"]
        self._image[:] = state["image"]
        self._pool.restore(state["pool"])
        self._rng.bit_generator.state = state["rng"]

    def set_reward(self, reward: RewardConfig) -> None:
        """Pay by other coefficients from the next decision on (schedules of optional terms)."""
        self._book.reward = reward

    def close_extras(self, **kwargs: Any) -> None:
        """Let go of the simulator."""
        del kwargs
        self._fleet.close()

    def _begin(self, mask: NDArray[np.bool_], starts: Sequence[Start] | None) -> None:
        """Set the cars in ``mask`` down, from kept states where the configuration and chance say so."""
        self._fleet.reset(mask, starts)
        self._started |= mask
        self._pool.drop_offers(mask)
        self._book.begin(mask, self._fleet.states)
        if starts is None and self.config.snapshot_start_fraction > 0:
            for car in np.flatnonzero(mask).tolist():
                self._maybe_continue(car)

    def _maybe_continue(self, car: int) -> None:
        if self._rng.random() >= self.config.snapshot_start_fraction:
            return
        kept = self._pool.draw(int(self.track_of_env[car]), self._rng)
        if kept is not None:
            self._fleet.restore(car, kept.state)
            self._book.put_back(car, kept.books, self._fleet.states)

    def _keep_states(self, ended: NDArray[np.bool_]) -> None:
        """Offer states of running episodes as starts, and settle those of episodes that just ended."""
        if self.config.snapshot_start_fraction <= 0:
            return
        for car in range(self.num_envs):
            time_ms = int(self._book.time_ms[car])
            if ended[car]:
                self._pool.close_episode(car, failed_ms=self._book.failed_ms(car))
            elif self._book.reason[car] == EndReason.RUNNING and self._pool.wants(car, time_ms):
                track = int(self.track_of_env[car])
                self._pool.offer(car, KeptStart(time_ms, track, self._fleet.snapshot(car), self._book.keep(car)))

    def _look(self, *, moved: NDArray[np.bool_], fresh: NDArray[np.bool_]) -> None:
        """Draw the cars that drove on and those that stand at a new start; the others keep their picture.

        Args:
            moved: (N,) whose newest picture joins the history.
            fresh: (N,) whose whole history becomes the newest picture.
        """
        cars = np.flatnonzero(moved | fresh)
        if not self.config.images or not len(cars):
            return
        grey = self._fleet.pictures((self.config.image_width, self.config.image_height), cars=cars)
        if self.config.n_frames > 1:
            self._image[moved, :-1] = self._image[moved, 1:]
        self._image[cars, -1] = grey
        self._image[fresh] = self._image[fresh, -1:]

    def _observation(self, *, copy: bool | None = None) -> Observation:
        own: dict[str, NDArray[Any]] = {"floats": self._book.seen_floats}
        if self.config.images:
            own["image"] = self._image
        return {key: array.copy() for key, array in own.items()} if (self._copy if copy is None else copy) else own

    def _info(self) -> Info:
        finished = self._book.reason == EndReason.FINISHED
        return {
            "progress_m": self._book.distance_m,
            "race_time_ms": np.where(finished, self._fleet.states.race_time_ms, -1).astype(np.int32),
            "finished": finished,
            "zone_idx": self._book.zone_idx.copy(),
            "time_ms": self._book.time_ms.copy(),
            "potential": self._book.potential(),
            "reason": self._book.reason.copy(),
        }

    def _checked(self, actions: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.float32] | None]:
        """Return the decisions as index of the (nearest) keys, and as analog actions where they are such."""
        if not self._started.all():
            raise EnvError("step was called before reset: call reset() once after building the environment.")
        if self.config.actions == "analog":
            analog = checked_analog(np.asarray(actions), self.num_envs)
            return nearest_keys(analog), analog
        checked = np.asarray(actions, dtype=np.int64)
        if checked.shape != (self.num_envs,) or checked.min() < 0 or checked.max() >= N_ACTIONS:
            raise EnvError(
                f"actions have shape {checked.shape} and values {checked.min()} to {checked.max()}; expected "
                f"({self.num_envs},) indices from 0 to {N_ACTIONS - 1}."
            )
        return checked, None


def _nobody(n: int) -> NDArray[np.bool_]:
    return np.zeros(n, dtype=bool)


def _track_of_env(n_tracks: int, n_envs: int, given: Sequence[int] | None) -> NDArray[np.int64]:
    if n_envs < 1 or n_tracks < 1:
        raise EnvError(f"{n_envs} cars on {n_tracks} tracks: there must be at least one of each.")
    table = np.arange(n_envs) % n_tracks if given is None else np.asarray(given)
    if table.shape != (n_envs,) or table.min() < 0 or table.max() >= n_tracks:
        raise EnvError(f"track_of_env must hold {n_envs} indices from 0 to {n_tracks - 1}.")
    return table.astype(np.int64)


def _starts(given: object, n_envs: int) -> tuple[Start, ...] | None:
    if given is None:
        return None
    starts = (given,) * n_envs if isinstance(given, Start) else tuple(given) if isinstance(given, Sequence) else ()
    if len(starts) != n_envs or not all(isinstance(start, Start) for start in starts):
        raise EnvError(f"option 'start' must be a Start or {n_envs} of them (see evaluation_starts).")
    return starts

"""One car as a Gymnasium environment, on any ``Game``."""

from typing import Any, Protocol, runtime_checkable

import cv2
import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from trackmaster.env.actions import BRAKE_TABLE, GAS_TABLE, N_ACTIONS, STEER_TABLE, analog_controls, nearest_keys
from trackmaster.env.config import EnvConfig, LooksConfig
from trackmaster.env.driver_floats import driver_floats
from trackmaster.env.episode import EndReason, EpisodeBook
from trackmaster.env.errors import EnvError
from trackmaster.env.spaces import action_space, checked_analog, observation_space
from trackmaster.env.zones import ZoneTable, zone_map_of
from trackmaster.game.base import Game
from trackmaster.game.simulator import SimulatorGame
from trackmaster.game.start import UNDISTURBED, Start
from trackmaster.game.state import NEUTRAL, CarState, Inputs
from trackmaster.track import Track

Observation = dict[str, Any]
Info = dict[str, Any]

_ONE = np.ones(1, dtype=bool)


@runtime_checkable
class PlacesCars(Protocol):
    """A game that can set its car down beside the official start."""

    def reset_at(self, start: Start) -> CarState:
        """Go to a start that may be moved, turned or delayed."""


class RacingEnv(gym.Env[Observation, Any]):
    """Drive one track in decisions of 50 ms; observations and rewards equal those of ``RacingVectorEnv``.

    Observation: ``{"image": uint8 (n_frames, H, W), "floats": float32 (F,)}`` with F = 184 + extras, or that of another
    set of floats (``EnvConfig.floats``); action: index into the 12-action table, or with ``EnvConfig.actions`` analog
    float32 (3,) gas, brake, steer. ``info`` holds ``progress_m``, ``race_time_ms`` (-1 before the finish),
    ``finished``, ``zone_idx``, ``time_ms``, ``potential`` and ``reason``. ``reset(options={"start": Start(...)})``
    disturbs the start.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 20}  # noqa: RUF012

    def __init__(
        self, track: Track, config: EnvConfig | None = None, *, game: Game | None = None, render_mode: str | None = None
    ) -> None:
        """Load the track.

        Args:
            track: place to drive; it needs a reference line.
            config: observation, reward and limits.
            game: where to drive; a simulator of its own without it.
            render_mode: None or "rgb_array".

        Raises:
            EnvError: the track has no reference line, the render mode is unknown, or the configuration asks for kept
                starts, which only the vector environment has.
        """
        self.config = config if config is not None else EnvConfig()
        if self.config.snapshot_start_fraction > 0:
            raise EnvError("snapshot_start_fraction needs a pool of episodes: use RacingVectorEnv, or set it to 0.")
        if self.config.looks != LooksConfig():
            raise EnvError("looks vary in RacingVectorEnv only: use that, or leave env.looks at its defaults.")
        if render_mode not in (None, "rgb_array"):
            raise EnvError(f"render_mode {render_mode!r} is unknown: use None or 'rgb_array'.")
        self.render_mode = render_mode
        self.track = track
        self._game: Game = game if game is not None else SimulatorGame()
        zones = ZoneTable([zone_map_of(track)], np.zeros(1, dtype=np.int64))
        self._book = EpisodeBook(self.config, zones, (track.uid,), driver_floats(self.config, (track,), zones))
        self.observation_space = observation_space(self.config, self._book.seen_floats.shape[1])
        self.action_space = action_space(self.config)
        shape = (self.config.n_frames, self.config.image_height, self.config.image_width)
        self._image = np.zeros(shape, dtype=np.uint8)
        self._race_time_ms = -1
        self._is_started = False
        self.car: CarState | None = None
        """The car as it is now; None before the first reset."""
        self._game.load(track)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Observation, Info]:
        """Begin an episode at the start line.

        Args:
            seed: for the action space's own draws; the car knows no chance.
            options: ``start``: a ``Start``.

        Raises:
            EnvError: an option is unknown, or the game cannot place cars and the start asks for it.
        """
        super().reset(seed=seed)
        options = dict(options or {})
        start = options.pop("start", UNDISTURBED)
        if options or not isinstance(start, Start):
            raise EnvError(
                f"reset knows the option 'start' (a Start); found {sorted(options) or type(start).__name__}."
            )
        self.car = state = self._set_down(start)
        self._is_started = True
        self._race_time_ms = -1
        self._book.begin(_ONE, state.as_states())
        self._look(fill=True)
        return self._observation(), self._info()

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, Info]:
        """Drive one decision.

        Raises:
            EnvError: ``reset`` was not called, the episode is over, or the action is none.
        """
        if not self._is_started or self._book.reason[0] != EndReason.RUNNING:
            raise EnvError("step was called without a running episode: call reset() first.")
        inputs, keys, analog = self._decision(action)
        self.car = state = self._game.step(inputs, self.config.ticks_per_action)
        outcome = self._book.advance(keys, state.as_states(), analog=analog)
        if outcome.terminated[0]:
            self._race_time_ms = state.race_time_ms
        self._look(fill=False)
        return (
            self._observation(),
            float(outcome.reward[0]),
            bool(outcome.terminated[0]),
            bool(outcome.truncated[0]),
            self._info(),
        )

    def render(self) -> NDArray[np.uint8] | None:
        """Return the picture of the current tick, (H, W, 3) RGB, with ``render_mode="rgb_array"``."""
        if self.render_mode is None or not self._is_started:
            return None
        frame = self._game.frame(self.config.image_width, self.config.image_height)
        return np.ascontiguousarray(frame[:, :, 2::-1])

    def close(self) -> None:
        """Let go of the game."""
        self._game.close()

    def _decision(self, action: Any) -> tuple[Inputs, NDArray[np.int64], NDArray[np.float32] | None]:
        """Return an action as inputs, as index of the (nearest) keys (1,) and as analog action (1, 3)."""
        if self.config.actions == "analog":
            analog = checked_analog(np.asarray(action)[None], 1)
            steer, gas, brake = (float(value[0]) for value in analog_controls(analog))
            return Inputs(steer, gas, brake), nearest_keys(analog), analog
        index = int(action)
        if not 0 <= index < N_ACTIONS:
            raise EnvError(f"action {index} does not exist: expected 0 to {N_ACTIONS - 1}.")
        inputs = Inputs(float(STEER_TABLE[index]), float(GAS_TABLE[index]), float(BRAKE_TABLE[index]))
        return inputs, np.array([index]), None

    def _set_down(self, start: Start) -> CarState:
        game = self._game
        if start.is_undisturbed:
            return game.reset()
        if isinstance(game, PlacesCars):
            return game.reset_at(start)
        if start.lateral_m or start.yaw_rad:
            raise EnvError(f"the {game.name} cannot place cars: only the waiting part of a start can be used there.")
        game.reset()
        return game.step(NEUTRAL, start.wait_ticks)

    def _look(self, *, fill: bool) -> None:
        if not self.config.images:
            return
        grey = to_grey(self._game.frame(self.config.image_width, self.config.image_height))
        self._image[:-1] = self._image[1:]
        self._image[-1] = grey
        if fill:
            self._image[:] = grey

    def _observation(self) -> Observation:
        floats = self._book.seen_floats[0].copy()
        return {"image": self._image.copy(), "floats": floats} if self.config.images else {"floats": floats}

    def _info(self) -> Info:
        reason = EndReason(int(self._book.reason[0]))
        return {
            "progress_m": float(self._book.distance_m[0]),
            "race_time_ms": self._race_time_ms,
            "finished": reason is EndReason.FINISHED,
            "zone_idx": int(self._book.zone_idx[0]),
            "time_ms": int(self._book.time_ms[0]),
            "potential": float(self._book.potential()[0]),
            "reason": int(reason),
        }


def to_grey(frame_bgra: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a picture (H, W, 4) BGRA as grey (H, W): .114 B + .587 G + .299 R, the one conversion of the project."""
    grey: NDArray[np.uint8] = np.asarray(cv2.cvtColor(frame_bgra, cv2.COLOR_BGRA2GRAY), dtype=np.uint8)
    return grey

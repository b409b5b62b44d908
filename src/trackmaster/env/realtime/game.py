"""Simulator and TrackMania Nations Forever in real time: a ``Game`` that keeps up with a clock."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trackmaster.env.actions import analog_controls
from trackmaster.env.demo.reward import DemoRewardConfig, RewardKind, TrajectoryReward, resampled, trajectory_reward
from trackmaster.env.errors import EnvError
from trackmaster.env.racing import PlacesCars
from trackmaster.env.realtime.clock import Clock, VirtualClock
from trackmaster.env.realtime.race import PictureWish, RaceInterface, Reading, View
from trackmaster.env.realtime.views import ExactLidarView, FullView, LidarView
from trackmaster.game.base import Game
from trackmaster.game.lidar_eye import LidarEye
from trackmaster.game.simulator import SimulatorGame
from trackmaster.game.start import Start
from trackmaster.game.state import NEUTRAL, CarState, Inputs
from trackmaster.track import Track
from trackmaster.track.named import track_named
from trackmaster.units import MPS_TO_KMPH, TICK_MS

DEFAULT_TRACK: Final = "first_steps"


class GameSource:
    """Drives a game tick by tick so that its race time keeps up with the clock.

    Whenever somebody sends or reads, the ticks that are due since the last call are driven with the inputs that were in
    force. On a virtual clock that is exact and deterministic; in real time the game is late by what one call takes.
    Between ``wait`` (or the last reading of an episode) and the next ``reset`` it stands still, however long that is.
    """

    def __init__(self, game: Game, track: Track) -> None:
        """Load the track at the first reset."""
        self._game, self._track = game, track
        self._clock: Clock = VirtualClock()
        self._inputs: Inputs = NEUTRAL
        self._origin_s = 0.0
        self._ticks = 0
        self._is_racing = False
        self._state: CarState | None = None
        self._eye: LidarEye | None = None

    def use_clock(self, clock: Clock) -> None:
        """Keep up with this clock."""
        self._clock = clock

    def send(self, control: NDArray[np.floating]) -> None:
        """Put gas, brake, steer in force from now on."""
        self._catch_up()
        steer, gas, brake = (float(value[0]) for value in analog_controls(np.clip(control, -1.0, 1.0)[None]))
        self._inputs = Inputs(steer, gas, brake)

    def reset(self, options: Mapping[str, Any] | None) -> None:
        """Go to the start line, or to the ``Start`` under ``options["start"]``.

        Raises:
            EnvError: an option is unknown, or the game cannot place cars.
        """
        asked = dict(options or {})
        start = asked.pop("start", Start())
        if asked or not isinstance(start, Start):
            raise EnvError(f"reset knows the option 'start' (a Start); found {sorted(asked) or type(start).__name__}.")
        self._is_racing, self._inputs = False, NEUTRAL
        if self._state is None:
            self._game.load(self._track)
        if start.is_undisturbed:
            self._state = self._game.reset()
        elif isinstance(self._game, PlacesCars):
            self._state = self._game.reset_at(start)
        else:
            raise EnvError(f"the {self._game.name} cannot place cars: begin at its start line.")
        self._origin_s, self._ticks, self._is_racing = self._clock.now_s(), 0, True

    def read(self, wish: PictureWish | None) -> Reading:
        """Return the car as it is now."""
        self._catch_up()
        state = self._state
        if state is None:
            raise EnvError("the race has not begun: reset the environment first.")
        return Reading(
            speed_kmph=float(np.linalg.norm(state.velocity_mps)) * MPS_TO_KMPH,
            gear=float(state.gear),
            rpm=state.rpm,
            position_m=state.position_m,
            is_finished=state.finished,
            picture=None if wish is None else self._picture(wish, state),
            state=state,
            info={"race_time_ms": state.race_time_ms, "time_ms": state.time_ms, "cp_count": state.cp_count},
        )

    def wait(self) -> None:
        """Stand still: the time until the next reset is not driven."""
        self._is_racing = False

    def close(self) -> None:
        """Let go of the game."""
        self._game.close()
        self._state, self._is_racing = None, False

    def _catch_up(self) -> None:
        if not self._is_racing:
            return
        due = round((self._clock.now_s() - self._origin_s) * 1_000 / TICK_MS) - self._ticks
        if due > 0:
            self._state = self._game.step(self._inputs, due)
            self._ticks += due

    def _picture(self, wish: PictureWish, state: CarState) -> NDArray[np.uint8]:
        if wish.kind == "follow" or not isinstance(self._game, SimulatorGame):
            return self._game.frame(*wish.size)
        if self._eye is None:
            self._eye = LidarEye(self._track, wish.size)
        return self._eye.look(state)


class GameInterface(RaceInterface):
    """A race on the simulator (or another ``Game``) with the full observation: telemetry and four grey pictures."""

    def __init__(
        self,
        track: Track | str = DEFAULT_TRACK,
        *,
        game: Game | None = None,
        img_hist_len: int = 4,
        resize_to: tuple[int, int] | None = (64, 64),
        grayscale: bool = True,
        reward: TrajectoryReward | None = None,
        reward_config: DemoRewardConfig | None = None,
        reward_mode: RewardKind = "signed",
        demo_m: ArrayLike | None = None,
    ) -> None:
        """Prepare a race.

        Args:
            track: a track, the name of a bundled one, or the path of a map file.
            game: where to drive; a simulator of its own without it.
            img_hist_len: pictures per observation.
            resize_to: their width and height.
            grayscale: grey pictures instead of colours.
            reward: what a step is worth; the way along a demonstration without it.
            reward_config: constants of that.
            reward_mode: ``signed``, ``tmrl`` or ``checkpoints``; see ``trackmaster.env.demo.reward``.
            demo_m: (M, 3) the demonstration; the track's reference line without it.

        Raises:
            EnvError: there is no such track, or it has no reference line.
        """
        self.track = track if isinstance(track, Track) else track_named(track)
        self._resize_to, self._is_grey = resize_to, grayscale
        view = self._make_view(img_hist_len)
        paid = reward or trajectory_reward(
            resampled(demo_m if demo_m is not None else demo_of(self.track)), reward_config, reward_mode
        )
        super().__init__(GameSource(game if game is not None else SimulatorGame(), self.track), view, paid)

    @classmethod
    def make_clock(cls) -> Clock:
        """Live by a virtual clock unless the environment is given another one."""
        return VirtualClock()

    def _make_view(self, img_hist_len: int) -> View:
        return FullView(img_hist_len, self._resize_to, grayscale=self._is_grey)


class GameLidarInterface(GameInterface):
    """The same race seen by tmrl's lidar: speed and four scans of the drawn picture, 958 x 488 from the cockpit."""

    def _make_view(self, img_hist_len: int) -> View:
        return LidarView(img_hist_len)


class GameLidarProgressInterface(GameInterface):
    """The same with the share of the demonstration that is done."""

    def _make_view(self, img_hist_len: int) -> View:
        return LidarView(img_hist_len, progress=True)


class GameExactLidarInterface(GameInterface):
    """The same race with scans in metres, measured on the track instead of on a picture."""

    def _make_view(self, img_hist_len: int) -> View:
        return ExactLidarView(self.track, img_hist_len)


def demo_of(track: Track) -> NDArray[np.float64]:
    """Return the reference line up to the finish as a demonstrated path (M, 3).

    Raises:
        EnvError: the track has no reference line.
    """
    if track.reference_line is None:
        raise EnvError(f"track {track.name!r} has no reference line: give a demonstration or a line.")
    points = track.reference_line.points_m
    path: NDArray[np.float64] = np.vstack([points[:-1], (points[-1:] + points[-2:-1]) / 2])  # the finish lies between
    return path

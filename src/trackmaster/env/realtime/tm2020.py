"""TrackMania 2020 in real time: OpenPlanet's telemetry, a picture of the window, a pad.

With ``desk`` all of it is the stand-in (`trackmaster standin --openplanet`), with ``StandinClock`` in virtual time.
"""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trackmaster.env.demo.files import demo_map_uid, load_demo
from trackmaster.env.demo.reward import DemoRewardConfig, RewardKind, TrajectoryReward, trajectory_reward
from trackmaster.env.errors import EnvError
from trackmaster.env.realtime.clock import Clock, RealClock
from trackmaster.env.realtime.race import PictureWish, RaceInterface, Reading, View
from trackmaster.env.realtime.screen_lidar import WINDOW as LIDAR_WINDOW
from trackmaster.env.realtime.tm2020_watch import RaceWatch
from trackmaster.env.realtime.views import FullView, LidarView
from trackmaster.game.openplanet.client import LOCALHOST, OpenPlanetClient, save_ghost
from trackmaster.game.openplanet.desk import BUTTON_A, BUTTON_B, Desk
from trackmaster.game.openplanet.layouts import DEFAULT_PORT, GHOST_PORT, Record
from trackmaster.game.openplanet.pad import Keyboard, Pad, VirtualGamepad
from trackmaster.game.openplanet.screen import DeskScreen, Screen, WindowScreen

LOG = logging.getLogger(__name__)

PRESS_S: Final = 0.1
"""How long a button is held."""
POP_UP_S: Final = 0.5
"""From the restart after an episode to the press that closes the pop-up."""
GHOST_S: Final = 1.0
"""The game needs this long to save a ghost."""
SLEEP_AT_RESET_S: Final = 1.5
"""From the restart to the green light."""
FIRST_RECORD_S: Final = 10.0
"""Longest wait for the first record: the plugin is silent until a map is driven."""
RECORD_S: Final = 0.9
"""Longest wait for one in a race: the link says what is wrong before the environment's watchdog would."""
FULL_WINDOW: Final = (256, 128)


class StandinClock:
    """Virtual time of the stand-in: it passes when somebody waits, and then only."""

    is_virtual = True

    def __init__(self, desk: Desk) -> None:
        """Take the desk that the pad uses, too."""
        self._desk = desk
        self._now_ms = 0
        self.records = 0
        """Records that the telemetry client was sent up to now."""

    def now_s(self) -> float:
        """Return the time waited for so far."""
        return self._now_ms / 1_000

    def sleep_until(self, when_s: float) -> None:
        """Let the race go on up to then."""
        wait_ms = round(1_000 * when_s) - self._now_ms
        if wait_ms > 0:
            self.records = self._desk.advance(wait_ms)
            self._now_ms += wait_ms


class LazyReward:
    """A reward that is made at the first reset."""

    def __init__(self, make: Callable[[], TrajectoryReward]) -> None:
        """Note how to make it."""
        self._make = make
        self._made: TrajectoryReward | None = None

    @property
    def progress(self) -> float:
        """0 to 1; 0 before the first reset."""
        return 0.0 if self._made is None else self._made.progress

    def reset(self) -> None:
        """Begin an episode."""
        self._reward().reset()

    def step(self, position_m: ArrayLike, *, is_finished: bool) -> tuple[float, bool]:
        """Pay."""
        return self._reward().step(position_m, is_finished=is_finished)

    def _reward(self) -> TrajectoryReward:
        if self._made is None:
            self._made = self._make()
        return self._made


class Tm2020Source:
    """A car of TrackMania 2020; connected at the first reset."""

    def __init__(
        self,
        connect: Callable[[], OpenPlanetClient],
        make_pad: Callable[[], Pad],
        make_screen: Callable[[], Screen] | None,
        *,
        sleep_at_reset_s: float = SLEEP_AT_RESET_S,
        ghost_host: str = LOCALHOST,
        ghost_port: int | None = None,
        map_uid: Callable[[], str] = str,
    ) -> None:
        """Note how to get at the parts.

        Args:
            connect: makes the telemetry client.
            make_pad: makes what presses the buttons.
            make_screen: makes what is looked at; None where no view needs it.
            sleep_at_reset_s: from the restart to the first look; 0 when racing for time.
            ghost_host: where the game runs.
            ghost_port: save the ghost there after every episode; None saves none.
            map_uid: tells the map that must be driven; empty allows any.
        """
        self._map_uid = map_uid
        self._connect, self._make_pad, self._make_screen = connect, make_pad, make_screen
        self._sleep_at_reset_s = sleep_at_reset_s
        self._ghost_host, self._ghost_port = ghost_host, ghost_port
        self._clock: Clock = RealClock()
        self._client: OpenPlanetClient | None = None
        self._pad: Pad | None = None
        self._screen: Screen | None = None
        self._seen = 0
        self._has_gas = self._is_racing = self._is_finished = False
        self.watch = RaceWatch()

    def use_clock(self, clock: Clock) -> None:
        """Live by this clock."""
        self._clock = clock

    def send(self, control: NDArray[np.floating]) -> None:
        """Hold the pad like this."""
        if self._pad is not None:
            gas, brake, steer = (float(value) for value in np.clip(control, -1.0, 1.0))
            self._pad.press(max(gas, 0.0), max(brake, 0.0), steer)
            self._has_gas = gas > 0

    def reset(self, options: Mapping[str, Any] | None) -> None:
        """Restart the race and wait for green; a race before that nobody waited after is ended first."""
        if options:
            LOG.warning("TrackMania 2020 knows no options of a reset: %s has no effect", sorted(options))
        pad = self._parts()[1]
        was_racing, self._is_racing = self._is_racing, False
        if was_racing:
            self._save_ghost(pad)
            if self._is_finished:
                self._close_pop_up(pad)
        self._press(pad, BUTTON_B)
        self._sleep(max(0.0, self._sleep_at_reset_s - PRESS_S))
        self._is_racing = True

    def read(self, wish: PictureWish | None) -> Reading:
        """Look at the window, then take the newest record.

        Raises:
            EnvError: the game drives another map than the demonstration's.
        """
        client = self._parts()[0]
        picture = None
        if wish is not None and self._screen is not None:
            picture = self._screen.picture(wish.size, wish.kind)
        looked_s = client.now_s()
        record = self._record(client)
        self._is_finished = record.is_finished
        self.watch.record(record, now_s=self._clock.now_s(), has_gas=self._has_gas)
        if picture is not None and not self._clock.is_virtual:
            self.watch.picture(record.received_s - looked_s)
        return Reading(
            speed_kmph=record.speed_kmph,
            gear=float(record.gear),
            rpm=record.rpm,
            position_m=record.position_m,
            is_finished=record.is_finished,
            picture=picture,
            info={"race_time_ms": -1 if record.race_time_ms is None else record.race_time_ms, "map": record.map_uid},
        )

    def wait(self) -> None:
        """Save the ghost, if so asked; restart, and close the pop-up."""
        pad = self._parts()[1]
        self._is_racing = False
        self._save_ghost(pad)
        self._close_pop_up(pad)

    def close(self) -> None:
        """Let go of pad, screen and connection."""
        for part in (self._client, self._screen, self._pad):
            if part is not None:
                part.close()
        self._client = self._screen = self._pad = None

    def _parts(self) -> tuple[OpenPlanetClient, Pad]:
        """Return the connection, over which records come, and the pad; what failed the last time is made anew."""
        if self._pad is None:
            self._pad = self._make_pad()
        if self._screen is None and self._make_screen is not None:
            self._screen = self._make_screen()
        if self._client is None:
            client = self._connect()
            try:
                client.latest(timeout_s=FIRST_RECORD_S)
                self.watch = RaceWatch(self._map_uid())
            except BaseException:
                client.close()
                raise
            self._client, self._seen = client, 0
        return self._client, self._pad

    def _record(self, client: OpenPlanetClient) -> Record:
        if isinstance(self._clock, StandinClock):
            return client.latest(at_least=self._clock.records, timeout_s=FIRST_RECORD_S)
        record = client.latest(newer_than=self._seen, timeout_s=RECORD_S)
        self._seen = client.count
        return record

    def _save_ghost(self, pad: Pad) -> None:
        pad.press(0.0, 0.0, 0.0)
        if self._ghost_port is not None:
            save_ghost(self._ghost_host, self._ghost_port)
            self._sleep(GHOST_S)

    def _close_pop_up(self, pad: Pad) -> None:
        self._press(pad, BUTTON_B)
        self._sleep(POP_UP_S)
        self._press(pad, BUTTON_A)

    def _press(self, pad: Pad, button: int) -> None:
        self._has_gas = False
        pad.press(0.0, 0.0, 0.0, button)
        self._sleep(PRESS_S)
        pad.press(0.0, 0.0, 0.0)

    def _sleep(self, seconds: float) -> None:
        self._clock.sleep_until(self._clock.now_s() + seconds)


class Tm2020Interface(RaceInterface):
    """The full observation of TrackMania 2020: telemetry and four pictures of a window of 256 x 128."""

    window: tuple[int, int] = FULL_WINDOW
    """Width and height of the inside of the game's window."""

    def __init__(
        self,
        img_hist_len: int = 4,
        gamepad: bool = True,
        save_replays: bool = False,
        grayscale: bool = True,
        resize_to: tuple[int, int] | None = (64, 64),
        *,
        window_width: int | None = None,
        window_height: int | None = None,
        host: str = LOCALHOST,
        port: int = DEFAULT_PORT,
        ghost_port: int = GHOST_PORT,
        layout: str = "tmrl",
        desk: Desk | int | None = None,
        sleep_at_reset_s: float = SLEEP_AT_RESET_S,
        reward: TrajectoryReward | None = None,
        reward_path: Path | str = "TmrlData/reward/reward.npy",
        reward_config: DemoRewardConfig | None = None,
        reward_mode: RewardKind = "signed",
    ) -> None:
        """Prepare; the game is touched at the first reset.

        Args:
            img_hist_len: pictures (or scans) per observation.
            gamepad: a virtual gamepad; else the keyboard.
            save_replays: save the ghost after every episode (plugin TMRL_SaveGhost): at its end with ``wait_on_done``,
                else at the next reset.
            grayscale: grey pictures instead of colours.
            resize_to: width and height of the pictures; None keeps those of the window.
            window_width: pixels that the inside of the game's window is made wide; those of the class without it.
            window_height: and high.
            host: where the game runs.
            port: of the telemetry plugin.
            ghost_port: of the ghost plugin.
            layout: of the telemetry (``game.openplanet.layouts``).
            desk: the stand-in's desk, or its port, instead of a window and a pad.
            sleep_at_reset_s: from the restart to the first look.
            reward: what a step is worth; the way along the recorded demonstration without it.
            reward_path: the recorded demonstration.
            reward_config: constants of that.
            reward_mode: ``signed``, ``tmrl`` or ``checkpoints``; see ``trackmaster.env.demo.reward``.

        Raises:
            EnvError: the window has no size, or is too small for a lidar.

        A trainer builds it for its spaces alone, on a machine that may have no demonstration: it is read at the first
        reset, which raises ``EnvError`` with the command that records one where there is none.
        """
        self._resize_to, self._is_grey = resize_to, grayscale
        self.window = _window_size(window_width, window_height, usual=self.window)
        at_desk = Desk(port=desk) if isinstance(desk, int) else desk
        source = Tm2020Source(
            lambda: OpenPlanetClient(host, port, layout=layout),
            lambda: at_desk if at_desk is not None else VirtualGamepad() if gamepad else Keyboard(),
            lambda: WindowScreen(size=self.window) if at_desk is None else DeskScreen(at_desk),
            sleep_at_reset_s=sleep_at_reset_s,
            ghost_host=host,
            ghost_port=ghost_port if save_replays else None,
            map_uid=lambda: demo_map_uid(reward_path) if reward is None else "",
        )
        paid = reward or LazyReward(lambda: trajectory_reward(load_demo(reward_path), reward_config, reward_mode))
        super().__init__(source, self._make_view(img_hist_len), paid)

    def _make_view(self, img_hist_len: int) -> View:
        return FullView(img_hist_len, self._resize_to or self.window, grayscale=self._is_grey)


class Tm2020LidarInterface(Tm2020Interface):
    """Speed and scans of a window of 958 x 488, camera 3, on plain road."""

    window = LIDAR_WINDOW

    def _make_view(self, img_hist_len: int) -> View:
        return LidarView(img_hist_len, window=self.window)


class Tm2020LidarProgressInterface(Tm2020LidarInterface):
    """The same with the share of the demonstration that is done."""

    def _make_view(self, img_hist_len: int) -> View:
        return LidarView(img_hist_len, progress=True, window=self.window)


def _window_size(width: int | None, height: int | None, *, usual: tuple[int, int]) -> tuple[int, int]:
    size = usual[0] if width is None else width, usual[1] if height is None else height
    if min(size) < 1:
        raise EnvError(f"the window is to be {size[0]} x {size[1]} pixels, expected at least 1 x 1.")
    return size

"""The real game (or its stand-in) as a recorder: the game plays the inputs, we take state and picture of every tick."""

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trackmaster.capture.config import CaptureConfig
from trackmaster.capture.errors import UNFORESEEN, ReplayRejectedError, WorkerLostError
from trackmaster.capture.film import Film
from trackmaster.capture.frames import FrameTaker
from trackmaster.capture.pictures import CAMERA
from trackmaster.capture.recorder import Recording
from trackmaster.capture.scripts import delayed_respawns, inputs_check, run_script
from trackmaster.capture.source import ReplaySource
from trackmaster.capture.staging import staged_name
from trackmaster.capture.verify import Check
from trackmaster.game.link.barrier import SamplePlan, WrongTickError, samples
from trackmaster.game.link.client import LinkClient, Timeouts
from trackmaster.game.link.clock import Clock, SystemClock
from trackmaster.game.link.errors import CannotConnectError, LinkError, SilentGameError
from trackmaster.game.link.events import Event
from trackmaster.game.link.play import NO_TICK_S, RUN_TIMEOUT_MS, Player, PlayOptions, StallError
from trackmaster.game.link.protocol import Feature, Message, Wants
from trackmaster.game.setup.instances import Instance
from trackmaster.game.setup.keeper import GameKeeper
from trackmaster.game.setup.launcher import LaunchError
from trackmaster.game.state import GameError
from trackmaster.gbx import InputTimeline
from trackmaster.units import TICK_MS

log = logging.getLogger(__name__)

RUN_OUT_MS = 600
"""How long the game is followed beyond the race time: the finish is told late, and a slower run shows by how much."""

CONNECT_S = 10.0
"""Longest silence of a game that nobody talks to."""

FAREWELL_S = 3.0
"""Longest wait for a game that is only to be told to unload a script."""

RACE_SILENCE_S = 20.0
"""Longest silence of a running race."""

TRIES = 2
"""How often a replay is run when the connection breaks under it."""


def replay_limit_s(race_time_ms: int, speed: float) -> float:
    """Return how long one replay may take altogether: five minutes, more for long races at low speed."""
    return max(300.0, 60.0 + 1.5 * race_time_ms / (1_000 * speed))


class PlayedRecorder:
    """Runs replays on one game over one session, which is opened anew when it breaks."""

    def __init__(
        self,
        config: CaptureConfig,
        instance: Instance,
        *,
        clock: Clock | None = None,
        speed_check: Check | None = None,
        patience_ms: int = RUN_TIMEOUT_MS,
        keeper: GameKeeper | None = None,
        login: str = "",
    ) -> None:
        """Prepare; no connection is made yet.

        Args:
            config: flags.
            instance: the game.
            clock: time for all time-outs.
            speed_check: what is known about the running speed on this machine.
            patience_ms: how long the game waits for us before it drops us.
            keeper: starts the game where it does not run, and again when it is gone; a game that somebody else
                started is given up instead.
            login: account that the game logs in with; empty leaves it as it is.
        """
        self._config = config
        self._instance = instance
        self._clock = clock if clock is not None else SystemClock()
        self._speed_check = speed_check if speed_check is not None else Check(None)
        self._keeper = keeper
        self._has_script = False
        """A script of ours is loaded in the game."""
        # After a broken session the game still waits for our word, and takes nobody else until it gives up.
        timeouts = Timeouts(connect_s=patience_ms / 1_000 + CONNECT_S, event_s=RACE_SILENCE_S)
        client = LinkClient(instance.port, timeouts=timeouts, clock=self._clock)
        options = PlayOptions(running_speed=config.running_speed, login=login, patience_ms=patience_ms)
        self._player = Player(client, options, clock=self._clock)

    def record(self, source: ReplaySource, rows: NDArray[np.integer], frames: FrameTaker) -> Recording:
        """Run one replay on the game.

        Raises:
            ReplayRejectedError: the game hangs over it, or the connection broke twice.
            WorkerLostError: the game cannot be reached.
        """
        for attempt in range(1, TRIES + 1):
            try:
                return self._play(source, rows, frames)
            except StallError as stall:
                self._leave()
                raise ReplayRejectedError(stall.reason, f"{source.file.path.name}: {stall}") from None
            except LaunchError as error:
                self._leave()
                raise WorkerLostError(str(error)) from None
            except CannotConnectError as error:
                self._restart_game(error)
            except WrongTickError as error:
                self._leave()
                raise ReplayRejectedError("frame_tick", f"{source.file.path.name}: {error}") from None
            except GameError as error:
                self._leave()
                log.warning("%s: %s (try %d of %d)", source.file.path.name, error, attempt, TRIES)
                if attempt == TRIES:
                    reason = f"{UNFORESEEN}{type(error).__name__}"
                    raise ReplayRejectedError(reason, f"{source.file.path.name}: {error}") from None
            frames.begin_again()
        raise WorkerLostError(f"the game on port {self._instance.port} was started again and still cannot be reached.")

    def close(self) -> None:
        """Give the game back; one that we started is ended."""
        self.leave()
        if self._keeper is not None:
            self._keeper.end()

    def leave(self) -> None:
        """Give the game back as a player wants it: speed 1, HUD on, no script."""
        client = self._player.client
        with contextlib.suppress(GameError):
            if client.inside is None and self._has_script:  # no session in which the script could be unloaded
                client.close()  # where one stands still: the game finds its speed in it, whatever comes of a new one
                self._unload()
            self._player.leave()
        self._has_script = False

    def _unload(self) -> None:
        """Open a session only to unload the script; a game that hangs is not waited for."""
        timeouts = self._player.client.timeouts
        usual_s, timeouts.connect_s = timeouts.connect_s, FAREWELL_S
        try:
            self._player.client.connect()
        finally:
            timeouts.connect_s = usual_s

    def _leave(self) -> None:
        """Let go of a session that is of no use any more; the game gets its speed back where it still listens."""
        self._player.client.close()
        self._player.map_name = None

    def _restart_game(self, error: CannotConnectError) -> None:
        self._leave()
        if self._keeper is None:
            raise WorkerLostError(str(error)) from None
        log.warning("%s It is started again.", error)
        try:
            self._keeper.start(self._player.client)
        except LinkError as failure:
            raise WorkerLostError(str(failure)) from None

    def _play(self, source: ReplaySource, rows: NDArray[np.integer], frames: FrameTaker) -> Recording:
        deadline_s = self._clock.now_s() + replay_limit_s(source.race_time_ms, self._config.running_speed)
        self._to_countdown(source)
        film = Film(source, rows, frames)
        plan = _plan(source, rows, self._config.size_px)
        for event in self._watched(plan, source, deadline_s):
            if event.message is Message.SC_SAMPLE:
                film.take(event)
            elif event.is_finish:
                film.finish(event)
        acted = inputs_check(self._player.client.get_inputs(), self._inputs(source))
        return Recording(
            film.trajectory(),
            draw=_drawn_already,
            driven=True,
            checks={"inputs_acted": acted, "speed": self._speed_check},
            metadata=self._metadata(source),
            versions={"plugin": self._player.client.plugin.version or "public"},
        )

    def _to_countdown(self, source: ReplaySource) -> None:
        """Bring the game into the countdown of the replay's map, with the replay's inputs armed."""
        player, name = self._player, staged_name(source.map)
        if self._keeper is not None and self._keeper.is_old:
            self._leave()
            self._keeper.renew(player.client)
        if player.client.inside is None:
            if self._keeper is not None:
                self._keeper.start_if_absent(player.client)
            player.connect()
        self._arm(source)  # before the map, so that nothing of the replay before acts on it
        if player.map_name != name:
            player.load_map(name)
            self._arm(source)
        player.restart()
        player.client.show_interface(is_shown=False)  # it comes back with every map, also with one that loads late

    @property
    def _plays_lists(self) -> bool:
        """Whether inputs are handed over as they are: only a script can press another key than usual for a respawn."""
        return self._player.client.plugin.has(Feature.PLAY_INPUTS) and self._config.respawn_action == "enter"

    def _inputs(self, source: ReplaySource) -> InputTimeline:
        return delayed_respawns(source.timeline, source.ghost.cp_times_ms, self._config.respawn_after_cp_ms)

    def _arm(self, source: ReplaySource) -> None:
        script = run_script(self._inputs(source), self._config.respawn_action)
        if self._plays_lists:
            self._player.arm(script.commands)
            return
        self._instance.scripts_path.mkdir(parents=True, exist_ok=True)
        (self._instance.scripts_path / script.name).write_text(script.text, encoding="ascii")
        self._player.arm(script.name)
        self._has_script = True
        self._player.client.execute("set execute_commands true")

    def _watched(self, plan: SamplePlan, source: ReplaySource, deadline_s: float) -> Iterator[Event]:
        """Yield the events of a race, with the time-outs of a race."""
        speed = self._config.running_speed
        sampled_s = self._clock.now_s()
        try:
            for event in samples(self._player.client, plan, speed=speed, timeout_s=RACE_SILENCE_S):
                yield event
                now_s = self._clock.now_s()
                if event.message is Message.SC_SAMPLE:
                    sampled_s = now_s
                elif now_s > sampled_s + NO_TICK_S:
                    raise StallError("stalled", f"the race sends messages, but no tick for {NO_TICK_S:g} s.")
                if now_s > deadline_s:
                    raise ReplayRejectedError(
                        "timeout",
                        f"{source.file.path.name}: it is not over after "
                        f"{replay_limit_s(source.race_time_ms, speed):.0f} s. Give a higher --running-speed, or look "
                        "whether the game is slowed down.",
                    )
        except SilentGameError as error:
            raise StallError("stalled", f"the race stands still: {error}") from None

    def _metadata(self, source: ReplaySource) -> dict[str, Any]:
        plugin = self._player.client.plugin
        script = run_script(self._inputs(source), self._config.respawn_action)
        return {
            "image_source": "game",
            "camera": CAMERA,
            "plugin": plugin.version or "public",
            "tmi_script_used": None if self._plays_lists else script.name,
        }


def _plan(source: ReplaySource, rows: NDArray[np.integer], size_px: tuple[int, int]) -> SamplePlan:
    """Return what is wanted of a run: the state of every tick, the picture of some."""
    shown = set(rows.tolist())
    last = (source.race_time_ms + RUN_OUT_MS) // TICK_MS
    entries = [(row * TICK_MS, Wants.STATE | Wants.PICTURE if row in shown else Wants.STATE) for row in range(last + 1)]
    return SamplePlan(entries, *size_px)


def _drawn_already(_rows: NDArray[np.integer], _frames: FrameTaker) -> None:
    """Pictures of a game come while it runs."""

"""TrackMania Nations Forever through TMInterface 2.x as a ``Game``: what runs on the simulator runs on it, too."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from trackmaster.game.link.client import LinkClient
from trackmaster.game.link.errors import LinkError
from trackmaster.game.link.play import HOLD_TIMEOUT_MS, Player, PlayOptions
from trackmaster.game.link.protocol import (
    DEFAULT_PERIOD_MS,
    KEY_BITS,
    MASK_KEYS,
    MASK_STEER,
    Feature,
    Message,
)
from trackmaster.game.link.sim_state import SimStateData
from trackmaster.game.state import CarState, GameError, Inputs
from trackmaster.gbx import Control
from trackmaster.track import Track
from trackmaster.units import TICK_MS

FULL_STEER: Final = 65_536
PEDAL_THRESHOLD: Final = 0.3
"""Pedals are switches in this game; from here on they are down (19 661 of 65 536)."""


@dataclass(frozen=True, slots=True)
class GameSnapshot:
    """A state of the real game; it can be stored and restored in another process of the same game."""

    blob: bytes
    """``SimStateData`` as the game sent it."""
    tick_ms: int
    finish: CarState | None
    """The car when its finish was told, which the game was made to forget."""


class TmInterfaceGame:
    """One game process behind its plugin; inputs, snapshots and pictures with the meaning they have on the simulator.

    Between two calls the game stands still inside of a message, for at most ``PlayOptions.patience_ms``; after that it
    drops us and the next call says so. Whatever fails leaves the game at speed 1; ``reset`` connects anew.
    """

    name = "game"

    def __init__(self, client: LinkClient, maps: Mapping[str, str], options: PlayOptions | None = None) -> None:
        """Choose the game; the connection is opened by ``load``.

        Args:
            client: of the game's port.
            maps: name of the map file below ``Tracks/Challenges`` by map uid; they must have been there when the game
                started.
            options: how it is played.
        """
        self.player = Player(client, options if options is not None else PlayOptions(patience_ms=HOLD_TIMEOUT_MS))
        self._client = client
        self._maps = maps
        self._map_name: str | None = None
        self._start: GameSnapshot | None = None
        self._state: SimStateData | None = None
        self._tick_ms = 0
        self._finish: CarState | None = None
        self._picture: NDArray[np.uint8] | None = None
        self._period_ms = 0
        self._steers_by_axis = False

    def load(self, track: Track) -> None:
        """Take ``track`` as the place to drive; the next call must be ``reset``.

        Raises:
            GameError: the track's map was not staged, or the game does not load it.
        """
        name = self._maps.get(track.uid)
        if name is None:
            raise GameError(
                f"the game has no file of the map {track.uid!r}: put it below Tracks/Challenges before the game "
                "starts, and name it here."
            )
        self._map_name, self._start, self._state = name, None, None
        with self._left_alone_on_failure():
            self._open(name)

    def reset(self, state: object | None = None) -> CarState:
        """Go to the start line at race time 0, or to a state that ``snapshot`` gave.

        The first time a countdown is driven; afterwards the start state is restored. A lost session is opened anew.

        Raises:
            GameError: no track is loaded, or the state is none of this game.
        """
        if self._map_name is None:
            raise GameError("no track is loaded: call load(track) first.")
        with self._left_alone_on_failure():
            if self._client.inside is None:
                self._open(self._map_name)
            target = state if state is not None else self._start
            if target is not None:
                return self.restore(target)
            self._finish = None
            if self._client.inside is not Message.SC_RUN_STEP_SYNC or (self._client.race_time_ms or 0) >= 0:
                self._to_run_step()
                self.player.restart()
                self._period_ms = DEFAULT_PERIOD_MS
            self.player.run_to_start()
            self._finish = None
            car = self._arrive(0, self._client.get_state())
            self._start = self.snapshot()
            return car

    def step(self, inputs: Inputs, ticks: int) -> CarState:
        """Drive ``ticks`` ticks of 10 ms with constant inputs and return the state after them.

        The finish shows in the state one tick late, as the game tells it; its time is the official one.

        Raises:
            GameError: ``reset`` was not called, ``ticks`` is no whole number of at least 1, or the plugin cannot steer
                by parts of the way.
        """
        self._started()
        if not isinstance(ticks, (int, np.integer)) or ticks < 1:
            raise GameError(f"step was asked for {ticks} ticks: a whole number of at least 1 must pass.")
        span_ms = int(ticks) * TICK_MS
        target_ms = self._tick_ms + span_ms
        with self._left_alone_on_failure():
            self._set_period(span_ms if target_ms % span_ms == 0 else DEFAULT_PERIOD_MS)
            self._give(inputs)
            while self._tick_ms < target_ms:
                self._advance()
            return self._arrive(self._tick_ms, self._client.get_state())

    def snapshot(self) -> GameSnapshot:
        """Return the game's own state; going on from it repeats the run."""
        return GameSnapshot(self._started().to_bytes(), self._tick_ms, self._finish)

    def restore(self, state: object) -> CarState:
        """Go back to a state that ``snapshot`` gave on the same track.

        Raises:
            GameError: ``state`` is something else.
        """
        if not isinstance(state, GameSnapshot):
            raise GameError(f"a {type(state).__name__} cannot be restored: give what snapshot() returned.")
        target = SimStateData(state.blob)
        with self._left_alone_on_failure():
            self._to_run_step()
            self._client.rewind(target)
        self._finish = state.finish
        return self._arrive(state.tick_ms, target)

    def frame(self, width: int, height: int) -> NDArray[np.uint8]:
        """Return the picture of the current tick, (height, width, 4) BGRA, rows top to bottom.

        Raises:
            GameError: ``reset`` was not called, or the game drew the picture of another tick.
        """
        self._started()
        if self._picture is not None and self._picture.shape[:2] == (height, width):
            return self._picture
        with self._left_alone_on_failure():
            if self._client.inside is Message.SC_RUN_STEP_SYNC:
                self._client.rewind()
            else:
                self.restore(self.snapshot())  # a second picture of one tick: the game has to come back to it
            self._client.set_speed(0.0)
            self._client.request_frame(width, height)
            self._client.acknowledge()
            event = self._client.wait()
        if event.picture is None:
            raise GameError(
                f"the game went on to {event.message.name} before it drew the picture of {self._tick_ms} ms: lower the "
                "running speed."
            )
        self._picture = event.picture
        return event.picture

    def close(self) -> None:
        """Let go of the game: it runs on at speed 1 as if we had never been there."""
        self._map_name = self._start = self._state = None
        self.player.leave()

    def __enter__(self) -> Self:
        """Use as a context: however the block ends, the game is given back."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    @contextlib.contextmanager
    def _left_alone_on_failure(self) -> Iterator[None]:
        """Give the game back when the link fails; the error goes on to the caller."""
        try:
            yield
        except LinkError:
            self._client.close()
            self._state = None
            raise

    def _open(self, name: str) -> None:
        self.player.load_map(name)
        self._period_ms = DEFAULT_PERIOD_MS
        self._steers_by_axis = False

    def _advance(self) -> None:
        """Let the race go on to its next reported tick."""
        self._client.set_speed(self.player.options.running_speed)
        while True:
            self._client.acknowledge()
            event = self._client.wait()
            if event.is_run_step:
                self._tick_ms = event.time_ms
                return
            if event.is_finish:
                self._forget_finish()

    def _forget_finish(self) -> None:
        """Keep what the finish says and take it back in the game, so that no medal screen blocks it."""
        state = self._client.get_state()
        self._finish = state.car_states().car(0)
        self._client.rewind(state.without_finish())

    def _to_run_step(self) -> None:
        if self._client.inside is not Message.SC_RUN_STEP_SYNC:
            self._set_period(DEFAULT_PERIOD_MS)
            tick_ms, finish = self._tick_ms, self._finish
            self._advance()
            self._tick_ms, self._finish = tick_ms, finish  # whoever asks for this goes back in time

    def _set_period(self, period_ms: int) -> None:
        if period_ms != self._period_ms:
            self._client.set_period(period_ms)
            self._period_ms = period_ms

    def _arrive(self, tick_ms: int, state: SimStateData) -> CarState:
        """Return the car at a tick; a finish before stays in it although the game was made to forget it."""
        self._tick_ms, self._state, self._picture = tick_ms, state, None
        car, finish = state.car_states().car(0), self._finish
        if finish is None:
            return replace(car, time_ms=tick_ms)
        return replace(
            car,
            time_ms=tick_ms,
            finished=True,
            race_time_ms=finish.race_time_ms,
            cp_count=finish.cp_count,
            cp_times_ms=finish.cp_times_ms,
        )

    def _give(self, inputs: Inputs) -> None:
        """Set inputs for the ticks to come."""
        client = self._client
        if inputs.respawn:
            client.execute("press enter")
        gas, brake = inputs.gas >= PEDAL_THRESHOLD, inputs.brake >= PEDAL_THRESHOLD
        is_digital = inputs.steer in (-1.0, 0.0, 1.0)
        left, right = is_digital and inputs.steer < 0, is_digital and inputs.steer > 0
        if is_digital and not self._steers_by_axis:
            client.set_keys(left=left, right=right, accelerate=gas, brake=brake)
            return
        if not client.plugin.has(Feature.ANALOG_INPUT):
            raise GameError(
                f"the public plugin has no analog steering, {inputs.steer} was asked for: steer -1, 0 or 1, or install "
                "plugin/TrackmasterLink.as."
            )
        self._steers_by_axis = True
        held = {Control.LEFT: left, Control.RIGHT: right, Control.ACCELERATE: gas, Control.BRAKE: brake}
        keys = sum(KEY_BITS[control] for control, is_held in held.items() if is_held)
        steer = 0 if is_digital else round(inputs.steer * FULL_STEER)
        client.set_inputs(keys=keys, steer=steer, mask=MASK_KEYS if left or right else MASK_KEYS | MASK_STEER)

    def _started(self) -> SimStateData:
        if self._state is None:
            raise GameError("the race has not begun: call reset() after load().")
        return self._state

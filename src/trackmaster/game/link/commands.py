"""What a client can say inside of a message of the game: one method per command.

Source: ``game_link.md`` 2 and 18.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence

from trackmaster.game.link import protocol
from trackmaster.game.link.events import Wire
from trackmaster.game.link.protocol import Feature, Message, ProtocolError, encode, encode_text
from trackmaster.game.link.sim_state import SimStateData
from trackmaster.gbx import Command, Control


class Commands(ABC):
    """Commands of both dialects; each raises ``ProtocolError`` where the game would not listen."""

    @abstractmethod
    def abort(self) -> None:
        """Drop the connection without a word."""

    @abstractmethod
    def _inside(self) -> Wire:
        """Return the wire if the game waits for us.

        Raises:
            ProtocolError: it does not.
        """

    def set_speed(self, factor: float) -> None:
        """Set the game's speed; 0 pauses."""
        self._command(Message.C_SET_SPEED, factor)

    def execute(self, line: str) -> None:
        """Hand a line to the TMInterface console.

        Lines of one drawn frame run last in, first out; a plugin of ours runs one per frame, in order.
        """
        wire = self._inside()
        wire.channel.write(encode_text(Message.C_EXECUTE_COMMAND, line))
        wire.has_lines = True

    def get_state(self) -> SimStateData:
        """Return the state of the current tick."""
        return SimStateData(self._ask_blob(Message.C_GET_SIMULATION_STATE))

    def get_inputs(self) -> str:
        """Return the game's own record of the inputs as a script."""
        return self._ask_blob(Message.C_GET_INPUTS).decode("utf-8", "replace")

    def is_in_menus(self) -> bool:
        """Return whether the game shows its menus."""
        return self._ask_flag(Message.C_IS_IN_MENUS)

    def is_race_finished(self) -> bool:
        """Return whether the race is over."""
        return self._ask_flag(Message.C_RACE_FINISHED)

    def rewind(self, state: SimStateData | None = None) -> None:
        """Go back to a state, or to the current one, which drops a tick that is already under way."""
        if state is None:
            self._command(Message.C_REWIND_TO_CURRENT_STATE)
        else:
            self._inside().channel.write(encode(Message.C_REWIND_TO_STATE, blob=state.memory))

    def set_keys(self, *, left: bool, right: bool, accelerate: bool, brake: bool) -> None:
        """Hold exactly these keys from the next tick on."""
        self._command(Message.C_SET_INPUT_STATE, left, right, accelerate, brake)

    def give_up(self) -> None:
        """Restart the race, with a countdown."""
        self._command(Message.C_GIVE_UP)

    def prevent_finish(self) -> None:
        """Make the game go on as if the finish had not been crossed."""
        self._command(Message.C_PREVENT_SIMULATION_FINISH)

    def set_timeout(self, ms: int) -> None:
        """Set how long the game waits for an acknowledgement before it drops us."""
        self._command(Message.C_SET_TIMEOUT, ms)

    def set_period(self, ms: int) -> None:
        """Report a run step only where the race time is a multiple of ``ms``; outlives the session."""
        self._command(Message.C_SET_ON_STEP_PERIOD, ms)

    def request_frame(self, width: int, height: int) -> None:
        """Ask for the next picture the game draws; a request inside of a picture's message would be lost."""
        wire = self._inside()
        if wire.inside is Message.SC_REQUESTED_FRAME_SYNC:
            raise ProtocolError("a picture asked for inside of a picture's message is lost: ask in the next run step.")
        self._command(Message.C_REQUEST_FRAME, width, height)
        wire.sizes.append((width, height))

    def unrequest_frame(self) -> None:
        """Take back a request."""
        self._command(Message.C_UNREQUEST_FRAME)
        self._inside().sizes.clear()

    def show_interface(self, *, is_shown: bool) -> None:
        """Show or hide the race HUD; the game shows it again with every map."""
        self._command(Message.C_TOGGLE_INTERFACE, is_shown)

    # Of our dialect

    def set_inputs(self, *, keys: int, steer: int = 0, gas: int = 0, mask: int = protocol.MASK_KEYS) -> None:
        """Set keys and axes (``KEY_BITS``, + = right, + = backwards as in scripts); only fields in ``mask`` count."""
        self._ours(Feature.ANALOG_INPUT, Message.C_SET_INPUT_EX, mask, keys, steer, gas)

    def play_inputs(self, commands: Sequence[Command]) -> None:
        """Hand over all inputs of a run; the plugin sets each in the callback of its script time."""
        events = b"".join(
            protocol.INPUT_EVENT.pack(time_ms, control, -value if control is Control.GAS else value)
            for time_ms, control, value in commands
        )
        self._ours(Feature.PLAY_INPUTS, Message.C_PLAY_INPUTS, len(commands), blob=events)

    def capture(self, width: int, height: int, entries: Iterable[tuple[int, protocol.Wants]]) -> None:
        """Ask for samples of exact ticks; until the last one no other run step is reported.

        Args:
            width: of the pictures.
            height: of the pictures.
            entries: race times in ascending order, from the current one on, and what each shall bring.
        """
        plan = [protocol.PLAN_ENTRY.pack(time_ms, wants) for time_ms, wants in entries]
        self._ours(Feature.CAPTURE_PLAN, Message.C_CAPTURE_PLAN, width, height, 0, len(plan), blob=b"".join(plan))

    def request_sample(self, request: int, width: int, height: int, wants: protocol.Wants) -> None:
        """Ask for state and picture of the current tick: the plugin holds the tick until it was drawn."""
        self._ours(Feature.SAMPLE, Message.C_REQUEST_SAMPLE, request, width, height, wants)

    def heartbeat(self) -> None:
        """Tell that we are alive: the game's wait for our acknowledgement begins anew."""
        self._ours(Feature.HEARTBEAT, Message.C_HEARTBEAT)

    def set_watchdog(self, ms: int, speed: float = 1.0) -> None:
        """Have the plugin set ``speed`` by itself when we were silent for ``ms``; 0 switches that off."""
        self._ours(Feature.WATCHDOG, Message.C_WATCHDOG, ms, speed)

    def focus(self) -> None:
        """Bring the game's window to the front, so that it takes inputs."""
        self._ours(Feature.FOCUS, Message.C_FOCUS)

    def _ours(self, feature: Feature, message: Message, *values: int | float, blob: bytes | None = None) -> None:
        wire = self._inside()
        if not wire.plugin.has(feature):
            raise ProtocolError(
                f"the plugin on port {wire.port} does not offer {message.name}: install plugin/TrackmasterLink.as of "
                "this version, or do without."
            )
        self._command(message, *values, blob=blob)

    def _command(self, message: Message, *values: int | float, blob: bytes | None = None) -> None:
        self._inside().channel.write(encode(message, *values, blob=blob))

    def _ask_flag(self, message: Message) -> bool:
        wire = self._inside()
        self._command(message)
        answer = wire.channel.read_i32(wire.answer_s)
        if answer not in (0, 1):
            self.abort()
            raise ProtocolError(f"the game answered {answer} to {message.name}, expected 0 or 1. Connect anew.")
        return answer == 1

    def _ask_blob(self, message: Message) -> bytearray:
        wire = self._inside()
        self._command(message)
        return wire.channel.read_blob(wire.answer_s)

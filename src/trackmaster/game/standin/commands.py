"""Commands of the public plugin's protocol, one small function each.

Source: ``game_link.md`` 2 (payloads are always consumed, whether or not the command has an effect).
"""

from collections.abc import Callable
from typing import Final

from trackmaster.game.link.protocol import MAX_SIDE_PX, Message
from trackmaster.game.link.sim_state import SimStateData
from trackmaster.game.standin.game import Screen
from trackmaster.game.standin.session import Session
from trackmaster.game.state import GameError

Handler = Callable[[Session], None]


def set_speed(session: Session) -> None:
    """Set the game's speed."""
    (factor,) = session.fields(Message.C_SET_SPEED)
    session.game.speed = max(0.0, float(factor))


def rewind_to_state(session: Session) -> None:
    """Go back to a state; one that cannot be used is told on the console."""
    content = bytearray(session.blob())
    if session.race is None:
        return
    try:
        session.race.rewind(SimStateData(content))
    except GameError as error:
        session.game.log(f"rewind: {error}")


def rewind_to_current(session: Session) -> None:
    """Nothing is under way between two ticks here, so that the state stays what it is."""


def get_state(session: Session) -> None:
    """Send the state of the current tick; a blank one outside of a race."""
    race = session.race
    session.answer_blob(race.state.memory if race is not None else SimStateData.blank().memory)


def set_input(session: Session) -> None:
    """Set all four keys."""
    left, right, accelerate, brake = session.fields(Message.C_SET_INPUT_STATE)
    if session.race is not None:
        session.race.set_keys(left=bool(left), right=bool(right), accelerate=bool(accelerate), brake=bool(brake))


def give_up(session: Session) -> None:
    """Restart the race."""
    if session.race is not None:
        session.samples.clear()
        session.game.give_up()


def prevent_finish(session: Session) -> None:
    """Go on as if the finish had not been crossed."""
    if session.race is not None:
        session.race.prevent_finish()


def execute_line(session: Session) -> None:
    """Queue a console line; clients of ours get theirs run in order."""
    session.game.command(session.blob().decode("utf-8", "replace"), in_order=session.is_ours)


def set_timeout(session: Session) -> None:
    """Set how long a wait lasts; the present one included."""
    (ms,) = session.fields(Message.C_SET_TIMEOUT)
    session.timeout_s = ms / 1_000
    session.deadline_s = session.wait_began_s + session.timeout_s


def race_finished(session: Session) -> None:
    """Answer whether the race is over."""
    session.answer_flag(is_so=session.race is not None and session.race.is_finished)


def request_frame(session: Session) -> None:
    """Take the one slot for a picture."""
    width, height = session.fields(Message.C_REQUEST_FRAME)
    if not (0 < width <= MAX_SIDE_PX and 0 < height <= MAX_SIDE_PX):
        session.game.log(f"a picture of {width} x {height} cannot be drawn")
        return
    session.request = (width, height)


def unrequest_frame(session: Session) -> None:
    """Free the slot."""
    session.request = None


def set_period(session: Session) -> None:
    """Set which run steps are reported."""
    (ms,) = session.fields(Message.C_SET_ON_STEP_PERIOD)
    session.period_ms = max(1, ms)


def toggle_interface(session: Session) -> None:
    """Show or hide the HUD."""
    (is_shown,) = session.fields(Message.C_TOGGLE_INTERFACE)
    session.game.is_hud_shown = bool(is_shown)


def is_in_menus(session: Session) -> None:
    """Answer whether the menus are shown."""
    session.answer_flag(is_so=session.game.screen is Screen.MENUS)


def get_inputs(session: Session) -> None:
    """Send the inputs of the race as a script."""
    text = session.race.inputs_text() if session.race is not None else ""
    session.answer_blob(text.encode("utf-8"))


def reset_camera(session: Session) -> None:
    """The simulated camera needs no reset."""


PLAIN: Final[dict[Message, Handler]] = {
    Message.C_SET_SPEED: set_speed,
    Message.C_REWIND_TO_STATE: rewind_to_state,
    Message.C_REWIND_TO_CURRENT_STATE: rewind_to_current,
    Message.C_GET_SIMULATION_STATE: get_state,
    Message.C_SET_INPUT_STATE: set_input,
    Message.C_GIVE_UP: give_up,
    Message.C_PREVENT_SIMULATION_FINISH: prevent_finish,
    Message.C_EXECUTE_COMMAND: execute_line,
    Message.C_SET_TIMEOUT: set_timeout,
    Message.C_RACE_FINISHED: race_finished,
    Message.C_REQUEST_FRAME: request_frame,
    Message.C_RESET_CAMERA: reset_camera,
    Message.C_SET_ON_STEP_PERIOD: set_period,
    Message.C_UNREQUEST_FRAME: unrequest_frame,
    Message.C_TOGGLE_INTERFACE: toggle_interface,
    Message.C_IS_IN_MENUS: is_in_menus,
    Message.C_GET_INPUTS: get_inputs,
}

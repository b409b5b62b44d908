"""Commands of our own dialect, understood once a client has said hello.

Source: ``game_link.md`` 18; the ids and fields are those of ``link.protocol``.
"""

import struct
from typing import Final

from trackmaster.game.link import protocol
from trackmaster.game.link.protocol import INPUT_EVENT, KEY_BITS, LAYOUTS, PLAN_ENTRY, PLUGIN_VERSION, Message, Wants
from trackmaster.game.standin.commands import Handler
from trackmaster.game.standin.session import Sample, Session
from trackmaster.gbx import Command, Control

MAX_ENTRIES: Final = 1 << 20


def hello(session: Session, version: tuple[int, int] = protocol.VERSION) -> None:
    """Answer who we are; our dialect begins when the client has introduced itself, too."""
    head = struct.pack(f"<{LAYOUTS[Message.C_HELLO].answer}", protocol.MAGIC, *version, int(protocol.ALL_FEATURES))
    name = PLUGIN_VERSION.encode()
    session.answer(head + struct.pack("<i", len(name)) + name)


def hello_client(session: Session) -> None:
    """Speak our dialect from now on."""
    session.fields(Message.C_HELLO_CLIENT)
    session.is_ours = True


def set_input_ex(session: Session) -> None:
    """Set keys and axes that the mask names."""
    mask, keys, steer, gas = session.fields(Message.C_SET_INPUT_EX)
    if session.race is None:
        return
    if mask & protocol.MASK_KEYS:
        held = {control: bool(keys & bit) for control, bit in KEY_BITS.items()}
        session.race.set_keys(
            left=held[Control.LEFT],
            right=held[Control.RIGHT],
            accelerate=held[Control.ACCELERATE],
            brake=held[Control.BRAKE],
        )
    axes = [(Control.STEER, steer, protocol.MASK_STEER), (Control.GAS, -gas, protocol.MASK_GAS)]
    session.race.command([(control, value) for control, value, bit in axes if mask & bit])


def request_sample(session: Session) -> None:
    """Ask for the current tick."""
    request, width, height, wants = session.fields(Message.C_REQUEST_SAMPLE)
    session.samples.asked.append(Sample(request, Wants(wants), _size(width, height)))


def play_inputs(session: Session) -> None:
    """Take all inputs of a run."""
    (count,) = session.fields(Message.C_PLAY_INPUTS)
    content = session.blob(min(count, MAX_ENTRIES) * INPUT_EVENT.size)
    commands = [
        Command(time_ms, Control(control), -value if control == Control.GAS else value)
        for time_ms, control, value in INPUT_EVENT.iter_unpack(content)
        if control in Control._value2member_map_
    ]
    session.game.play(commands)
    session.plays = bool(commands)


def capture_plan(session: Session) -> None:
    """Take a plan of samples; the game waits for an acknowledgement of the last one only."""
    width, height, _, count = session.fields(Message.C_CAPTURE_PLAN)
    content = session.blob(min(count, MAX_ENTRIES) * PLAN_ENTRY.size)
    size = _size(width, height)
    entries = list(PLAN_ENTRY.iter_unpack(content))
    session.samples.replace_plan(
        (time_ms, Sample(index, Wants(wants), size, is_sync=index == len(entries) - 1))
        for index, (time_ms, wants) in enumerate(entries)
    )


def heartbeat(session: Session) -> None:
    """Begin the present wait anew."""
    session.deadline_s = session.heard_s + session.timeout_s


def set_watchdog(session: Session) -> None:
    """Set how long the client may be silent."""
    ms, speed = session.fields(Message.C_WATCHDOG)
    session.watchdog_s, session.watchdog_speed = ms / 1_000, float(speed)


def focus(session: Session) -> None:
    """Bring the window to the front."""
    session.game.focus()


def _size(width: int, height: int) -> tuple[int, int]:
    return min(max(width, 1), protocol.MAX_SIDE_PX), min(max(height, 1), protocol.MAX_SIDE_PX)


OURS: Final[dict[Message, Handler]] = {
    Message.C_HELLO: hello,
    Message.C_HELLO_CLIENT: hello_client,
    Message.C_SET_INPUT_EX: set_input_ex,
    Message.C_REQUEST_SAMPLE: request_sample,
    Message.C_PLAY_INPUTS: play_inputs,
    Message.C_CAPTURE_PLAN: capture_plan,
    Message.C_HEARTBEAT: heartbeat,
    Message.C_WATCHDOG: set_watchdog,
    Message.C_FOCUS: focus,
}

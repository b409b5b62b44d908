"""The messages between the game's plugin and this program: ids, sizes and answers, of both dialects, in one place.

A message is an ``i32`` id and fixed little-endian fields; strings and blobs are an ``i32`` byte length and bytes. There
is no framing, so whoever does not know a plain message cannot skip it. The plain dialect (ids up to 23) is the
public plugin's. Ours adds ids from 100 on; each of them except ``C_HELLO`` has an ``i32`` length behind its id, so that
an unknown one can be skipped. Both sides may speak it only after ``C_HELLO`` was answered with ``MAGIC``.

Source: ``game_link.md`` 2, 3 and 18.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Final

from trackmaster.game.state import GameError
from trackmaster.gbx import Control


class Message(IntEnum):
    """Every message by its id; ``SC`` goes from the game to this program, ``C`` the other way."""

    SC_RUN_STEP_SYNC = 1
    SC_CHECKPOINT_COUNT_CHANGED_SYNC = 2
    SC_LAP_COUNT_CHANGED_SYNC = 3
    SC_REQUESTED_FRAME_SYNC = 4
    SC_ON_CONNECT_SYNC = 5
    C_SET_SPEED = 6
    C_REWIND_TO_STATE = 7
    C_REWIND_TO_CURRENT_STATE = 8
    C_GET_SIMULATION_STATE = 9
    C_SET_INPUT_STATE = 10
    C_GIVE_UP = 11
    C_PREVENT_SIMULATION_FINISH = 12
    C_SHUTDOWN = 13
    C_EXECUTE_COMMAND = 14
    C_SET_TIMEOUT = 15
    C_RACE_FINISHED = 16
    C_REQUEST_FRAME = 17
    C_RESET_CAMERA = 18
    C_SET_ON_STEP_PERIOD = 19
    C_UNREQUEST_FRAME = 20
    C_TOGGLE_INTERFACE = 21
    C_IS_IN_MENUS = 22
    C_GET_INPUTS = 23

    C_HELLO = 100
    C_HELLO_CLIENT = 101
    C_SET_INPUT_EX = 102
    SC_SAMPLE = 103
    C_REQUEST_SAMPLE = 104
    C_PLAY_INPUTS = 105
    C_CAPTURE_PLAN = 106
    C_HEARTBEAT = 108
    C_WATCHDOG = 110
    SC_ERROR = 113
    C_FOCUS = 114

    @property
    def is_ours(self) -> bool:
        """Whether the public plugin does not know it."""
        return self >= FIRST_OF_OURS


FIRST_OF_OURS: Final = 100
MAGIC: Final = 0x31584D54
"""``TMX1``: the first four bytes of the answer to ``C_HELLO``."""
VERSION: Final = (1, 0)
"""Major and minor number of our dialect; another major number is refused."""

PLUGIN_VERSION: Final = "1.0.0"
"""Of ``plugin/TrackmasterLink.as``."""

BYTES_PER_PIXEL: Final = 4
FORMAT_BGRA: Final = 1
MAX_BLOB_BYTES: Final = 1 << 20
"""Longest state, text or list that is read; a longer one is garbage."""
MAX_SIDE_PX: Final = 4_096


class Feature(IntFlag):
    """What a plugin of ours offers (in its answer to ``C_HELLO``)."""

    ANALOG_INPUT = 1
    SAMPLE = 2
    PLAY_INPUTS = 4
    CAPTURE_PLAN = 8
    HEARTBEAT = 16
    WATCHDOG = 32
    FOCUS = 64


ALL_FEATURES: Final = Feature(127)


class SampleFlag(IntFlag):
    """How a sample was sent."""

    SYNC = 1
    """The game waits for an acknowledgement, as after every other message of its."""


class Wants(IntFlag):
    """What a sample brings besides its times."""

    STATE = 1
    PICTURE = 2


@dataclass(frozen=True, slots=True)
class Layout:
    """Fields behind a message id."""

    fields: str = ""
    """Of the fixed payload, as ``struct`` codes without the byte order."""
    blob: bool = False
    """An ``i32`` byte length and bytes follow the fixed fields (plain dialect only)."""
    answer: str = ""
    """Of the fixed answer."""
    answer_blob: bool = False
    """The answer is an ``i32`` byte length and bytes."""

    @property
    def size(self) -> int:
        """Bytes of the fixed payload."""
        return struct.calcsize(f"<{self.fields}")

    @property
    def answer_size(self) -> int:
        """Bytes of the fixed answer."""
        return struct.calcsize(f"<{self.answer}")


LAYOUTS: Final[dict[Message, Layout]] = {
    Message.SC_RUN_STEP_SYNC: Layout("i"),
    Message.SC_CHECKPOINT_COUNT_CHANGED_SYNC: Layout("ii"),
    Message.SC_LAP_COUNT_CHANGED_SYNC: Layout("ii"),
    Message.SC_REQUESTED_FRAME_SYNC: Layout(),
    Message.SC_ON_CONNECT_SYNC: Layout(),
    Message.C_SET_SPEED: Layout("f"),
    Message.C_REWIND_TO_STATE: Layout(blob=True),
    Message.C_REWIND_TO_CURRENT_STATE: Layout(),
    Message.C_GET_SIMULATION_STATE: Layout(answer_blob=True),
    Message.C_SET_INPUT_STATE: Layout("BBBB"),
    Message.C_GIVE_UP: Layout(),
    Message.C_PREVENT_SIMULATION_FINISH: Layout(),
    Message.C_SHUTDOWN: Layout(),
    Message.C_EXECUTE_COMMAND: Layout(blob=True),
    Message.C_SET_TIMEOUT: Layout("I"),
    Message.C_RACE_FINISHED: Layout(answer="i"),
    Message.C_REQUEST_FRAME: Layout("ii"),
    Message.C_RESET_CAMERA: Layout(),
    Message.C_SET_ON_STEP_PERIOD: Layout("i"),
    Message.C_UNREQUEST_FRAME: Layout(),
    Message.C_TOGGLE_INTERFACE: Layout("i"),
    Message.C_IS_IN_MENUS: Layout(answer="i"),
    Message.C_GET_INPUTS: Layout(answer_blob=True),
    # Ours: fixed fields only; variable parts follow inside of the announced length.
    Message.C_HELLO: Layout(answer="IHHI"),  # then the plugin's version as i32 length and text
    Message.C_HELLO_CLIENT: Layout("HHI"),
    Message.C_SET_INPUT_EX: Layout("BBii"),
    Message.SC_SAMPLE: Layout("IiiIiiIII"),
    Message.C_REQUEST_SAMPLE: Layout("IiiI"),
    Message.C_PLAY_INPUTS: Layout("I"),
    Message.C_CAPTURE_PLAN: Layout("iiII"),
    Message.C_HEARTBEAT: Layout(),
    Message.C_WATCHDOG: Layout("If"),
    Message.SC_ERROR: Layout("i"),
    Message.C_FOCUS: Layout(),
}
"""Payload and answer of every message."""

DEFAULT_PERIOD_MS: Final = 10
"""Run steps are reported every 10 ms until a client asks for another period."""
DEFAULT_TIMEOUT_MS: Final = 2_000
"""How long the plugin waits for an acknowledgement after a connection was made."""

INPUT_EVENT: Final = struct.Struct("<iBi")
"""One event of ``C_PLAY_INPUTS``: script time, ``Control``, value (script signs: gas + = backwards)."""
PLAN_ENTRY: Final = struct.Struct("<iI")
"""One entry of ``C_CAPTURE_PLAN``: race time, ``Wants``."""

SAMPLE_FIELDS: Final = (
    "request", "width", "height", "format", "race_time_ms", "tick_time_ms", "flags", "state_bytes", "picture_bytes"
)  # fmt: skip
"""Names of the fixed fields of ``SC_SAMPLE``; the state blob and the BGRA picture follow."""

MASK_KEYS, MASK_STEER, MASK_GAS = 1, 2, 4
"""Bits of ``C_SET_INPUT_EX``: which of its fields count."""
KEY_BITS: Final = {Control.ACCELERATE: 1, Control.BRAKE: 2, Control.LEFT: 4, Control.RIGHT: 8}


class ProtocolError(GameError):
    """What came over the wire is not what the protocol allows here."""


def encode(message: Message, *values: int | float, blob: bytes | memoryview | None = None) -> bytes:
    """Return a message as bytes.

    Args:
        message: which.
        values: its fixed fields.
        blob: bytes of a string or blob (plain dialect), or what follows the fixed fields (ours).

    Raises:
        ValueError: the fields are not those of the message.
    """
    layout = LAYOUTS[message]
    try:
        fixed = struct.pack(f"<{layout.fields}", *values)
    except struct.error as error:
        raise ValueError(f"{message.name} has the fields '{layout.fields}', got {values} ({error})") from None
    tail = b"" if blob is None else bytes(blob)
    if message is Message.C_HELLO:
        return struct.pack("<i", message)
    if message.is_ours:
        return struct.pack("<ii", message, len(fixed) + len(tail)) + fixed + tail
    if layout.blob:
        return struct.pack("<i", message) + fixed + struct.pack("<i", len(tail)) + tail
    return struct.pack("<i", message) + fixed


def encode_text(message: Message, text: str) -> bytes:
    """Return a message that carries a text; its length counts bytes of UTF-8, not letters."""
    return encode(message, blob=text.encode("utf-8"))

"""Messages of the game as values, and how they are read from the wire.

Source: ``game_link.md`` 2 and 18.
"""

import struct
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trackmaster.game.link import protocol
from trackmaster.game.link.channel import Channel
from trackmaster.game.link.errors import LinkError
from trackmaster.game.link.protocol import LAYOUTS, Feature, Message, ProtocolError
from trackmaster.game.link.sim_state import SimStateData

NO_FEATURES: Final = Feature(0)


@dataclass(frozen=True, slots=True)
class Plugin:
    """What answers on the other side."""

    features: Feature = NO_FEATURES
    version: str = ""
    """Empty for the public plugin, which does not say."""

    @property
    def is_ours(self) -> bool:
        """Whether it speaks our dialect."""
        return bool(self.version)

    def has(self, feature: Feature) -> bool:
        """Whether it offers ``feature``."""
        return feature in self.features


@dataclass(frozen=True, slots=True)
class Event:
    """One message of the game; the game waits until it is acknowledged if ``is_sync``."""

    message: Message
    time_ms: int = 0
    """Race time of a run step or sample, as the game shows it: it stands still after the finish."""
    tick_time_ms: int = 0
    """Callback time of a sample, running on after the finish."""
    current: int = 0
    """Gates passed, of a checkpoint or lap message."""
    target: int = 0
    """Gates asked for; equal to ``current`` at the finish."""
    picture: NDArray[np.uint8] | None = None
    """(H, W, 4) BGRA, rows top to bottom."""
    state: SimStateData | None = None
    """State of a sample, at the very tick of its picture; that of a finish where somebody fetched it."""
    request: int = 0
    """Number of the request that a sample answers."""
    is_sync: bool = True

    @property
    def is_run_step(self) -> bool:
        """Whether it reports a tick."""
        return self.message is Message.SC_RUN_STEP_SYNC

    @property
    def is_finish(self) -> bool:
        """Whether it reports the last gate of the race."""
        return self.message is Message.SC_CHECKPOINT_COUNT_CHANGED_SYNC and self.current == self.target


@dataclass(slots=True)
class Wire:
    """State of one session."""

    channel: Channel
    port: int
    answer_s: float
    """Patience for the rest of a message that has begun."""
    plugin: Plugin = field(default_factory=Plugin)
    inside: Message | None = None
    has_lines: bool = False
    """Console lines were said inside of the present message; the game runs them after it, the last one first."""
    sizes: list[tuple[int, int]] = field(default_factory=list)
    """Sizes of the pictures that were asked for and did not come yet (the plain dialect does not repeat them)."""


def read_event(wire: Wire, number: int) -> Event:
    """Return the message whose id was just read.

    Raises:
        ProtocolError: it is none, or its numbers do not fit together.
        LinkError: the plugin refused with a reason.
        SilentGameError: the rest did not come.
    """
    if number == Message.SC_RUN_STEP_SYNC:
        return Event(Message.SC_RUN_STEP_SYNC, time_ms=wire.channel.read_i32(wire.answer_s))
    if number in (Message.SC_CHECKPOINT_COUNT_CHANGED_SYNC, Message.SC_LAP_COUNT_CHANGED_SYNC):
        current, target = struct.unpack("<ii", wire.channel.read(8, wire.answer_s))
        return Event(Message(number), current=current, target=target)
    if number == Message.SC_REQUESTED_FRAME_SYNC:
        return _read_frame(wire)
    if number == Message.SC_SAMPLE and wire.plugin.is_ours:
        return _read_sample(wire)
    if number == Message.SC_ERROR and wire.plugin.is_ours:
        raise read_error(wire)
    raise ProtocolError(
        f"the game on port {wire.port} sent {number} where a message was expected: the two sides do not speak the "
        "same protocol any more. Connect anew; if it happens again, compare the plugin's version."
    )


def _read_frame(wire: Wire) -> Event:
    if not wire.sizes:
        raise ProtocolError(
            "the game sent a picture that nobody asked for, of a size that nobody knows (a client before us may "
            "have asked for it). Connect anew."
        )
    width, height = wire.sizes.pop()
    wire.sizes.clear()  # one slot: an earlier request was replaced
    picture = np.empty((height, width, protocol.BYTES_PER_PIXEL), np.uint8)
    wire.channel.read_into(picture.data.cast("B"), wire.answer_s)
    return Event(Message.SC_REQUESTED_FRAME_SYNC, picture=picture)


def _read_sample(wire: Wire) -> Event:
    layout = LAYOUTS[Message.SC_SAMPLE]
    length = wire.channel.read_i32(wire.answer_s)
    values = struct.unpack(f"<{layout.fields}", wire.channel.read(layout.size, wire.answer_s))
    head = dict(zip(protocol.SAMPLE_FIELDS, values, strict=True))
    width, height = head["width"], head["height"]
    pixels = width * height * protocol.BYTES_PER_PIXEL
    is_sound = (
        0 <= width <= protocol.MAX_SIDE_PX
        and 0 <= height <= protocol.MAX_SIDE_PX
        and head["picture_bytes"] == pixels
        and head["state_bytes"] <= protocol.MAX_BLOB_BYTES
        and length == layout.size + head["state_bytes"] + pixels
    )
    if not is_sound:
        raise ProtocolError(
            f"the game sent a picture of {width} x {height} in {head['picture_bytes']} bytes and a state of "
            f"{head['state_bytes']} bytes in a message of {length}: these numbers do not fit together. Connect anew."
        )
    state = None
    if head["state_bytes"]:
        state = SimStateData(wire.channel.read(head["state_bytes"], wire.answer_s))
    picture = None
    if pixels:
        picture = np.empty((height, width, protocol.BYTES_PER_PIXEL), np.uint8)
        wire.channel.read_into(picture.data.cast("B"), wire.answer_s)
    return Event(
        Message.SC_SAMPLE,
        time_ms=head["race_time_ms"],
        tick_time_ms=head["tick_time_ms"],
        picture=picture,
        state=state,
        request=head["request"],
        is_sync=bool(head["flags"] & protocol.SampleFlag.SYNC),
    )


def read_error(wire: Wire) -> LinkError:
    """Return what the plugin refused."""
    wire.channel.read_i32(wire.answer_s)  # the length, again in front of the text
    code = wire.channel.read_i32(wire.answer_s)
    text = wire.channel.read_blob(wire.answer_s).decode("utf-8", "replace")
    return LinkError(f"the plugin on port {wire.port} refused: {text} (code {code}).")

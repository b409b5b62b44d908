"""The wire format: byte vectors of the reference, sizes, and lengths in bytes."""

import struct

import pytest

from trackmaster.game.link import protocol
from trackmaster.game.link.protocol import LAYOUTS, Message, encode, encode_text


def words(text: str) -> bytes:
    return bytes.fromhex(text)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (encode(Message.C_SET_SPEED, 1.0), "06000000 0000803f"),
        (encode(Message.C_SET_SPEED, 80.0), "06000000 0000a042"),
        (encode(Message.C_SET_ON_STEP_PERIOD, 50), "13000000 32000000"),
        (encode(Message.C_IS_IN_MENUS), "16000000"),
        (encode(Message.C_SET_TIMEOUT, 10_100), "0f000000 74270000"),
        (encode(Message.C_GET_SIMULATION_STATE), "09000000"),
        (encode(Message.C_REWIND_TO_CURRENT_STATE), "08000000"),
        (encode(Message.C_REQUEST_FRAME, 64, 64), "11000000 40000000 40000000"),
        (encode(Message.C_SET_INPUT_STATE, 1, 0, 1, 0), "0a000000 01000100"),
        (encode(Message.C_REWIND_TO_STATE, blob=b"\1\2\3"), "07000000 03000000 010203"),
        (
            encode_text(Message.C_EXECUTE_COMMAND, "set countdown_speed 80"),
            "0e000000 16000000 73657420636f756e74646f776e5f7370656564203830",
        ),
        (encode(Message.C_HELLO), "64000000"),
        (encode(Message.C_HEARTBEAT), "6c000000 00000000"),
    ],
)
def test_messages_are_the_bytes_of_the_reference(message: bytes, expected: str) -> None:
    assert message == words(expected)


def test_lengths_count_bytes_and_not_letters() -> None:
    line = 'map "Café.Challenge.Gbx"'
    message = encode_text(Message.C_EXECUTE_COMMAND, line)
    assert len(line) == 24
    assert message[4:8] == words("19000000")
    assert len(message) == 8 + 25


def test_every_message_has_a_layout_and_ours_cannot_be_taken_for_plain_ones() -> None:
    assert set(LAYOUTS) == set(Message)
    assert [m for m in Message if m < protocol.FIRST_OF_OURS] == list(range(1, 24))
    for message in Message:
        assert message.is_ours == (message >= 100)
        assert not (message.is_ours and LAYOUTS[message].blob), "the length in front covers everything"


def test_messages_of_ours_say_how_long_they_are() -> None:
    for message in (m for m in Message if m.is_ours and m is not Message.C_HELLO):
        fields = struct.unpack(f"<{LAYOUTS[message].fields}", bytes(LAYOUTS[message].size))
        content = encode(message, *fields, blob=b"xyz")
        assert struct.unpack_from("<ii", content) == (message, len(content) - 8)


def test_wrong_fields_are_an_error_of_the_program() -> None:
    with pytest.raises(ValueError, match="C_SET_SPEED has the fields 'f'"):
        encode(Message.C_SET_SPEED)
    with pytest.raises(ValueError, match="C_SET_INPUT_STATE"):
        encode(Message.C_SET_INPUT_STATE, 300, 0, 0, 0)


def test_magic_spells_its_name() -> None:
    assert protocol.MAGIC.to_bytes(4, "little") == b"TMX1"

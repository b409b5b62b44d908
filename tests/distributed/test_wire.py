"""The network's frames: golden bytes, round trips, every limit, and frames that somebody has tampered with."""

import random
import tracemalloc
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.distributed.wire_samples import CHUNK, SAMPLES, SESSION, mutate, same

from trackmaster.distributed.wire import framing
from trackmaster.distributed.wire.framing import WireError
from trackmaster.distributed.wire.messages import Ack, decode, encode, wire_session
from trackmaster.rl.samples.chunk import Chunk

GOLDEN = dict(line.split(" ") for line in (Path(__file__).parent / "golden_frames.txt").read_text("ascii").splitlines())
FUZZ_CASES = 25_000
MEMORY_PER_FRAME_BYTES = 2**20
"""What decoding a tampered frame of a few hundred bytes may hold at most."""


@pytest.mark.parametrize("name", SAMPLES)
def test_every_message_has_the_bytes_of_version_1(name: str) -> None:
    assert encode(SAMPLES[name]).hex() == GOLDEN[name], "other releases could not read this any more"
    assert same(decode(bytes.fromhex(GOLDEN[name])), SAMPLES[name])


def test_the_golden_file_holds_every_message_and_nothing_else() -> None:
    assert GOLDEN.keys() == SAMPLES.keys()


def column(dtype: str, shape: list[int], seed: int) -> Any:
    """An array of any numbers that the dtype has, except those that are not finite."""
    numbers = np.random.default_rng(seed).integers(0, 256, (2, *shape))
    return numbers.astype(dtype) if dtype != "|b1" else numbers > 127


COLUMNS = st.builds(
    column, st.sampled_from(sorted(framing.ITEM_BYTES)), st.lists(st.integers(0, 3), max_size=4), st.integers(0, 99)
)


@settings(deadline=None, max_examples=150)
@given(
    columns=st.dictionaries(st.text(max_size=8), COLUMNS, min_size=1, max_size=5),
    stats=st.dictionaries(st.text(max_size=8), st.floats(allow_nan=False, allow_infinity=False), max_size=4),
    seq=st.integers(0, 2**63 - 1), track=st.text(max_size=60), flag=st.booleans(),
)  # fmt: skip
def test_chunks_of_any_columns_round_trip(
    columns: dict[str, Any], stats: dict[str, float], seq: int, track: str, flag: bool
) -> None:
    chunk = Chunk(
        SESSION.hex(), seq, 1, 2, 3, 1, 4, columns, end_of_episode=flag, fill_buffer=flag, stats=stats, track=track
    )
    frame = encode(chunk)
    decoded = decode(frame)
    assert same(decoded, chunk)
    assert encode(decoded) == frame


def test_columns_that_are_not_contiguous_travel_in_c_order() -> None:
    column = np.arange(24, dtype=np.float32).reshape(2, 3, 4).transpose(0, 2, 1)
    decoded = decode(encode(Chunk("s", 0, 0, 0, 0, 0, 0, {"x": column}, end_of_episode=False)))
    assert isinstance(decoded, Chunk)
    np.testing.assert_array_equal(decoded.columns["x"], column)


def test_sessions_are_taken_as_they_are_or_by_their_hash() -> None:
    assert wire_session(SESSION.hex()) == SESSION
    names = ["", "s0", "s1", "g" * 32, "é"]
    assert len({wire_session(name) for name in names}) == len(names)
    assert {len(wire_session(name)) for name in names} == {16}


def parts(name: str) -> dict[str, Any]:
    """The map of a golden frame, to be changed."""
    found: dict[str, Any] = msgpack.unpackb(bytes.fromhex(GOLDEN[name]))
    return found


def refused(fields: object, because: str) -> None:
    with pytest.raises(WireError, match=because):
        decode(msgpack.packb(fields))


def with_array(**changes: Any) -> dict[str, Any]:
    chunk = parts("chunk")
    chunk["columns"]["floats"] |= changes
    return chunk


@pytest.mark.parametrize(("changes", "because"), [
    ({"d": "|O"}, "dtype"), ({"d": ">f4"}, "dtype"), ({"d": "<c8"}, "dtype"), ({"d": "<U4"}, "dtype"),
    ({"d": "<M8[s]"}, "dtype"), ({"d": [("a", "<f4")]}, "dtype"), ({"d": 1}, "dtype"), ({"d": None}, "dtype"),
    ({"s": [2, -2]}, "shape"), ({"s": [2.0, 2]}, "shape"), ({"s": [True, 4]}, "shape"), ({"s": "22"}, "shape"),
    ({"s": [1, 1, 1, 2, 2, 1]}, "shape"), ({"s": [2**40, 2**40]}, "more than a message"),
    ({"s": [0, 2**62]}, "more than a message"), ({"s": [2**63, 2]}, "more than a message"), ({"s": [2, 3]}, "24 bytes"),
    ({"s": [4]}, "expected 2 rows"), ({"s": []}, "4 bytes"), ({"b": b""}, "found 0"), ({"b": "x" * 16}, "found str"),
    ({"b": bytes(15)}, "found 15"), ({"b": [0] * 16}, "found list"), ({"x": 1}, "map d, s, b"),
    ({"b": np.array([1, np.nan, 0, 0], "<f4").tobytes()}, "not finite"),
    ({"b": np.array([np.inf, 0, 0, 0], "<f4").tobytes()}, "not finite"),
])  # fmt: skip
def test_arrays_that_lie_are_refused(changes: dict[str, Any], because: str) -> None:
    refused(with_array(**changes), because)


def test_booleans_are_bytes_zero_or_one() -> None:
    chunk = parts("chunk")
    chunk["columns"]["terminated"]["b"] = b"\0\2"
    refused(chunk, "neither 0 nor 1")


@pytest.mark.parametrize(("field", "value", "because"), [
    ("session", b"short", "5 bytes"), ("session", SESSION.hex(), "expected 16"), ("seq", -1, "whole number"),
    ("seq", 2**63, "whole number"), ("seq", True, "whole number"), ("seq", 1.0, "whole number"),
    ("worker_id", 70_000, "65535"), ("n", 251, "250"), ("n", 0, "rows"), ("context", 65, "64"),
    ("end_of_episode", 1, "true or false"), ("track", b"lane", "text"), ("stats", [1], "names"),
    ("stats", {"return": float("nan")}, "finite"), ("stats", {"return": "1"}, "finite"), ("stats", {b"x": 1}, "names"),
    ("stats", {"return": True}, "finite"), ("columns", {}, "0 columns"), ("columns", [], "names"),
    ("columns", {"a": {}}, "map d, s, b"), ("act_history", None, "map d, s, b"),
    ("act_history", {"d": "<f8", "s": [1, 1], "b": bytes(8)}, "float32"),
    ("act_history", {"d": "<f4", "s": [65, 1], "b": bytes(260)}, "float32"),
    ("track", "x" * 257, "no msgpack"), ("columns", {str(i): 1 for i in range(65)}, "no msgpack"),
])  # fmt: skip
def test_fields_of_a_chunk_keep_their_ranges(field: str, value: Any, because: str) -> None:
    refused(parts("chunk") | {field: value}, because)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_message_has_exactly_its_fields(name: str) -> None:
    whole = parts(name)
    for field in whole.keys() - {"v", "t"}:
        refused({k: v for k, v in whole.items() if k != field}, f"lacks {field}")
    refused(whole | {"more": 1}, "more too much")
    refused(whole | {b"more": 1}, "more")


def test_the_first_keys_are_version_and_type() -> None:
    ack = parts("ack")
    refused({"t": "ack", "v": 1, "session": SESSION, "seq": 1}, "begins with")
    refused(ack | {"v": 2}, "version 2.*install the same release")
    refused(ack | {"v": True}, "version True")
    refused(ack | {"t": "launch"}, "unknown type")
    refused(ack | {"t": ["ack"]}, "unknown type")
    for other in ([], 1, None, b"", "ack", [ack]):
        refused(other, "map that begins")


def test_what_msgpack_could_also_say_is_refused() -> None:
    ack, want = bytes.fromhex(GOLDEN["ack"]), bytes.fromhex(GOLDEN["want_weights"])
    timestamp = msgpack.packb({"v": 1, "t": "want_weights", "have": msgpack.Timestamp(5, 0)})
    extension = msgpack.packb({"v": 1, "t": "want_weights", "have": msgpack.ExtType(5, b"x")})
    empty_extension = want[:-1] + b"\xc7\x00\x05"
    for frame in (b"", ack[:-1], ack + b"\0", timestamp, extension, empty_extension, b"\xc1", b"\x81\x90\x01"):
        with pytest.raises(WireError):
            decode(frame)


def test_keys_that_stand_twice_are_refused() -> None:
    ack = bytes.fromhex(GOLDEN["ack"])
    with pytest.raises(WireError, match="stands twice"):
        decode(b"\x85" + ack[1:] + msgpack.packb("seq") + b"\x09")


def lists_in_lists(depth: int) -> bytes:
    return b"\x9f" + lists_in_lists(depth - 1) * 15 if depth else b"\x90"


BEGIN = b"\x83\xa1v\x01\xa1t\xa3ack\xa1x"


@pytest.mark.parametrize("frame", [
    BEGIN + b"\x91" * 5_000_000, BEGIN + lists_in_lists(5), BEGIN + b"\xdd\xff\xff\xff\xff" + b"\x90" * 1000,
    BEGIN + b"\xdf\xff\xff\xff\xff", BEGIN + b"\xc6\xff\xff\xff\xff", BEGIN + b"\xdb\xff\xff\xff\xff",
    b"\xdf\x7f\xff\xff\xff",
], ids=["deep", "wide", "huge list", "huge map", "huge bytes", "huge text", "huge top"])  # fmt: skip
def test_frames_that_announce_or_nest_much_cost_little_memory(frame: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(WireError):
            decode(frame)
        assert tracemalloc.get_traced_memory()[1] < MEMORY_PER_FRAME_BYTES
    finally:
        tracemalloc.stop()


def test_frames_above_the_limit_are_neither_made_nor_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(framing, "MAX_FRAME_BYTES", 300)
    with pytest.raises(WireError, match=r"limit is 300.*fewer rows"):
        encode(CHUNK)
    with pytest.raises(WireError, match="limit is 300"):
        decode(bytes.fromhex(GOLDEN["chunk"]))


@pytest.mark.parametrize(("chunk", "because"), [
    ({"x": np.zeros((252, 1))}, "chunk_rows"), ({"x": np.zeros(2, "O")}, "travel"),
    ({"x": np.zeros(2, ">f4")}, "travel"),
    ({str(i): np.zeros(2) for i in range(65)}, "65 columns"), ({"x": np.zeros((2, 1, 1, 1, 1, 1))}, "axes"),
])  # fmt: skip
def test_what_the_other_side_would_refuse_is_not_sent(chunk: dict[str, Any], because: str) -> None:
    with pytest.raises(WireError, match=because):
        encode(Chunk("s", 0, 0, 0, 0, 1, 0, chunk, end_of_episode=False))


def test_long_sentences_are_cut_and_still_text() -> None:
    decoded = decode(encode(SAMPLES["error"].__class__("code", "é" * 400)))  # type: ignore[call-arg]
    assert decoded == SAMPLES["error"].__class__("code", "é" * 128)  # type: ignore[call-arg]


def test_tampered_frames_end_in_a_message_or_in_our_error() -> None:
    rng = random.Random(7)
    frames = [bytes.fromhex(text) for text in GOLDEN.values()]
    accepted = 0
    for case in range(FUZZ_CASES):
        frame = mutate(frames[case % len(frames)], rng, frames) if case % 10 else rng.randbytes(rng.randrange(200))
        try:
            message = decode(frame)
        except WireError:
            continue
        accepted += 1
        again = decode(encode(message))  # whatever is taken can be sent on, and means the same there
        assert same(again, message)
    assert 100 < accepted < FUZZ_CASES / 2, "flips inside of values are taken, flips of the structure are not"


WHOLE_NUMBERS = st.integers(-(2**63), 2**64 - 1)
SCALARS = st.none() | st.booleans() | WHOLE_NUMBERS | st.floats() | st.text(max_size=9) | st.binary(max_size=9)
KEYS = st.text(max_size=3) | st.binary(max_size=3)


@settings(deadline=None, max_examples=150)
@given(
    junk=st.recursive(
        SCALARS, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=12
    )
)
def test_any_msgpack_value_in_any_place_is_refused_or_understood(junk: object) -> None:
    for name in ("chunk", "hello", "stat"):
        for field in parts(name):
            try:
                message = decode(msgpack.packb(parts(name) | {field: junk}))
            except WireError:
                continue
            assert same(decode(encode(message)), message)


def test_decoded_arrays_cannot_be_written_to() -> None:
    decoded = decode(encode(CHUNK))
    assert isinstance(decoded, Chunk)
    with pytest.raises(ValueError, match="read-only"):
        decoded.columns["floats"][:] = 0


def test_acks_hold_the_largest_numbers() -> None:
    assert decode(encode(Ack(SESSION, 2**63 - 1))) == Ack(SESSION, 2**63 - 1)

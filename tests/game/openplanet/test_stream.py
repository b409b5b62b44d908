"""Records: layouts, framing, and the check of what was declared."""

import contextlib
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trackmaster.game.link.errors import LinkError
from trackmaster.game.openplanet.layouts import LAYOUTS, RECORD_TAG, encode_header, layout_named
from trackmaster.game.openplanet.stream import CHECKED_RECORDS, StreamParser

TMRL = LAYOUTS["tmrl"]
OURS = LAYOUTS["trackmaster"]


def tmrl_record(**values: float) -> bytes:
    floats = np.zeros(11, dtype="<f4")
    for name, value in {"speed": 50.0, "position": 3.0, "gear": 2.0, "rpm": 5_000.0, **values}.items():
        floats[TMRL.columns[name]] = value
    return floats.tobytes()


def test_a_record_of_tmrl_is_44_bytes_and_its_speed_metres_per_second() -> None:
    assert TMRL.record_bytes == len(tmrl_record()) == 44
    record = TMRL.parse(np.arange(11, dtype="<f4").tobytes())
    assert record.speed_kmph == 0
    assert record.position_m.tolist() == [2, 3, 4]
    assert (record.distance_m, record.steer, record.gas, record.is_braking, record.is_finished) == (1, 5, 6, True, True)
    assert (record.gear, record.rpm) == (9, 10)
    assert (record.race_time_ms, record.forward, record.map_uid) == (None, None, "")
    assert TMRL.parse(tmrl_record(speed=100.0)).speed_kmph == pytest.approx(360)


@given(cuts=st.lists(st.integers(1, 200), max_size=30), n=st.integers(1, 12))
def test_the_newest_whole_record_counts_however_the_bytes_come(cuts: list[int], n: int) -> None:
    stream = b"".join(tmrl_record(rpm=float(i)) for i in range(n))
    parser, at, seen = StreamParser(TMRL), 0, []
    for cut in [*cuts, len(stream)]:
        record = parser.feed(stream[at : at + cut])
        at += cut
        if record is not None:
            assert record.rpm == parser.count - 1
            seen.append(record.rpm)
    assert seen == sorted(seen)
    assert parser.count == n
    assert seen[-1] == n - 1


def test_our_own_stream_names_map_and_length() -> None:
    parser = StreamParser(OURS)
    floats = np.zeros(33, dtype="<f4")
    floats[[3, 4, 5, 6, 10, 16]] = [1_234, 7, 8, 9, 1, 20]
    body = RECORD_TAG + floats.tobytes()
    assert len(body) == OURS.record_bytes == 136
    record = parser.feed(encode_header(136, "MapOne") + body)
    assert record is not None
    assert (record.map_uid, record.race_time_ms, record.speed_kmph) == ("MapOne", 1_234, 72)
    assert record.position_m.tolist() == [7, 8, 9]
    assert record.forward.tolist() == [1, 0, 0]
    record = parser.feed(encode_header(136, "MapTwo") + body)
    assert record is not None
    assert record.map_uid == "MapTwo"


@pytest.mark.parametrize(
    ("stream", "says"),
    [
        (tmrl_record() * 3, "another plugin listens"),
        (encode_header(140, "x"), "records of 140 bytes, expected version 1 with 136"),
        (b"TMOP\x07\x00".ljust(64, b"\0"), "version 7"),
        (encode_header(136, "x") + b"JUNKJUNK", "JUNK"),
    ],
)
def test_a_stream_that_is_not_ours_is_told_apart(stream: bytes, says: str) -> None:
    with pytest.raises(LinkError, match=says):
        StreamParser(OURS).feed(stream)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"finished": 0.5}, "'finished' is 0.5"),
        ({"brake": 3.0}, "'brake' is 3"),
        ({"gear": 2.5}, "'gear' is 2.5"),
        ({"gear": 12.0}, "'gear' is 12"),
        ({"steer": -1.5}, "'steer' is -1.5"),
        ({"gas": -0.5}, "'gas' is -0.5"),
        ({"rpm": 1e9}, "'rpm' is 1e.09"),
        ({"speed": float("nan")}, "not finite"),
    ],
)
def test_values_that_no_car_has_are_named(wrong: dict[str, float], says: str) -> None:
    parser = StreamParser(TMRL)
    parser.feed(tmrl_record() * 4)
    with pytest.raises(LinkError, match=f"in record 5 .*{says}"):
        parser.feed(tmrl_record(**wrong))


def test_a_car_that_is_everywhere_is_another_layout_and_one_respawn_is_not() -> None:
    StreamParser(TMRL).feed(b"".join(tmrl_record(position=p) for p in (0, 1, 2, 900, 901)))
    with pytest.raises(LinkError, match="jumps by up to"):
        StreamParser(TMRL).feed(b"".join(tmrl_record(position=900.0 * (i % 2)) for i in range(6)))


def test_after_the_first_records_nothing_is_refused() -> None:
    parser = StreamParser(TMRL)
    parser.feed(tmrl_record() * CHECKED_RECORDS)
    assert parser.feed(tmrl_record(gear=9.0)) is not None


@pytest.mark.parametrize("name", ["tmrl", "trackmaster"])
def test_records_with_numbers_that_are_none_are_left_out(name: str, caplog: pytest.LogCaptureFixture) -> None:
    layout = LAYOUTS[name]
    tag = RECORD_TAG if layout.is_framed else b""

    def row(**values: float) -> bytes:
        floats = np.zeros(layout.n_floats, dtype="<f4")
        for column, value in values.items():
            floats[layout.columns[column]] = value
        return tag + floats.tobytes()

    parser = StreamParser(layout)
    parser.feed((encode_header(layout.record_bytes, "m") if layout.is_framed else b"") + row() * CHECKED_RECORDS)
    assert parser.feed(row(gear=math.nan) + row(position=math.inf)) is None
    record = parser.feed(row(gear=3.0) + row(speed=math.nan))
    assert record is not None
    assert record.gear == 3
    assert (parser.count, parser.left_out) == (CHECKED_RECORDS + 4, 3)
    assert caplog.text.count("left out") == 1


def test_two_players_are_noticed_by_the_layout_of_one() -> None:
    """Player two's record in the place of the next one: positions jump to and fro."""
    pair = tmrl_record(position=10.0) + tmrl_record(position=700.0)
    with pytest.raises(LinkError, match="second player"):
        StreamParser(TMRL).feed(pair * 5)
    record = StreamParser(layout_named("tmrl-two-players")).feed(pair)
    assert record is not None
    assert record.position_m[0] == 10


@settings(max_examples=200)
@given(junk=st.binary(max_size=400), name=st.sampled_from(sorted(LAYOUTS)))
def test_junk_is_refused_with_a_sentence_or_read(junk: bytes, name: str) -> None:
    parser = StreamParser(LAYOUTS[name])
    with contextlib.suppress(LinkError):  # anything else would be a bug
        parser.feed(junk)


def test_unknown_layouts_are_named() -> None:
    with pytest.raises(LinkError, match="there are tmrl"):
        layout_named("guess")

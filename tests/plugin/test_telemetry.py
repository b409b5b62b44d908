"""The OpenPlanet plugin's source against the layout that the client reads."""

import re
from pathlib import Path

from trackmaster.game.openplanet import layouts

ROOT = Path(__file__).resolve().parent.parent.parent
SOURCE = (ROOT / "plugin" / "TrackmasterTelemetry.as").read_text(encoding="utf-8")
OURS = layouts.LAYOUTS["trackmaster"]


def constant(name: str) -> str:
    found = re.search(rf"^const \w+ {name} = \"?([^\";]+)\"?;", SOURCE, re.M)
    assert found is not None, name
    return found[1]


def test_constants_are_those_of_the_client() -> None:
    assert constant("MAGIC").encode() == layouts.MAGIC
    assert constant("RECORD_TAG").encode() == layouts.RECORD_TAG
    assert int(constant("STREAM_VERSION")) == layouts.STREAM_VERSION
    assert int(constant("HEADER_BYTES")) == layouts.HEADER_BYTES
    assert int(constant("UID_BYTES")) == layouts.UID_BYTES
    assert int(constant("FIELDS")) == OURS.n_floats
    assert int(constant("RECORD_BYTES")) == OURS.record_bytes
    assert int(constant("PORT")) == layouts.DEFAULT_PORT


def test_fields_stand_where_the_client_looks_for_them() -> None:
    body = SOURCE[SOURCE.index("MemoryBuffer@ Record(") :]
    body = body[: body.index("buffer.Seek")]
    at, named = 0, {}
    for line in body.splitlines():
        if "buffer.Write(RECORD_TAG)" in line:
            continue
        width = 3 if "WriteVector(" in line else 1 if "buffer.Write(" in line else 0
        comment = re.search(r"// (\d+) (\w+)$", line)
        if comment is not None:
            assert int(comment[1]) == at, line
            named[comment[2]] = at
        at += width
    assert at == OURS.n_floats
    assert named == dict(OURS.columns)


def test_brackets_are_closed() -> None:
    code = re.sub(r'"[^"\n]*"|//[^\n]*', "", SOURCE)
    for left, right in ("()", "{}", "[]"):
        assert code.count(left) == code.count(right)

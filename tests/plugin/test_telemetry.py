"""The OpenPlanet plugin's source against the layout that the client reads."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from trackmaster.game.openplanet import layouts
from trackmaster.game.openplanet.stream import StreamParser

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


def test_the_compiled_plugin_sends_what_the_client_reads(tmp_path: Path) -> None:
    if shutil.which("g++") is None:
        pytest.skip("no C++ compiler here: install g++")
    if not any(Path(p).is_file() for p in ("/usr/include/angelscript.h", "/usr/include/angelscript/angelscript.h")):
        pytest.skip("no AngelScript compiler here: install angelscript-dev")
    here, harness = Path(__file__).parent, tmp_path / "harness"
    build = ["g++", "-std=c++17", "-O0", "-o", str(harness), str(here / "telemetry_harness.cpp"),
             "-langelscript-addon", "-langelscript", "-lpthread"]  # fmt: skip
    built = subprocess.run(build, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    run = [str(harness), str(here / "telemetry_api.as"), str(ROOT / "plugin" / "TrackmasterTelemetry.as")]
    ran = subprocess.run(run, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    sent = bytes.fromhex(ran.stdout.strip())
    assert len(sent) == layouts.HEADER_BYTES + OURS.record_bytes
    assert sent[: layouts.HEADER_BYTES] == layouts.encode_header(OURS.record_bytes, "MapUid")
    record = StreamParser(OURS).feed(sent)
    assert record is not None
    assert record.map_uid == "MapUid"
    assert record.position_m.tolist() == [1, 2, 3]
    assert record.velocity_mps.tolist() == [4, 5, 6]
    assert record.forward.tolist() == [1, 0, 0]
    assert record.speed_kmph == pytest.approx(50.5 * 3.6)
    assert (record.cp_count, record.race_time_ms, record.gear, record.rpm) == (2, 12_340, 4, 9_000)
    assert (record.steer, record.gas, record.is_braking, record.is_finished) == (-0.25, 1, True, True)

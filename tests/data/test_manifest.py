"""Every shape of manifest that writers have used becomes the same object; anything else is a sentence."""

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trackmaster.data import DataError, read_manifest, read_metadata

INPUTS = {"accelerate": True, "brake": False, "left": True, "right": False}
STATE = {"position": [1.0, 2.0, 3.0], "current_checkpoint": 0}


def entry(step: int, **more: Any) -> dict[str, Any]:
    return {"file": f"frame_{step:05d}_{10 * step}ms.jpeg", "step": step, "time_ms": 10 * step, **more}


def write(folder: Path, content: Any) -> Path:
    path = folder / "manifest.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_object_with_state_timeline_and_snapshots(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "schema_version": 2,
            "entries": [entry(1, inputs=INPUTS, action_idx=1, state=STATE), entry(0, inputs=INPUTS, action_idx=1)],
            "actions": [0, 1, 11],
            "meta": [{"time_ms": 10, "race_time": 10}, {"time_ms": 0, "race_time": 0}],
        },
    )
    manifest = read_manifest(tmp_path)
    assert manifest.schema_version == 2
    assert [e.step for e in manifest.entries] == [0, 1]
    assert manifest.entries[1].state == STATE
    assert manifest.entries[1].inputs == INPUTS
    assert manifest.actions is not None
    assert manifest.actions.tolist() == [0, 1, 11]
    assert [snapshot["time_ms"] for snapshot in manifest.meta] == [0, 10]


def test_bare_list_with_state(tmp_path: Path) -> None:
    manifest = read_manifest(write(tmp_path, [entry(0, inputs=INPUTS, state=STATE)]))
    assert manifest.entries[0].state == STATE
    assert manifest.actions is None
    assert manifest.meta == ()


def test_oldest_bare_list_without_state(tmp_path: Path) -> None:
    manifest = read_manifest(write(tmp_path, [entry(0, inputs={"left": True}), entry(1)]))
    assert manifest.entries[0].inputs == {"accelerate": False, "brake": False, "left": True, "right": False}
    assert manifest.entries[1].inputs is None
    assert manifest.entries[0].state is None


def test_list_of_a_validation_run_counts_index(tmp_path: Path) -> None:
    item = {"file": "frame_000007_70ms.jpeg", "index": 7, "time_ms": 70, "captured_at_utc": "2026-02-18T10:00:00+00:00"}
    found = read_manifest(write(tmp_path, [item])).entries[0]
    assert (found.step, found.time_ms, found.captured_at_utc) == (7, 70, "2026-02-18T10:00:00+00:00")


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"entries": 3},
        "text",
        None,
        [1],
        [{"step": 0}],
        [entry(0) | {"time_ms": "soon"}],
        [entry(0) | {"step": True}],
        {"entries": [], "actions": [12]},
        {"entries": [], "actions": "0"},
        {"entries": [], "meta": [{}]},
        {"entries": [], "schema_version": "x"},
        {"entries": [], "schema_version": None},
    ],
)
def test_other_contents_are_refused(tmp_path: Path, content: Any) -> None:
    with pytest.raises(DataError, match=r"manifest\.json"):
        read_manifest(write(tmp_path, content))


def test_missing_and_damaged_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_manifest(tmp_path / "manifest.json")
    (tmp_path / "manifest.json").write_text('{"entries": [')
    with pytest.raises(DataError, match="is no JSON"):
        read_manifest(tmp_path)
    (tmp_path / "manifest.json").write_text("9" * 5000)
    with pytest.raises(DataError, match="is no JSON"):
        read_manifest(tmp_path)
    write(tmp_path, [{"file": f"frame_{'1' * 5000}_10ms.jpeg"}])
    with pytest.raises(DataError, match="time_ms of entry 0"):
        read_manifest(tmp_path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["file", "step", "time_ms", "entries", "actions", "meta", "inputs", "schema_version"])
            | st.text(max_size=4),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@settings(deadline=None, max_examples=200)
@given(content=JSON)
def test_any_json_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "any_manifest.json"
    path.write_text(json.dumps(content))
    for read in (read_manifest, read_metadata):
        with contextlib.suppress(DataError):  # anything else would be a bug
            read(path)


def test_metadata_with_the_oldest_keys_only(tmp_path: Path) -> None:
    (tmp_path / "metadata.json").write_text(json.dumps({"track_id": 7, "fps": 64.0, "race_time_ms": 1230}))
    metadata = read_metadata(tmp_path)
    assert (metadata.track_id, metadata.map_uid, metadata.race_time_ms) == ("7", None, 1230)
    assert metadata.interval_ms == pytest.approx(15.625)
    assert read_metadata(tmp_path / "elsewhere.json").interval_ms is None


@pytest.mark.parametrize("content", [{"fps": 0}, {"fps": 5e-324}, {"capture_interval_ms": "10"}, {"step_ms": None}, []])
def test_senseless_metadata_is_refused(tmp_path: Path, content: Any) -> None:
    (tmp_path / "metadata.json").write_text(json.dumps(content))
    with pytest.raises(DataError):
        read_metadata(tmp_path)

"""A run comes back whole, or from an older snapshot, or says why not."""

import itertools
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from trackmaster.nn.weights import WeightsError
from trackmaster.rl.files.checkpoint import BEST, RECOVERY, STATE_FILE, STATS_FILE, CheckpointError, CheckpointStore
from trackmaster.rl.files.names import ONLINE_FILE, OPTIMIZER_FILE, TARGET_FILE


def writer(value: str) -> Any:
    def write(folder: Path) -> dict[str, Any]:
        for name in (ONLINE_FILE, TARGET_FILE, OPTIMIZER_FILE):
            (folder / name).write_text(f"{name} {value}")
        return {"value": value}

    return write


def saved(folder: Path, *values: str) -> tuple[CheckpointStore, list[str]]:
    said: list[str] = []
    store = CheckpointStore(folder, keep=3, say=said.append)
    for value in values:
        store.save(writer(value), {"frames": value}, {"lives": 1})
    return store, said


def test_newest_snapshot_comes_back_under_the_published_names(tmp_path: Path) -> None:
    store, said = saved(tmp_path / "run", "a", "b")
    folder, state, stats = store.load()
    assert folder == tmp_path / "run"
    assert state["agent"] == {"value": "b"}
    assert state["trainer"] == {"lives": 1}
    assert stats == {"frames": "b"}
    assert (folder / "weights1.torch").read_text() == "weights1.torch b"
    names = {p.name for p in folder.iterdir()}
    assert names == {"weights1.torch", "weights2.torch", "optimizer1.torch", STATS_FILE, STATE_FILE, RECOVERY}
    assert said == []


def test_only_the_newest_snapshots_are_kept_and_the_best_stays(tmp_path: Path) -> None:
    store, _ = saved(tmp_path / "run", "a")
    store.save(writer("best"), {}, {}, best=True)
    for value in "cdef":
        store.save(writer(value), {}, {})
    kept = sorted(p.name for p in (tmp_path / "run" / RECOVERY).iterdir())
    assert kept == ["000004", "000005", "000006"]
    assert (tmp_path / "run" / BEST / ONLINE_FILE).read_text() == "weights1.torch best"


def failing_from(moment: int, calls: Iterator[int], original: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function, ended by an interrupt from this call on."""

    def wrapped(*args: Any, **options: Any) -> Any:
        if next(calls) >= moment:
            raise KeyboardInterrupt
        return original(*args, **options)

    return wrapped


def test_a_run_that_tells_of_a_best_evaluation_has_its_weights_wherever_it_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = []
    for moment in itertools.count(1):
        store, _ = saved(tmp_path / str(moment), "a")
        left = itertools.count(1)
        with monkeypatch.context() as patch:
            for owner, name in ((os, "link"), (os, "rename"), (shutil, "copy2"), (shutil, "rmtree"), (Path, "replace")):
                patch.setattr(owner, name, failing_from(moment, left, getattr(owner, name)))
            try:
                store.save(writer("best"), {"frames": "best"}, {}, best=True)
            except KeyboardInterrupt:
                is_killed = True
            else:
                is_killed = False
        told.append(store.load()[2]["frames"])
        if told[-1] == "best":
            assert (tmp_path / str(moment) / BEST / ONLINE_FILE).read_text() == "weights1.torch best", moment
        if not is_killed:
            break
    assert set(told) == {"a", "best"}


@pytest.mark.parametrize("victim", [ONLINE_FILE, OPTIMIZER_FILE, STATE_FILE, STATS_FILE])
def test_damaged_file_is_named_and_an_older_snapshot_is_used(tmp_path: Path, victim: str) -> None:
    store, said = saved(tmp_path / "run", "a", "b")
    newest = tmp_path / "run" / RECOVERY / "000002" / victim
    newest.unlink()  # the published file may be the same file under two names
    newest.write_text("cut of")
    (tmp_path / "run" / victim).unlink()
    (tmp_path / "run" / victim).write_text("cut of")
    folder, state, _ = store.load()
    assert folder.name == "000001"
    assert state["agent"] == {"value": "a"}
    assert len(said) == 1
    assert "Continuing from" in said[0]


def test_nothing_intact_is_a_sentence(tmp_path: Path) -> None:
    store, _ = saved(tmp_path / "run", "a")
    for file in tmp_path.rglob(ONLINE_FILE):
        file.write_text("damaged")
    with pytest.raises(CheckpointError, match="--fresh"):
        store.load()


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    store, _ = saved(tmp_path / "run", "a")
    for file in tmp_path.rglob(STATE_FILE):
        state = json.loads(file.read_text())
        file.write_text(json.dumps(state | {"version": 99}))
    with pytest.raises(CheckpointError, match="version 99"):
        store.load()


def test_interrupted_save_leaves_the_old_run(tmp_path: Path) -> None:
    store, _ = saved(tmp_path / "run", "a")

    def fail(folder: Path) -> dict[str, Any]:
        (folder / ONLINE_FILE).write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.save(fail, {}, {})
    assert store.load()[1]["agent"] == {"value": "a"}
    assert len(list((tmp_path / "run" / RECOVERY).iterdir())) == 1


def test_earlier_run_is_moved_aside_and_never_overwritten(tmp_path: Path) -> None:
    for number in (1, 2):
        store, _ = saved(tmp_path / "run", "a")
        assert store.exists
        assert store.set_aside() == (tmp_path / f"run.before_{number}",)
        assert not store.exists
    assert store.set_aside() == ()


def test_other_folders_of_a_run_move_with_it_under_the_same_number(tmp_path: Path) -> None:
    curves = tmp_path / "curves" / "run"
    curves.mkdir(parents=True)
    (tmp_path / "curves" / "run.before_1").mkdir()
    store, _ = saved(tmp_path / "run", "a")
    assert store.set_aside(curves) == (tmp_path / "run.before_2", tmp_path / "curves" / "run.before_2")
    assert not curves.exists()


def test_prepared_pair_is_found_beside_or_above(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path / "save" / "run")
    assert store.prepared_pair() is None
    (tmp_path / "save").mkdir()
    (tmp_path / "save" / ONLINE_FILE).touch()
    with pytest.raises(WeightsError, match=r"weights2\.torch is missing"):
        store.prepared_pair()
    (tmp_path / "save" / TARGET_FILE).touch()
    assert store.prepared_pair() == tmp_path / "save"
    store.folder.mkdir()
    for name in (ONLINE_FILE, TARGET_FILE):
        (store.folder / name).touch()
    assert store.prepared_pair() == store.folder
    assert store.prepared_pair(own=False) == tmp_path / "save"

"""Several workers give what one gives; one that dies costs a try, not a replay."""

import dataclasses
import json
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from trackmaster import gbx
from trackmaster.capture import CaptureConfig, CaptureError, CaptureSummary, capture
from trackmaster.capture.discover import find_replays, same_folder
from trackmaster.capture.ledger import Ledger
from trackmaster.capture.outcomes import Outcome, OutcomeBook
from trackmaster.capture.pool import MAX_EMPTY_DEATHS, WorkerPool
from trackmaster.capture.run import capture_alone
from trackmaster.capture.schedule import TrackQueue
from trackmaster.capture.settled import circumstances
from trackmaster.capture.writer import utc_now
from trackmaster.gbx import Challenge, Ghost

HELPERS = '''
import os
import signal
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from trackmaster.capture.errors import CaptureError, ReplayRejectedError, WorkerLostError
from trackmaster.capture.outcomes import Outcome


def noon():
    return datetime(2026, 2, 18, 12, tzinfo=UTC)


@dataclass
class Scripted:
    """Makes capturers that do what the replay's name says, and write down what they were asked."""

    log: Path

    def __call__(self, config, number):
        return Capturer(self.log, config, number)


class Capturer:
    def __init__(self, log, config, number):
        self.log, self.config, self.number = log, config, number

    def run(self, file, sha256):
        name = file.path.name.split(".")[0]
        with (self.log / f"{name}.tries").open("ab") as stream:
            stream.write(b"x")
        tries = (self.log / f"{name}.tries").stat().st_size
        if name.startswith("fatal") or (name.startswith("once") and tries == 1):
            os.kill(os.getpid(), signal.SIGKILL)
        if name.startswith("block"):
            (self.log / "blocked").touch()
            threading.Event().wait()
        if name.startswith("full"):
            raise CaptureError("nothing can be written there any more.")
        if name.startswith("odd"):
            raise ReplayRejectedError("no_inputs", "the run holds no inputs.")
        if name.startswith(("stale", "worse")) and not (self.log / f"closed{self.number}").exists():
            raise ReplayRejectedError(f"sample_diff:3:{tries}", "the car strayed.")
        if name.startswith("worse"):
            raise ReplayRejectedError("sample_diff:3:9", "the car strayed.")
        if (self.log / f"lost{self.number}").exists():
            raise WorkerLostError(f"the game of worker {self.number} does not answer.")
        return Outcome(file.track_id, file.name, "ok", sha256, self.config.fingerprint, frames=1)

    def close(self):
        (self.log / f"closed{self.number}").touch()
'''


@pytest.fixture
def helpers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module that the processes of workers can import as well."""
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / "capture_helpers.py").write_text(textwrap.dedent(HELPERS))
    monkeypatch.syspath_prepend(folder)
    import capture_helpers  # type: ignore[import-not-found]  # written above

    return capture_helpers


@pytest.fixture
def scripted(tmp_path: Path, helpers: Any) -> Callable[..., CaptureSummary]:
    """Run replays of given names (``track/name``) on scripted workers."""

    def run(*names: str, workers: int = 2, alone: bool = False, **flags: Any) -> CaptureSummary:
        for name in names:
            path = tmp_path / "replays" / f"{name}.replay.gbx"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(name.encode())
        config = CaptureConfig(replays_dir=tmp_path / "replays", output_dir=tmp_path / "out", workers=workers, **flags)
        found = find_replays(config.replays_dir, None)
        book = OutcomeBook(config.output_dir, utc_now)
        ledger = Ledger(config, book, same_folder(found))
        make = helpers.Scripted(tmp_path)
        if alone:
            list(capture_alone(config, make, ledger, found))
        else:
            list(WorkerPool(config, make, ledger).run(TrackQueue(found)))
        book.save()
        return ledger.summary

    return run


def tries(tmp_path: Path, name: str) -> int:
    return (tmp_path / f"{name}.tries").stat().st_size


def reasons(summary: CaptureSummary) -> dict[str, str]:
    return {outcome.replay.split(".")[0]: outcome.reason for outcome in summary.outcomes}


@pytest.mark.parametrize("alone", [True, False])
def test_replays_that_fail_alike_are_tried_once_more_on_a_fresh_map(
    tmp_path: Path, scripted: Callable[..., CaptureSummary], alone: bool
) -> None:
    summary = scripted("1/stale_a", "1/stale_b", "1/worse", alone=alone, game="tminterface")
    assert {key: value for key, value in reasons(summary).items() if value} == {"worse": "sample_diff:3:9"}
    assert len(summary.outcomes) == 3
    # The first two once before and once after the map was loaded anew; the third fails then, and once more.
    assert [tries(tmp_path, name) for name in ("stale_a", "stale_b", "worse")] == [2, 2, 2]
    found = json.loads((tmp_path / "out" / "index.json").read_text())["replays"]
    assert [found[f"1/{name}.replay.gbx"]["status"] for name in ("stale_a", "stale_b", "worse")] == [
        "ok",
        "ok",
        "rejected",
    ]


def test_a_second_try_counts_once_and_leaves_other_files_of_the_same_name_alone(tmp_path: Path, helpers: Any) -> None:
    for name in ("1/stale_a.replay.gbx", "1/stale_a.replay.GBX", "1/stale_b.replay.gbx"):
        path = tmp_path / "replays" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    config = CaptureConfig(
        replays_dir=tmp_path / "replays", output_dir=tmp_path / "out", workers=1, game="tminterface"
    )  # fmt: skip
    found = find_replays(config.replays_dir, None)
    ledger = Ledger(config, OutcomeBook(config.output_dir, utc_now), same_folder(found))
    steps = list(WorkerPool(config, helpers.Scripted(tmp_path), ledger).run(TrackQueue(found)))
    assert len(steps) == len(found), "a step of the progress bar per replay"
    assert sorted(outcome.reason for outcome in ledger.summary.outcomes) == ["", "", "same_name"]
    assert ledger.summary.exit_code == 2


def test_a_second_try_that_is_lost_with_its_worker_is_not_counted_as_two_rejections(tmp_path: Path) -> None:
    path = tmp_path / "replays" / "1" / "worse.replay.gbx"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x")
    config = CaptureConfig(
        replays_dir=tmp_path / "replays", output_dir=tmp_path / "out", workers=1, game="tminterface"
    )  # fmt: skip
    found = find_replays(config.replays_dir, None)
    ledger = Ledger(config, OutcomeBook(config.output_dir, utc_now), same_folder(found))
    first = ledger.begin(found[0])
    assert first is not None
    outcome = Outcome("1", first.file.name, "rejected", first.sha256, config.fingerprint, reason="sample_diff:3:1",
                      circumstances=circumstances("sample_diff:3:1", "1", config))  # fmt: skip
    assert ledger.settle(first, outcome, wall_s=0.0)
    assert ledger.begin(first.file) is None
    assert (len(ledger.summary.rejected), ledger.summary.known_rejects) == (1, 0)


def test_one_failure_or_different_maps_or_the_simulator_are_no_reason_to_try_again(
    tmp_path: Path, scripted: Callable[..., CaptureSummary]
) -> None:
    summary = scripted("1/worse_a", "2/worse_b", alone=True, game="tminterface")
    assert len(summary.rejected) == 2
    assert [tries(tmp_path, name) for name in ("worse_a", "worse_b")] == [1, 1]
    (tmp_path / "out" / "index.json").unlink()
    assert len(scripted("1/worse_a", "1/worse_c", alone=True, game="simulator").rejected) == 3
    assert [tries(tmp_path, name) for name in ("worse_a", "worse_c")] == [2, 1]


def test_a_worker_that_dies_is_replaced_and_its_replay_tried_once_more(
    tmp_path: Path, scripted: Callable[..., CaptureSummary]
) -> None:
    summary = scripted("a/good1", "a/once", "a/good2", "b/fatal", "b/good3", "b/odd")
    assert reasons(summary) == {
        "good1": "", "once": "", "good2": "", "fatal": "error:worker_died", "good3": "", "odd": "no_inputs",
    }  # fmt: skip
    assert (tries(tmp_path, "once"), tries(tmp_path, "fatal"), tries(tmp_path, "good1")) == (2, 2, 1)
    assert "exit code -9" in next(outcome.detail for outcome in summary.rejected if "fatal" in outcome.replay)


def test_a_worker_that_dies_while_it_has_nothing_to_do_costs_nothing(
    tmp_path: Path, scripted: Callable[..., CaptureSummary], monkeypatch: pytest.MonkeyPatch
) -> None:
    settle = WorkerPool._listen

    def and_die(self: WorkerPool, worker: Any, queue: TrackQueue) -> Iterator[None]:
        yield from settle(self, worker, queue)
        if tries(tmp_path, "1") == 1 and not (tmp_path / "2.tries").exists():
            worker.process.kill()
            worker.process.join()

    monkeypatch.setattr(WorkerPool, "_listen", and_die)
    summary = scripted("a/1", "a/2", "a/3", workers=1)
    assert [outcome.status for outcome in summary.outcomes] == ["ok"] * 3
    assert [tries(tmp_path, name) for name in ("1", "2", "3")] == [1, 1, 1]


def test_a_worker_without_a_game_leaves_its_replay_to_the_others(
    tmp_path: Path, scripted: Callable[..., CaptureSummary]
) -> None:
    (tmp_path / "lost1").touch()
    summary = scripted("a/1", "a/2", "b/1", "b/2", "c/1")
    assert [outcome.status for outcome in summary.outcomes] == ["ok"] * 5
    (tmp_path / "lost0").touch()
    with pytest.raises(CaptureError, match="no worker is left and 6 replays wait: the game of worker"):
        scripted("d/1")


def test_an_error_that_concerns_all_ends_the_run(scripted: Callable[..., CaptureSummary]) -> None:
    with pytest.raises(CaptureError, match="nothing can be written"):
        scripted("a/full", "b/1")


def test_a_machine_on_which_every_worker_dies_is_given_up(scripted: Callable[..., CaptureSummary]) -> None:
    with pytest.raises(CaptureError, match=f"died {MAX_EMPTY_DEATHS + 1} times without an outcome"):
        scripted(*(f"a/fatal{number}" for number in range(8)), workers=1)


def test_workers_leave_their_games_at_the_end(tmp_path: Path, scripted: Callable[..., CaptureSummary]) -> None:
    scripted("a/1", "b/1")
    assert (tmp_path / "closed0").exists()
    assert (tmp_path / "closed1").exists()


ALONE = """
from pathlib import Path

import capture_helpers
from trackmaster.capture import CaptureConfig
from trackmaster.capture.discover import find_replays
from trackmaster.capture.ledger import Ledger
from trackmaster.capture.outcomes import OutcomeBook
from trackmaster.capture.run import capture_alone
from trackmaster.capture.pool import WorkerPool
from trackmaster.capture.schedule import TrackQueue

if __name__ == "__main__":
    config = CaptureConfig(replays_dir=Path("replays"), output_dir=Path("out"), workers=1)
    found = find_replays(config.replays_dir, None)
    ledger = Ledger(config, OutcomeBook(config.output_dir, capture_helpers.noon), {})
    list(WorkerPool(config, capture_helpers.Scripted(Path.cwd()), ledger).run(TrackQueue(found)))
"""


def appears(path: Path) -> bool:
    """Wait for a file, for two minutes at most."""
    deadline = time.monotonic() + 120
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    return path.exists()


def test_workers_leave_their_games_when_their_parent_is_killed(tmp_path: Path, helpers: Any) -> None:
    (tmp_path / "replays" / "a").mkdir(parents=True)
    (tmp_path / "replays" / "a" / "block.replay.gbx").write_bytes(b"x")
    (tmp_path / "alone.py").write_text(ALONE)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path / "modules"), *sys.path])}
    parent = subprocess.Popen([sys.executable, "alone.py"], cwd=tmp_path, env=environment)
    assert appears(tmp_path / "blocked")
    parent.kill()
    parent.wait()
    assert appears(tmp_path / "closed0")


def test_three_workers_write_the_bytes_that_one_writes(
    tmp_path: Path, helpers: Any, challenge: Challenge, ghost: Ghost, replay_bytes: bytes
) -> None:
    other = gbx.write_replay(gbx.write_challenge(dataclasses.replace(challenge, uid="other")), ghost)
    for track, content in (("1", replay_bytes), ("2", other)):
        folder = tmp_path / "replays" / track
        folder.mkdir(parents=True)
        (folder / "broken.replay.gbx").write_bytes(content[:500])
        for number in range(3):
            (folder / f"pos{number}_x_1ms.replay.gbx").write_bytes(content)
    trees = []
    for workers in (1, 3):
        out = tmp_path / f"out{workers}"
        config = CaptureConfig(
            replays_dir=tmp_path / "replays", output_dir=out, tracks_dir=tmp_path / "tracks", vcp_dir=out / "vcp",
            width=24, height=16, fps=20, use_tqdm=False, workers=workers,
        )  # fmt: skip
        summary = capture(config, clock=helpers.noon)
        assert (len(summary.captured), len(summary.rejected)) == (6, 2)
        frames = {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*.*") if path.is_file()}
        del frames["rejects.jsonl"]  # in the order in which they happened, with the seconds they took
        trees.append(frames)
    assert trees[0] == trees[1]
    assert len(json.loads(trees[1]["index.json"])["replays"]) == 8

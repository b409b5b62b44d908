"""Jobs run side by side on cores of their own, once, and an interrupted one begins from nothing."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from trackmaster.errors import ConfigError
from trackmaster.experiments.core_pool import CorePool, choose_cores, is_done, kill_leftovers
from trackmaster.experiments.matrix import Job

MakeJob = Callable[..., Job]
ENDLESS = "import threading; threading.Event().wait()"


@pytest.fixture
def make_job(tmp_path: Path) -> MakeJob:
    """A function that makes a job of one Python program; its output lies in the job's log."""

    def make(name: str, *programs: str, fingerprint: str = "f", leavings: tuple[Path, ...] = ()) -> Job:
        commands = tuple((sys.executable, "-c", program) for program in programs)
        return Job(name, commands, fingerprint, tmp_path / "logs" / name, tmp_path / "done" / name, leavings)

    return make


def pool(folder: Path, *, cores: list[int | None] | None = None, say: Callable[[str], None] = print) -> CorePool:
    return CorePool(cores or choose_cores(1), folder / "running.json", say=say, use_tqdm=False)


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system cannot pin processes")
def test_jobs_have_a_core_and_one_thread_and_no_settings_of_ours(
    make_job: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRAIN_TRAINING__BATCH_SIZE", "7")
    program = (
        "import os; print(sorted(os.sched_getaffinity(0)), os.environ['OMP_NUM_THREADS'],"
        " [name for name in os.environ if name.startswith('TRAIN_')])"
    )
    ours = os.sched_getaffinity(0)
    cores = choose_cores(min(2, len(ours)))
    jobs = [make_job(f"job{i}", program) for i in range(3)]
    assert pool(tmp_path, cores=cores).run(jobs, desc="jobs") == []
    for job in jobs:
        mark = json.loads(job.mark.read_text())
        assert job.log.read_text() == f"[{mark['core']}] 1 []\n"
        assert mark["core"] in cores
        assert mark["cpu_s"] > 0
    assert os.sched_getaffinity(0) == ours, "only the jobs are pinned"
    with pytest.raises(ConfigError, match="may use"):
        choose_cores(len(ours) + 1)


def test_what_is_done_is_not_done_again_and_other_settings_are_refused(make_job: MakeJob, tmp_path: Path) -> None:
    count = tmp_path / "count"
    program = f"open({str(count)!r}, 'a').write('x')"
    said: list[str] = []
    for _ in range(2):
        assert pool(tmp_path, say=said.append).run([make_job("job", program)], desc="jobs") == []
    assert count.read_text() == "x"
    assert "jobs: 1 of 1 are there from an earlier call." in said
    with pytest.raises(ConfigError, match=r"job was finished there with other settings.*--output-dir"):
        pool(tmp_path).run([make_job("new", program), make_job("job", program, fingerprint="g")], desc="jobs")
    assert count.read_text() == "x", "nothing was begun"
    make_job("job").mark.write_text("{")
    assert not is_done(make_job("job")), "a damaged mark only costs the time"


def test_a_failure_leaves_the_others_and_is_begun_from_nothing(make_job: MakeJob, tmp_path: Path) -> None:
    made = tmp_path / "made"
    grow = (
        f"import pathlib; p = pathlib.Path({str(made)!r}); p.mkdir(exist_ok=True);"
        " (p / str(len(list(p.iterdir())))).touch()"
    )
    bad = make_job("bad", grow, "print('the reason'); raise SystemExit(3)", grow, leavings=(made,))
    good = make_job("good", "print('fine')")
    failures = pool(tmp_path).run([bad, good], desc="jobs")
    assert [failure.job.name for failure in failures] == ["bad"]
    assert "exit code 3" in failures[0].reason
    assert "the reason" in failures[0].reason
    assert good.mark.is_file()
    assert not bad.mark.exists()
    assert [path.name for path in made.iterdir()] == ["0"]
    pool(tmp_path).run([make_job("bad", grow, leavings=(made,))], desc="jobs")
    assert [path.name for path in made.iterdir()] == ["0"], "what the first attempt left was removed"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_an_interrupt_ends_what_is_at_work_with_its_children(make_job: MakeJob, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    os.mkfifo(pids)
    # The endless job tells the process of its own worker through the pipe; the other one fails when it has read it.
    endless = (
        f"import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', {ENDLESS!r}]);"
        f" open({str(pids)!r}, 'w').write(str(p.pid)); p.wait()"
    )
    reader = f"print(open({str(pids)!r}).read()); raise SystemExit(1)"

    def interrupt(line: str) -> None:
        if "reader failed" in line:
            raise KeyboardInterrupt

    jobs = [make_job("endless", endless), make_job("reader", reader)]
    with pytest.raises(KeyboardInterrupt):
        pool(tmp_path, cores=[None, None], say=interrupt).run(jobs, desc="jobs")
    assert not jobs[0].mark.exists()
    worker = int(jobs[1].log.read_text().split()[0])
    assert not psutil.pid_exists(worker) or psutil.Process(worker).status() == psutil.STATUS_ZOMBIE


def test_what_a_killed_call_left_running_is_ended(tmp_path: Path) -> None:
    record = tmp_path / "running.json"
    kill_leftovers(record)  # there is none
    with subprocess.Popen([sys.executable, "-c", ENDLESS]) as process:
        created = psutil.Process(process.pid).create_time()
        record.write_text(json.dumps([{"pid": process.pid, "created": created - 60}]))
        kill_leftovers(record)
        assert process.poll() is None, "another process that got the same number is none of ours"
        record.write_text(json.dumps([{"pid": process.pid, "created": created}]))
        kill_leftovers(record)
        assert process.wait() != 0

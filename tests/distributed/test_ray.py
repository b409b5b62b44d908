"""What goes wrong on a Ray cluster: whatever a run waits for, it ends in a sentence."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.distributed.net_kit import until

from trackmaster.distributed.transport.contract import TransportError
from trackmaster.distributed.transport.ray_link import LOCAL_SETTINGS, START_S, RayTransport, ray_session
from trackmaster.errors import ConfigError


@pytest.fixture(scope="module")
def one_cpu() -> Iterator[None]:
    """A Ray of one CPU."""
    pytest.importorskip("ray", reason="ray is not installed (extra 'cluster')")
    with ray_session(num_cpus=1):
        yield


# Workers' tasks are functions within functions: those travel whole, others would have to be importable over there.


def test_a_worker_that_fails_ends_the_run_with_its_own_sentence(one_cpu: None) -> None:
    def fail(end: Any, number: int) -> None:
        raise ConfigError("the map is missing: download it")

    link = RayTransport(fail, 1, max_chunks=4)
    with pytest.raises(TransportError, match=r"Worker 0 ended unexpectedly \(the map is missing: download it\)"):
        until(link.check_workers, "the worker's end")  # type: ignore[arg-type]
    link.close()


def test_a_worker_that_vanishes_is_noticed(one_cpu: None) -> None:
    def vanish(end: Any, number: int) -> None:
        import os

        os._exit(7)

    link = RayTransport(vanish, 1, max_chunks=4)
    with pytest.raises(TransportError, match=r"Worker 0 ended unexpectedly \(WorkerCrashedError .*--resume"):
        until(link.check_workers, "the worker's end")  # type: ignore[arg-type]
    link.close()


def test_workers_for_which_there_is_no_room_are_told_and_a_run_without_any_ends(one_cpu: None, tmp_path: Path) -> None:
    import ray

    def hold(began: Path, over: Path) -> None:
        import time

        began.touch()
        while not over.exists():
            time.sleep(0.05)

    def wait(end: Any, number: int) -> None:
        raise AssertionError("nobody comes so far")

    began, over, now, said = tmp_path / "began", tmp_path / "over", [0.0], list[str]()
    holding = ray.remote(num_cpus=1)(hold).remote(began, over)
    until(began.exists, "somebody else has the only CPU")
    link = RayTransport(wait, 2, max_chunks=4, say=said.append, clock=lambda: now[0])
    link.check_workers()
    now[0] = START_S
    with pytest.raises(TransportError, match=r"0 of 2 workers have come up within 300 s.* ask for fewer workers"):
        link.check_workers()
    ray.get(link._exchange.enter.remote(1))
    for _ in range(2):
        link.check_workers()
    assert len(said) == 1, "once"
    assert said[0].startswith("1 of 2 workers have come up within 300 s. Each takes one CPU; the cluster has 1,")
    assert "The run goes on" in said[0]
    link.close()
    over.touch()
    ray.get(holding)


def test_a_cluster_that_does_not_begin_is_told_with_where_to_look(one_cpu: None) -> None:
    with pytest.raises(TransportError, match=r"has not begun .* not answered within 0 s.*session_latest/logs"):
        RayTransport(None, 0, max_chunks=4, start_s=0.0)


def test_a_run_whose_exchange_is_gone_ends(one_cpu: None) -> None:
    import ray

    link = RayTransport(None, 0, max_chunks=4)
    worker = link.worker_end()
    ray.kill(link._exchange)
    for call in (lambda: link.recv_chunks(0.1), lambda: worker.poll_weights(-1)):
        with pytest.raises(TransportError, match=r"does not answer any more \(ActorDiedError"):
            call()
    link.close()


class Standin:
    """Ray, as far as beginning goes."""

    def __init__(self, error: Exception | None) -> None:
        self._error, self.calls, self.seen = error, list[dict[str, Any]](), dict[str, str]()
        self.is_initialized, self.ended = lambda: False, 0

    def init(self, **how: Any) -> None:
        self.calls.append(how)
        self.seen = {name: os.environ.get(name, "") for name in LOCAL_SETTINGS}
        if self._error is not None:
            raise self._error

    def shutdown(self) -> None:
        self.ended += 1


@pytest.mark.parametrize(("address", "sentence"), [
    ("10.0.0.1:6379", "The Ray cluster at 10.0.0.1:6379 cannot be joined: Could not find any instance"),
    (None, "Ray does not start on this machine: Could not find any instance"),
])  # fmt: skip
def test_ray_that_does_not_start_is_told(monkeypatch: pytest.MonkeyPatch, address: str | None, sentence: str) -> None:
    ray = Standin(ConnectionError("Could not find\nany instance"))
    monkeypatch.setitem(sys.modules, "ray", ray)
    with pytest.raises(TransportError, match=sentence), ray_session(address, num_cpus=2):
        pass
    assert ray.ended == 1, "what had started already ends"


def test_workers_on_this_machine_are_not_niced_away_unless_somebody_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = Standin(None)
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.delenv("RAY_worker_niceness", raising=False)
    with ray_session(num_cpus=2):
        assert ray.seen["RAY_worker_niceness"] == "0"
        assert "RAY_worker_niceness" not in os.environ, "the programs that this one starts later inherit nothing"
    monkeypatch.setenv("RAY_worker_niceness", "19")
    with ray_session(num_cpus=2):
        assert ray.seen["RAY_worker_niceness"] == "19"
    with ray_session("auto"):
        pass
    assert [call["address"] for call in ray.calls] == ["local", "local", "auto"]
    assert "num_cpus" not in ray.calls[-1], "a cluster has the CPUs it has"

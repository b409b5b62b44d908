"""A racing run whose trainer, server and workers are processes of their own, over TLS."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from benchmarks.slow_link import SlowLink
from tests.distributed.net_kit import SPEC, relay, trainer_end, until, worker_end
from tests.distributed.test_continuous_training import SMALL as CONTINUOUS
from tests.distributed.test_train import small

from trackmaster.cli import main
from trackmaster.distributed.racing import trainer as racing_trainer
from trackmaster.distributed.racing.algorithms import algorithm_of
from trackmaster.distributed.racing.beginning import RESUMABLE
from trackmaster.distributed.racing.environments import load_tracks
from trackmaster.distributed.racing.network_run import (
    RUN,
    check_tracks,
    config_from,
    describe_run,
    local_file,
    open_trainer_end,
)
from trackmaster.distributed.racing.train import train
from trackmaster.distributed.security.join_string import ServerAddress, format_join
from trackmaster.distributed.security.server_keys import ServerKeys
from trackmaster.distributed.transport.contract import TransportError
from trackmaster.distributed.transport.ray_link import RayTransport
from trackmaster.distributed.wire.link_spec import SpecError, columns_of, describe, differences, parse
from trackmaster.errors import ConfigError, InterruptedRunError
from trackmaster.rl.config.training import TrainConfig

PATIENCE_S = 300
IMPATIENT = """
from trackmaster.cli import main
from trackmaster.distributed.racing import on_policy_worker
on_policy_worker.GRACE_S = 0.05
raise SystemExit(main(["train", "worker"]))
"""
"""A worker that believes an impatient trainer."""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRACKMASTER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return tmp_path


@contextmanager
def program(*words: str, module: bool = True, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """``trackmaster`` in a process of its own; ended at the latest with the block."""
    command = [sys.executable, "-u", *(["-m", "trackmaster"] if module else []), *words]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **environment}
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def over_network(keys: Path, port: int, *flags: str) -> TrainConfig:
    join = ServerKeys(keys).joins(host="127.0.0.1", port=port)["trainer-1"]
    return small("--performance.transport", "websocket", "--network.join", join, *flags)


def test_server_trainer_and_two_workers_train_over_tls(here: Path) -> None:
    keys = here / "keys"
    joins = ServerKeys(keys).create("127.0.0.1", 6666)
    with program("server", "--keys", str(keys), "--host", "127.0.0.1", "--port", "0") as server:
        assert server.stdout is not None
        port = int(re.findall(r"port (\d+) \(TLS 1.3\)", server.stdout.readline())[0])
        worker_join = ServerKeys(keys).joins(host="127.0.0.1", port=port)["worker-1"]
        with (
            program("train", "worker", TRAIN_WORKER_JOIN=worker_join) as one,
            program("train", "worker", "--join", worker_join, "--on-full", "drop") as two,
        ):
            result = train(over_network(keys, port), say=lambda line: None)
            outputs = [worker.communicate(timeout=PATIENCE_S)[0] for worker in (one, two)]
            codes = [one.returncode, two.returncode]
    assert codes == [0, 0], outputs
    assert all("The trainer has ended the run" in output for output in outputs)
    driven = [int(re.findall(r"drove (\d+) decisions", output)[0]) for output in outputs]
    assert result.stats.cumul_number_frames_played >= 900
    assert result.stats.cumul_number_frames_played <= sum(driven)
    assert result.stats.cumul_number_batches_done > 0
    assert {output.split("Worker ")[1][0] for output in outputs} == {"0", "1"}, "each has a number of its own"
    for written in (here / "save").rglob("*"):
        if written.is_file():
            tokens = [join.partition("t=")[2].encode() for join in joins.values()]
            assert not any(token in written.read_bytes() for token in tokens), f"a token lies in {written}"


def test_over_a_distant_link_training_goes_on_and_all_counts_agree(here: Path) -> None:
    """50 ms each way, and 1 % of the segments as late as a lost and repeated one: what ``slow_link`` does by itself."""
    keys = here / "keys"
    with relay(here, tls=True) as server, SlowLink(server.port) as link:
        join = ServerKeys(keys).joins(host="127.0.0.1", port=link.port)["worker-1"]
        with (
            program("train", "worker", TRAIN_WORKER_JOIN=join) as one,
            program("train", "worker", TRAIN_WORKER_JOIN=join) as two,
        ):
            stats = train(over_network(keys, link.port), say=lambda line: None).stats
            outputs = [worker.communicate(timeout=PATIENCE_S)[0] for worker in (one, two)]
            codes = [one.returncode, two.returncode]
        numbers = server.numbers()
        assert link.segments > 0
    assert codes == [0, 0], outputs
    driven = sum(int(re.findall(r"drove (\d+) decisions", output)[0]) for output in outputs)
    assert stats.cumul_number_batches_done > 0
    assert 900 <= stats.cumul_number_frames_played <= numbers["steps"] <= driven
    assert numbers["delivered"] + numbers["queue_chunks"] >= numbers["chunks"] > 0
    lost = ("dropped", "duplicates", "refused_frames", "workers_lost", "refused_tokens")
    assert {name: numbers[name] for name in lost} == dict.fromkeys(lost, 0.0)


def test_ppo_trains_over_tls_although_one_of_two_workers_never_comes(
    here: Path, repository_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(racing_trainer, "MORE_S", 0.3)
    with relay(here, tls=True) as server:
        flags = [
            *CONTINUOUS, "--training.max-frames", "800", "--performance.transport", "websocket",
            "--performance.gpu-collectors-count", "2", "--network.join", server.join_string("trainer"),
        ]  # fmt: skip
        config = TrainConfig.load(flags, config=repository_root / "config_files" / "rl" / "config_ppo.yaml")
        with program("-c", IMPATIENT, TRAIN_WORKER_JOIN=server.join_string("worker"), module=False) as worker:
            stats = train(config, say=lambda line: None).stats
            output = worker.communicate(timeout=PATIENCE_S)[0]
        numbers = server.numbers()
    assert worker.returncode == 0, output
    assert "The trainer has ended the run" in output
    assert stats.cumul_number_frames_played >= 200
    assert stats.cumul_number_batches_done >= 2, "updates from whole rollouts"
    assert stats.weights_version > stats.cumul_number_batches_done, "each update is published"
    assert numbers["dropped"] == 0


def test_an_interrupted_trainer_leaves_its_workers_waiting_and_says_what_it_has_saved(here: Path) -> None:
    said: list[str] = []

    def interrupt(line: str) -> None:
        said.append(line)
        if "evaluation 1" in line:
            raise KeyboardInterrupt

    with relay(here, tls=True) as server, worker_end(server, spec=b"", worker_id=5) as worker:
        worker.wait_connected(60)
        config = over_network(here / "keys", server.port, "--memory.save-with-checkpoint")
        with pytest.raises(InterruptedRunError):
            train(config, say=interrupt)
        until(lambda: server.numbers()["trainer"] == 0, "the trainer is gone")
        assert not worker.should_stop()
    state = json.loads((here / "save" / "small" / "state.json").read_text())
    assert state["trainer"]["received"] == {}


def test_a_trainer_without_a_join_string_serves_itself(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = small("--performance.transport", "websocket", "--network.port", "0", "--network.host", "127.0.0.1")
    said: list[str] = []
    tracks = load_tracks(config)
    columns = algorithm_of(config).spec
    end = open_trainer_end(config, tracks, columns, 200, say=said.append)
    try:
        assert "trackmaster server --show-join" in said[-1]
        assert main(["server", "--show-join"]) == 0
        port = int(re.findall(r"port (\d+)", said[-1])[0])
        join = re.findall(r"tmjoin://\S+", capsys.readouterr().out)[0]
        address = ServerAddress(
            "127.0.0.1", port, fingerprint=join[join.index("fp=") + 3 :][:64], token=join.partition("t=")[2]
        )
        with worker_end(address, spec=b"") as worker:
            assert config_from(worker.wait_connected(60).spec, None).environment == config.environment
    finally:
        end.close()


def test_the_description_holds_what_workers_need_and_no_secrets(here: Path) -> None:
    config = small("--performance.transport", "websocket", "--network.join", "tmjoin://h/#t=secret")
    tracks = load_tracks(config)
    spec = describe_run(config, tracks, algorithm_of(config).spec)
    assert b"secret" not in spec
    made = config_from(spec, None)
    for section in ("environment", "neural_network", "exploration", "rewards", "map_cycle", "inputs"):
        assert getattr(made, section) == getattr(config, section)
    check_tracks(spec, made, tracks)
    with pytest.raises(ConfigError, match="not the trainer's"):
        check_tracks(spec, made, [SimpleNamespace(uid="other")])  # type: ignore[list-item]
    longer = small("--training.max-frames", "5", "--evaluation.attempts", "3", "--run-name", "other")
    assert describe_run(longer, tracks, algorithm_of(longer).spec) == spec, "limits of the trainer make no other run"
    assert "secret" not in config.to_yaml()
    assert config.network.join is not None
    assert {"network.join", "network.port"} <= set(RESUMABLE)


def test_paths_of_another_machine_are_looked_for_by_name_only(tmp_path: Path) -> None:
    (tmp_path / "a.Gbx").write_bytes(b"")
    assert local_file("bundled:first_steps", None) == "bundled:first_steps"
    for named in ("a.Gbx", "/etc/a.Gbx", "..\\..\\a.Gbx", "maps/../a.Gbx"):
        assert local_file(named, tmp_path) == str(tmp_path / "a.Gbx")
    for named in ("/etc/passwd", "..", "", "b.Gbx", "x/.."):
        with pytest.raises(ConfigError, match="--maps"):
            local_file(named, tmp_path)
    with pytest.raises(ConfigError, match="no --maps folder"):
        local_file("a.Gbx", None)


def test_what_a_worker_cannot_use_is_refused_with_a_sentence(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError, match="trackmaster worker"):
        config_from(describe(SPEC), None)
    with pytest.raises(ConfigError, match="same release"):
        config_from(describe(SPEC, run={"no_such_section": 1}), None)
    assert main(["train", "worker"]) == 1
    assert "--show-join" in capsys.readouterr().err
    assert main(["train", "worker", "--join", "tmjoin://127.0.0.1:1/"]) == 1
    assert "cut it at the #" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="at most 250"):
        open_trainer_end(small(), (), SPEC, 300, say=print)


def test_a_worker_of_another_run_is_told_what_differs(tmp_path: Path) -> None:
    other = describe(replace_floats(5))
    with relay(tmp_path) as server, trainer_end(server) as trainer:
        trainer.wait_connected(60)
        with pytest.raises(
            TransportError, match=r'columns\.floats is \["<f4", \[5\]\] here and \["<f4", \[4\]\] there'
        ):
            worker_end(server, spec=other).wait_connected(60)


def replace_floats(n: int) -> dict[str, object]:
    return {**SPEC, "floats": replace(SPEC["floats"], shape=(n,))}  # type: ignore[dict-item]


def test_descriptions_have_limits() -> None:
    with pytest.raises(SpecError, match="16384"):
        describe(SPEC, run="x" * 17_000)
    for junk in (b"", b"[]", b"{", b"\xff", b"[" * 100_000):
        with pytest.raises(SpecError):
            parse(junk)
    with pytest.raises(SpecError, match="no map of dtype and shape"):
        columns_of(b'{"columns":{"a":["|u1",[Infinity]]}}')
    one, other = describe(SPEC, a={"b": 1, "c": [1]}), describe(SPEC, a={"b": 2, "c": [1]}, d=1)
    assert differences(one, other) == "a.b is 1 here and 2 there; d is missing here and 1 there"
    assert differences(one, one) == ""
    many = differences(describe({}, **{f"k{i}": 1 for i in range(9)}), describe({}))
    assert many.endswith("and 3 more")
    assert json.loads(one)["a"] == {"b": 1, "c": [1]}
    assert format_join(ServerAddress("h", 1, fingerprint="00" * 32, token="t")).startswith("tmjoin://h:1/")
    assert RUN in json.loads(describe(SPEC, **{RUN: {}}))


def test_two_ray_actors_train(here: Path) -> None:
    pytest.importorskip("ray", reason="ray is not installed (extra 'cluster')")
    flags = ("--performance.transport", "ray", "--performance.gpu-collectors-count", "2")
    result = train(small(*flags), say=lambda line: None)
    assert result.stats.cumul_number_frames_played >= 900
    assert result.stats.cumul_number_batches_done > 0


def test_ray_that_is_not_installed_is_told_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"trackmaster\[cluster\]"):
        RayTransport(None, 0, max_chunks=1)

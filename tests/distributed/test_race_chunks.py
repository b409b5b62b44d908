"""A worker of a racing run that lies: it is sent away, the trainer and the honest go on."""

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.distributed.net_kit import chunk, receive, relay, trainer_end, until, worker_end

from trackmaster.distributed.racing.chunks import OUTCOME, check_race_chunk
from trackmaster.distributed.racing.run_stats import RunStats
from trackmaster.distributed.transport.contract import TransportError
from trackmaster.rl.samples.chunk import Chunk, SampleError

TRACKS = ("läne", "other")
STATS = dict.fromkeys(OUTCOME, 1.0)


def honest(number: int) -> Chunk:
    return replace(chunk(number, end=True), stats=STATS)


def another_action(made: Chunk) -> Chunk:
    made.columns["action"][-1] = 12
    return made


LIES: dict[str, Callable[[Chunk], Chunk]] = {
    "action 12, there are 12": another_action,
    "the track 'hill', the run drives läne, other": lambda c: replace(c, track="hill"),
    "4294967295 decisions, at most 250 come together": lambda c: replace(c, n_steps=2**32 - 1),
    "without finished, is_exploration, progress_m, race_time_ms": lambda c: replace(c, stats={"return": 1.0}),
}


@pytest.mark.parametrize("message", LIES)
def test_what_no_car_of_the_run_drives_is_refused(message: str) -> None:
    check_race_chunk(honest(0), TRACKS)
    with pytest.raises(SampleError, match=f"Worker 0 sent .*{message}"):
        check_race_chunk(LIES[message](honest(0)), TRACKS)


@pytest.mark.parametrize("message", LIES)
def test_a_lying_worker_is_told_so_and_does_not_stop_the_trainer(tmp_path: Path, message: str) -> None:
    said: list[str] = []
    check = functools.partial(check_race_chunk, tracks=TRACKS)
    stats = RunStats()
    with relay(tmp_path) as server, trainer_end(server, check=check, say=said.append) as trainer:
        with worker_end(server) as liar, worker_end(server) as worker:
            liar.send_chunk(LIES[message](honest(0)))
            with pytest.raises(TransportError, match=f"sent this worker away.*{message}"):
                until(lambda: liar.poll_weights(-1) is not None, "the liar's end")
            number = liar.worker_id
            worker.send_chunk(honest(9))
            arrived = receive(trainer, 1)
        assert [c.columns["floats"][0, 0] for c in arrived] == [9]
        for made in arrived:
            stats.note_chunk(made, 0.0)
        assert trainer.refused == 1
        assert trainer.evicted() == [number]
    assert stats.cumul_number_episodes == 1
    assert sum("is sent away, and nothing is learnt" in line for line in said) == 1, said

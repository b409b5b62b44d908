"""A trainer that takes nothing for a while, over a connection that breaks again and again."""

from pathlib import Path

import pytest
from tests.distributed.net_kit import chunk, receive, relay, trainer_end, until, worker_end

from trackmaster.distributed.wire.messages import encode

WINDOW = 4
"""Chunks that are sent before earlier ones have been taken."""


def test_no_new_connection_brings_more_than_one_window_of_what_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = len(encode(chunk(0)))
    monkeypatch.setattr("trackmaster.distributed.relay.delivery.TRAINER_WINDOW_BYTES", (WINDOW - 1) * size)
    with relay(tmp_path) as server, worker_end(server) as worker:
        for number in range(30):
            worker.send_chunk(chunk(2 * number))
        until(lambda: server.numbers()["chunks"] == 30, "all of them wait")
        core, loop = server._core, server._loop
        assert core is not None
        assert loop is not None
        with trainer_end(server) as trainer:
            until(lambda: len(trainer._inbox) >= WINDOW, "the first window")
            for times in range(2, 5):
                assert core.trainer is not None
                loop.call_soon_threadsafe(core.trainer.connection.transport.abort)
                until(lambda wanted=times: server.numbers()["trainers"] == wanted, "its return")  # type: ignore[misc]
                until(lambda least=times: trainer.duplicates >= WINDOW * (least - 1), "the window again")  # type: ignore[misc]
            with worker_end(server) as other:  # its goodbye comes behind whatever else is under way
                until(lambda: other.worker_id >= 0, "a while")
            assert len(trainer._inbox) <= WINDOW + 1
            assert [c.seq for c in receive(trainer, 30)] == list(range(30))

"""Servers, clients and chunks for the tests of the network."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from trackmaster.distributed.link.client import LinkOptions
from trackmaster.distributed.link.trainer_end import WebSocketTrainerEnd
from trackmaster.distributed.link.worker_end import WebSocketWorkerEnd
from trackmaster.distributed.relay.core import CoreOptions
from trackmaster.distributed.relay.server import RelayOptions, RelayServer
from trackmaster.distributed.security.join_string import ServerAddress
from trackmaster.distributed.transport.contract import TrainerEnd, Weights
from trackmaster.distributed.wire import link_spec
from trackmaster.rl.samples.chunk import Chunk, iqn_sample_spec

SPEC = iqn_sample_spec((1, 6, 6), 4)
DESCRIBED = link_spec.describe(SPEC)
QUICK = LinkOptions(shortest_wait_s=0.02, longest_wait_s=0.2, silence_s=30.0, flush_s=5.0)
PATIENCE_S = 60.0


def chunk(
    number: int, *, worker: int = 0, episode: int = 0, version: int = 1, rows: int = 3, end: bool = False
) -> Chunk:
    """A chunk whose every value says which one it is."""
    rng = np.random.default_rng([number, worker])
    columns: dict[str, Any] = {name: rng.integers(0, 2, (rows, *c.shape)).astype(c.dtype) for name, c in SPEC.items()}
    columns["floats"][:] = number
    columns["reward"][:] = worker
    history = np.full((4, 3), number + 0.1, np.float32) if number % 2 else np.zeros((0, 0), np.float32)
    return Chunk(
        f"{worker:032x}", number, worker, episode, 2 * number, 1, version, columns, end_of_episode=end,
        n_steps=rows - 1, fill_buffer=number % 3 != 0, stats={"return": number / 4} if end else {}, track="läne",
        act_history=history,
    )  # fmt: skip


def weights(version: int) -> Weights:
    return Weights.pack(version, {"a": torch.full((3,), float(version))})


def until(holds: Callable[[], bool], what: str) -> None:
    """Wait for something that another thread brings about."""
    deadline = time.monotonic() + PATIENCE_S
    ticks = threading.Event()
    while not holds():
        assert time.monotonic() < deadline, f"it never came about: {what}"
        ticks.wait(0.005)


def receive(end: TrainerEnd, enough: int) -> list[Chunk]:
    """Everything that arrives until there are ``enough``."""
    chunks: list[Chunk] = []
    deadline = time.monotonic() + PATIENCE_S
    while len(chunks) < enough:
        assert time.monotonic() < deadline, f"{len(chunks)} of {enough} chunks came"
        chunks += end.recv_chunks(0.5)
    return chunks


def silent(line: str) -> None:
    """Where lines for people go in most tests."""


def relay(
    folder: Path, *, tls: bool = False, port: int = 0, core: CoreOptions | None = None,
    say: Callable[[str], None] = silent, **more: Any,
) -> RelayServer:  # fmt: skip
    """A server on loopback that is not started yet."""
    options = RelayOptions(
        security="TLS" if tls else None, host="127.0.0.1", port=port, keys=folder / "keys",
        core=core or CoreOptions(), **more,
    )  # fmt: skip
    return RelayServer(options, say=say)


def worker_end(where: RelayServer | ServerAddress, **more: Any) -> WebSocketWorkerEnd:
    address = where if isinstance(where, ServerAddress) else where.address("worker")
    return WebSocketWorkerEnd(address, **{"spec": DESCRIBED, "options": QUICK, "say": silent, **more})


def trainer_end(where: RelayServer | ServerAddress, **more: Any) -> WebSocketTrainerEnd:
    address = where if isinstance(where, ServerAddress) else where.address("trainer")
    return WebSocketTrainerEnd(address, SPEC, **{"spec": DESCRIBED, "options": QUICK, "say": silent, **more})

"""The seed's worker over TLS as a process of its own, quick to start: its modules are imported once for all of them."""

import functools
import os
import time
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

from tests.distributed import toy_control

from trackmaster.tmrl.networking import RolloutWorker

PASSWORD = "a pass phrase for the toys"
PACE_S = 0.002
"""Of a step, so that four of them leave the trainer its share of a small machine."""


class Paced(toy_control.Follow):
    """The toy at a pace of its own."""

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        time.sleep(PACE_S)
        return super().step(action)


def drive(home: Path, port: int, number: int, stop: Event) -> None:
    """Drive until told to stop, then say how many steps that were in ``home/<number>.steps``."""
    os.environ["TRACKMASTER_HOME"] = str(home / f"worker{number}")  # on a PC of its own: it pins the server by itself
    worker = RolloutWorker(
        functools.partial(Paced, number), toy_control.Actor, server_ip="127.0.0.1", server_port=port,
        password=PASSWORD, security="TLS", say=lambda line: None,
    )  # fmt: skip
    while not stop.is_set():
        worker.run(test_episode_interval=4, nb_episodes=1, verbose=False)
    worker.close()
    (home / f"{number}.steps").write_text(str(worker.env_steps))


def start(context: ForkServerContext, *args: Any) -> BaseProcess:
    """Start one worker."""
    process = context.Process(target=drive, args=args, daemon=True)
    process.start()
    return process

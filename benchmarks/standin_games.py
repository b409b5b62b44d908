"""Stand-ins in processes of their own, for benchmarks that play replays on several games at once."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from trackmaster.capture.games import Games
from trackmaster.game.setup.instances import Instance
from trackmaster.game.standin.faults import Fault
from trackmaster.game.standin.game import GameOptions
from trackmaster.game.standin.server import Standin

STOP_S = 10.0


@dataclass
class Standins:
    """Games that run, and what has happened to them."""

    games: Games
    killed: list[int] = field(default_factory=list)
    """Numbers of the workers that were killed."""
    faults_to_come: dict[int, list[Fault]] = field(default_factory=dict)
    """Faults that did not happen, by the number of the game; known when all have ended."""


def places_in(folder: Path, count: int) -> list[Instance]:
    """Return ``count`` user folders for games that do not run yet."""
    users = [folder / f"user{index}" for index in range(count)]
    return [Instance(index, 1, user / "TrackMania", user / "TMInterface", "") for index, user in enumerate(users)]


@contextmanager
def standins(
    places: Sequence[Instance],
    *,
    faults: Mapping[int, Sequence[Fault]] | None = None,
    kill: tuple[int, Fault] | None = None,
    speaks_ours: bool = True,
    **options: Any,
) -> Iterator[Standins]:
    """Run one stand-in per place.

    Args:
        places: user folders, with the maps in them.
        faults: what goes wrong, by the number of the game.
        kill: the worker of this number is killed (-9) while its game stands still in this phase.
        speaks_ours: False leaves only the public plugin's protocol.
        **options: of ``GameOptions``.
    """
    context, running, killed = multiprocessing.get_context("spawn"), [], list[int]()
    try:
        for place in places:
            told, tell = context.Pipe()
            halted, halt = context.Pipe()
            at = kill[1] if kill is not None and kill[0] == place.index else None
            plan = list((faults or {}).get(place.index, ()))
            chosen = GameOptions(base_path=place.user_path, scripts_path=place.scripts_path, **options)
            process = context.Process(target=_serve, args=(tell, halt, chosen, plan, at, speaks_ours), daemon=True)
            process.start()
            tell.close()
            halt.close()
            running.append((place, process, told))
            threading.Thread(target=_kill, args=(halted, place.index, killed), daemon=True).start()
        ready = Standins(Games(tuple(replace(place, port=told.recv()) for place, _, told in running)), killed)
        yield ready
        ready.faults_to_come = {place.index: _end(process, told) for place, process, told in running}
    finally:
        for _, process, _ in running:
            process.kill()
            process.join()


def _serve(
    tell: "Connection[Any, Any]",
    halt: "Connection[Any, Any]",
    options: GameOptions,
    plan: list[Fault],
    at: Fault | None,
    speaks_ours: bool,
) -> None:
    """Run one game until told to end; its own thread may hang."""

    def watch(phase: str, count: int) -> None:
        if at is not None and (phase, count) == (at.phase, at.at):
            halt.send("the worker can be killed")
            halt.recv()

    with Standin(options, faults=plan, watch=watch, speaks_ours=speaks_ours) as standin:
        tell.send(standin.port)
        tell.recv()
        tell.send(standin.faults_to_come)


def _kill(halted: "Connection[Any, Any]", number: int, killed: list[int]) -> None:
    """Kill a worker when its game stands still for that, and let the game go on."""
    try:
        halted.recv()
        for process in multiprocessing.active_children():
            if process.name == f"capture-{number}":
                os.kill(process.pid or 0, signal.SIGKILL)
                killed.append(number)
        halted.send("go on")
    except (EOFError, OSError):
        return  # the game ended without a halt


def _end(process: BaseProcess, told: "Connection[Any, Any]") -> list[Fault]:
    told.send("end")
    answer = told.recv()
    process.join(STOP_S)
    assert isinstance(answer, list)
    return answer

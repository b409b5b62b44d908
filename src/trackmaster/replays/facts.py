"""What files say about themselves, for filters: read by many processes, from headers alone where that is enough."""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from trackmaster import gbx
from trackmaster.replays.pool import end_with_parent

Item = TypeVar("Item")
Fact = TypeVar("Fact")

CHUNK = 64
WORTH_PROCESSES = 20_000
"""Headers from which on the start of other processes pays."""


@dataclass(frozen=True, slots=True)
class ReplayFacts:
    """What a replay says.

    Attributes:
        path: of the file.
        time_ms: race time; None if unfinished.
        respawns: None if the file does not say.
        map_uid, map_author: of the map driven; the author as login.
        login: of the driver.
        device: keyboard or pad; None if not read or without inputs.
        is_tminterface: whether it was made under TMInterface; None if not read.
        is_validable: whether the game would validate it; None if not said.
        error: why it could not be read; empty if it could.
    """

    path: Path
    time_ms: int | None = None
    respawns: int | None = None
    map_uid: str = ""
    map_author: str = ""
    login: str = ""
    device: str | None = None
    is_tminterface: bool | None = None
    is_validable: bool | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class MapFacts:
    """What a map says.

    Attributes:
        environment: Stadium on TMNF.
        mode: index into ``gbx.models.MODES``.
        intro_s: how long its intro holds the game before the countdown; 0 without one.
        is_unlimiter: whether it needs TMUnlimiter.
        uid: of the map.
        error: why it could not be read; empty if it could.
    """

    environment: str = ""
    mode: int = 0
    intro_s: float = 0.0
    is_unlimiter: bool = False
    uid: str = ""
    error: str = ""


def replay_facts(path: Path, *, needs_body: bool = False) -> ReplayFacts:
    """Return what a replay says; its body is read only where it is asked for or the header does not tell respawns."""
    try:
        header = gbx.read_header(path)
        if not isinstance(header, gbx.ReplayHeader):
            return ReplayFacts(path, error="the file is a map, expected a replay")
        respawns, device, is_tminterface = header.respawns, None, None
        if needs_body or respawns is None:
            replay = gbx.read_replay(path)
            respawns = max(replay.respawns, int(replay.has_respawn))
            events = replay.ghost.events if replay.ghost is not None else None
            if events is not None:
                device, is_tminterface = events.device, events.is_tminterface
    except gbx.GbxError as error:
        return ReplayFacts(path, error=str(error))
    return ReplayFacts(
        path, header.race_time_ms, respawns, header.map_uid, header.map_author, header.login, device, is_tminterface,
        header.is_validable,
    )  # fmt: skip


def map_facts(path: Path) -> MapFacts:
    """Return what a map says."""
    try:
        challenge = gbx.read_challenge(path)
    except gbx.GbxError as error:
        return MapFacts(error=str(error))
    return MapFacts(
        challenge.environment, challenge.mode, challenge.intro_duration_s, challenge.is_unlimiter, challenge.uid
    )


def spread(function: Callable[[Item], Fact], items: Sequence[Item], jobs: int, *, cost: int = 1) -> Iterator[Fact]:
    """Yield ``function(item)`` for each item in order, from ``jobs`` processes where the work is worth their start.

    Args:
        function: of a module, so that another process finds it.
        items: to work on.
        jobs: processes, at most.
        cost: of one item, in headers read.
    """
    if jobs <= 1 or len(items) * cost < WORTH_PROCESSES:
        yield from map(function, items)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(jobs, len(items)), mp_context=context, initializer=end_with_parent) as pool:
        yield from pool.map(function, items, chunksize=max(1, min(CHUNK, len(items) // jobs)))

"""``trackmaster exchange standin``: runs until it is stopped."""

import asyncio
import contextlib
import signal
from typing import TextIO

from trackmaster.replays.standin.config import StandInConfig
from trackmaster.replays.standin.crowd import crowd_exhibit
from trackmaster.replays.standin.exhibit import Exhibit
from trackmaster.replays.standin.faults import FaultPlan
from trackmaster.replays.standin.folder import bundled_exhibit, folder_exhibit
from trackmaster.replays.standin.server import Behaviour, LogEntry, StandIn, StandInServer


def run_standin(config: StandInConfig) -> int:
    """Serve until Ctrl+C (or a polite kill); return 0."""
    exhibit = exhibit_of(config)
    with contextlib.ExitStack() as stack:
        log = None
        if config.log is not None:
            config.log.parent.mkdir(parents=True, exist_ok=True)
            log = stack.enter_context(config.log.open("w", encoding="utf-8", buffering=1))
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(_serve(config, exhibit, log))
    return 0


def exhibit_of(config: StandInConfig) -> Exhibit:
    """Return what the flags want to be shown.

    Raises:
        TrackmasterError: the folder has nothing to show.
    """
    if config.crowd:
        return crowd_exhibit(config.crowd, config.crowd_replays, replay_bytes=config.crowd_bytes)
    return bundled_exhibit() if config.replays is None else folder_exhibit(config.replays)


async def _serve(config: StandInConfig, exhibit: Exhibit, log: TextIO | None) -> None:
    def note(entry: LogEntry) -> None:
        if log is not None:
            log.write(f"{entry.as_json()}\n")

    behaviour = Behaviour(config.latency_ms / 1000, config.bandwidth_kb_s * 1000, config.retry_after, config.stall_s)
    faults = FaultPlan(config.fault_rate, config.faults, config.seed)
    standin = StandIn(exhibit, faults, behaviour, note)
    stop = asyncio.Event()
    with contextlib.suppress(NotImplementedError, AttributeError):  # Windows knows no handlers of the loop
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with StandInServer(standin, host=config.host, port=config.port) as server:
        print(
            f"The stand-in shows {len(exhibit.tracks)} tracks with {len(exhibit.replays)} replays at {server.url}.\n"
            f"Use it with TRACKMASTER_EXCHANGE_URL={server.url}; Ctrl+C ends it.",
            flush=True,
        )  # fmt: skip
        await stop.wait()

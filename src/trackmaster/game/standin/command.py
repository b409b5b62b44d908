"""``trackmaster standin``: run stand-ins until somebody stops them."""

import contextlib
import signal
import threading
from collections.abc import Iterator

from trackmaster.errors import InterruptedRunError, TrackmasterError
from trackmaster.game.standin.config import StandinConfig
from trackmaster.game.standin.faults import Fault
from trackmaster.game.standin.game import GameOptions
from trackmaster.game.standin.server import Standin

WATCH_S = 0.2


def run_standin(config: StandinConfig) -> int:
    """Serve until interrupted (Ctrl+C or a polite kill); prints one line per instance once it listens.

    Raises:
        TrackmasterError: a port is taken, a fault is misspelt, or an instance failed.
    """
    if config.openplanet:
        return _run_openplanet(config)
    faults = [Fault.parse(text) for text in config.fault]
    options = _options(config)
    with contextlib.ExitStack() as stack:
        standins = [stack.enter_context(_standin(config, options, faults, index)) for index in range(config.instances)]
        for standin in standins:
            print(f"listening on 127.0.0.1:{standin.port}, {len(standin.game.maps)} maps", flush=True)
        with _polite_end() as ended:
            while not ended.wait(WATCH_S):
                _raise_failure(standins)
    raise InterruptedRunError("the stand-ins were stopped; nothing was left behind.")


def _run_openplanet(config: StandinConfig) -> int:
    from trackmaster.game.openplanet.command import openplanet_standin

    with openplanet_standin(config) as standin:
        print(
            f"listening on 127.0.0.1:{standin.port} (telemetry), {standin.ghost_port} (ghost), "
            f"{standin.desk_port} (desk)",
            flush=True,
        )
        with _polite_end() as ended:
            while not ended.wait(WATCH_S):
                if standin.error is not None:
                    raise TrackmasterError(f"the stand-in failed: {standin.error}") from standin.error
    raise InterruptedRunError("the stand-in was stopped; nothing was left behind.")


def _options(config: StandinConfig) -> GameOptions:
    return GameOptions(
        base_path=config.base_path,
        scripts_path=config.resolved_scripts_path,
        start_map=config.map,
        is_focused=config.focused,
        is_minimised=config.minimised,
        startup_frames=config.startup_frames,
        load_frames=config.load_frames,
        medal_ticks=config.medal_ticks,
        has_intros=config.intros,
        fps=config.fps,
        allow_unknown_blocks=config.allow_unknown_blocks,
        device=config.device,
    )


def _standin(config: StandinConfig, options: GameOptions, faults: list[Fault], index: int) -> Standin:
    port = config.port + index if config.port else 0
    return Standin(options, port=port, faults=faults, speaks_ours=config.dialect == "ours")


def _raise_failure(standins: list[Standin]) -> None:
    for standin in standins:
        if standin.error is not None:
            raise TrackmasterError(f"the stand-in on port {standin.port} failed: {standin.error}") from standin.error


@contextlib.contextmanager
def _polite_end() -> Iterator[threading.Event]:
    """Yield an event that SIGTERM sets; Ctrl+C raises as always."""
    ended = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield ended
        return
    before = signal.signal(signal.SIGTERM, lambda *_: ended.set())
    try:
        yield ended
    finally:
        signal.signal(signal.SIGTERM, before)

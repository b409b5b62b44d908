"""A racing run over the network: what the trainer says about the run, and the worker that makes itself from it."""

import contextlib
import functools
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from trackmaster.allocator import keep_freed_memory
from trackmaster.distributed.link.spool import Spool
from trackmaster.distributed.link.trainer_end import WebSocketTrainerEnd
from trackmaster.distributed.link.worker_end import WebSocketWorkerEnd
from trackmaster.distributed.racing.chunks import check_race_chunk
from trackmaster.distributed.racing.environments import BUNDLED, load_tracks, track_names
from trackmaster.distributed.racing.network_worker_config import TrainWorkerConfig
from trackmaster.distributed.racing.workers import make_worker
from trackmaster.distributed.relay.server import RelayOptions, RelayServer
from trackmaster.distributed.security.join_string import parse_join
from trackmaster.distributed.transport.contract import TrainerEnd, TransportError
from trackmaster.distributed.wire import link_spec
from trackmaster.distributed.wire.messages import MAX_ROWS
from trackmaster.errors import ConfigError, InterruptedRunError
from trackmaster.rl.config.training import TrainConfig
from trackmaster.rl.samples.chunk import SampleSpec

if TYPE_CHECKING:
    from trackmaster.track import Track

RUN, TRACKS = "run", "tracks"
OF_THE_TRAINER = ("run_name", "resume", "fresh", "device", "use_tqdm", "evaluation", "memory", "network")
"""Settings that a worker has no use for; changing one of them makes no other run."""
LIMITS = ("max_frames", "max_minutes")
CONNECT_S = 60.0
ASK_AGAIN_S = 2.0

Say = Callable[[str], None]


def describe_run(config: TrainConfig, tracks: "Sequence[Track]", columns: SampleSpec) -> bytes:
    """Return what trainer and workers must agree on, from which a worker can also be made.

    Raises:
        SpecError: the settings are longer than what travels.
    """
    values = config.model_dump(mode="json", exclude={*OF_THE_TRAINER})
    for limit in LIMITS:
        values["training"].pop(limit)
    for folder in ("save_dir", "tensorboard_dir", "transport"):
        values["performance"].pop(folder)
    uids = {name: track.uid for name, track in zip(track_names(config), tracks, strict=True)}
    return link_spec.describe(columns, **{RUN: values, TRACKS: uids})


def open_trainer_end(
    config: TrainConfig, tracks: "Sequence[Track]", columns: SampleSpec, chunk_rows: int, *,
    received: Mapping[str, int] | None = None, say: Say,
) -> TrainerEnd:  # fmt: skip
    """Return the trainer's end of the network, with a server of its own if none is named.

    Args:
        config: the whole run.
        tracks: of the run.
        columns: of its samples.
        chunk_rows: most rows of one chunk.
        received: how far the chunks of each worker's life have come into the saved memory.
        say: where lines for people go.

    Raises:
        ConfigError: the chunks are larger than what travels, or the join string is wrong.
        TransportError: the server does not answer, or refuses.
    """
    if chunk_rows > MAX_ROWS:
        raise ConfigError(
            f"Chunks of {chunk_rows} rows (performance.chunk_rows) cannot travel: over the network at most {MAX_ROWS} "
            "rows go together."
        )
    spec = describe_run(config, tracks, columns)
    network = config.network
    more: dict[str, Any] = {
        "spec": spec, "run_name": config.run_name, "say": say, "marks": received,
        "acknowledge": "saved" if config.memory.save_with_checkpoint else "received",
        "max_ahead": config.performance.max_rollout_queue_size,
        "check": functools.partial(check_race_chunk, tracks=track_names(config)),
    }  # fmt: skip
    if network.join is not None:
        address = parse_join(network.join.get_secret_value(), allow_insecure=network.allow_insecure)
        return _connected(WebSocketTrainerEnd(address, columns, **more))
    server = RelayServer(RelayOptions(host=network.host, port=network.port, keys=network.keys), say=say).start()
    try:
        address = server.address("trainer")
        end = ServingTrainerEnd(server, address, columns, **more)
        _connected(end)
    except BaseException:
        server.close()
        raise
    say(
        f"Workers can come to port {server.port}. Their join string: trackmaster server --show-join"
        f"{f' --keys {network.keys}' if network.keys else ''}; then on each of them: trackmaster train worker"
    )
    return end


class ServingTrainerEnd(WebSocketTrainerEnd):
    """A trainer's end whose server lives in the same program."""

    def __init__(self, server: RelayServer, *args: Any, **more: Any) -> None:
        self._server = server
        super().__init__(*args, **more)

    def close(self) -> None:
        """Say goodbye, then end the server."""
        super().close()
        self._server.close()


def run_train_worker(settings: TrainWorkerConfig) -> None:
    """Drive until the trainer has ended the run.

    Raises:
        ConfigError: no join string, or a map that is not here.
        InterruptedRunError: Ctrl+C.
        TransportError: the server cannot be reached at the start, or refuses.
    """
    if settings.join is None:
        raise ConfigError(
            "A worker needs the join string that 'trackmaster server --show-join' prints: give it with --join '...' or "
            "in TRAIN_WORKER_JOIN."
        )
    keep_freed_memory()
    torch.set_num_threads(settings.threads)
    address = parse_join(settings.join.get_secret_value(), allow_insecure=settings.allow_insecure)
    spool = Spool(settings.spool) if settings.spool is not None else None
    open_end = functools.partial(
        WebSocketWorkerEnd, address, worker_id=settings.worker_id, on_full=settings.on_full,
        outbox_bytes=settings.outbox_mb * 2**20, spool=spool,
    )  # fmt: skip
    steps = 0
    try:
        with contextlib.closing(spool) if spool is not None else contextlib.nullcontext(), _joined(open_end) as end:
            config = config_from(end.run_spec, settings.maps)
            tracks = load_tracks(config)
            check_tracks(end.run_spec, config, tracks)
            end.keep_near(config.performance.max_rollout_queue_size)
            print(f"Worker {end.worker_id} drives {', '.join(track_names(config))}; Ctrl+C ends it.", flush=True)
            lives = int.from_bytes(end.session[:4], "big")  # no life of a worker drives with the draws of another
            worker = make_worker(config, end, end.worker_id, tracks=tracks, played=lives)
            try:
                worker.run()
            finally:
                steps = worker.env_steps
    except KeyboardInterrupt:
        raise InterruptedRunError(f"stopped after {steps} decisions; what had been driven was sent.") from None
    print(f"The trainer has ended the run; this worker drove {steps} decisions.")


def config_from(spec: bytes, maps: Path | None) -> TrainConfig:
    """Return the settings of the run that a trainer described.

    Paths of another machine are not trusted: only their last part counts, looked for in ``maps``.

    Raises:
        ConfigError: it is no racing run, of another release, or needs files that are not here.
    """
    values = link_spec.parse(spec).get(RUN)
    if not isinstance(values, dict):
        raise ConfigError(
            "The trainer at this server does not train a racing run of 'trackmaster train'; its workers are started "
            "with 'trackmaster worker'."
        )
    try:
        config = TrainConfig(**values)
    except ValueError as error:
        raise ConfigError(
            f"The trainer's settings are not understood here ({' '.join(str(error).split())[:300]}). Install the same "
            "release on both machines."
        ) from None
    entries = tuple(
        entry.model_copy(
            update={
                name: local_file(value, maps)
                for name in ("map_path", "reference_line_path")
                if (value := getattr(entry, name)) is not None
            }
        )
        for entry in config.map_cycle.entries
    )
    cycle = config.map_cycle.model_copy(update={"entries": entries})
    return config.model_copy(update={"map_cycle": cycle})


def local_file(named: str, maps: Path | None) -> str:
    """Return the file of this machine that stands for one of the trainer's.

    Raises:
        ConfigError: it needs a folder of maps and none was given, or the file is not in it.
    """
    if named.startswith(BUNDLED):
        return named
    name = named.replace("\\", "/").rsplit("/", 1)[-1]
    if maps is None or not (maps / name).is_file() or name in ("", ".", ".."):
        place = f"it is not in {maps}" if maps is not None else "no --maps folder was given"
        raise ConfigError(
            f"The run drives {name}, but {place}. Copy the file from the trainer and give its folder with --maps."
        )
    return str(maps / name)


def check_tracks(spec: bytes, config: TrainConfig, tracks: "Sequence[Track]") -> None:
    """Refuse to drive other maps than the trainer's.

    Raises:
        ConfigError: a map of the same name has another identifier.
    """
    expected = link_spec.parse(spec).get(TRACKS)
    found = {name: track.uid for name, track in zip(track_names(config), tracks, strict=True)}
    if found != expected:
        raise ConfigError(
            f"The maps here are not the trainer's: found {json.dumps(found)}, expected {json.dumps(expected)}. Copy "
            "the trainer's map files."
        )


def _joined(open_end: Callable[[], WebSocketWorkerEnd]) -> WebSocketWorkerEnd:
    """Return a connected worker's end of a server that knows the trainer's run, waiting for the trainer if need be."""
    has_said = False
    while True:
        end = open_end()
        try:
            end.wait_connected(CONNECT_S)
            if end.run_spec:
                return end
        except BaseException:
            end.close()
            raise
        end.close()
        if not has_said:
            print("The server is there, the trainer is not yet; waiting for it.", flush=True)
            has_said = True
        threading.Event().wait(ASK_AGAIN_S)


def _connected(end: WebSocketTrainerEnd) -> WebSocketTrainerEnd:
    try:
        end.wait_connected(CONNECT_S)
    except TransportError:
        end.close()
        raise
    return end

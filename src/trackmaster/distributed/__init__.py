"""The roles of a training run and what joins them: workers, trainers and their transports.

The roles of the TMRL seed stand here (``server``, ``rollout_worker``, ``trainer``, ``training_offline``) with what only
they use. Below them, each part importing only those before it:

- ``wire``: what travels over the network;
- ``transport``: the contract between worker and trainer, and its forms without a server (one process, many, Ray);
- ``security``: who may speak to a server;
- ``relay`` and ``link``: the server, and its clients.

Above them, what makes whole runs: ``config_json`` from a ``config.json``, ``racing`` for ``trackmaster train``.

Names are imported on first use, because most of them need torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trackmaster.distributed.collected import sample_columns
    from trackmaster.distributed.link.trainer_end import WebSocketTrainerEnd
    from trackmaster.distributed.link.worker_end import WebSocketWorkerEnd
    from trackmaster.distributed.racing.command import EvaluateConfig, run_evaluate, run_train
    from trackmaster.distributed.racing.options import TrainerOptions
    from trackmaster.distributed.racing.train import TrainResult, train
    from trackmaster.distributed.racing.trainer import RacingTrainer
    from trackmaster.distributed.racing.vector_worker import VectorRolloutWorker
    from trackmaster.distributed.relay.server import RelayOptions, RelayServer
    from trackmaster.distributed.rollout_worker import RolloutWorker
    from trackmaster.distributed.security.join_string import parse_join
    from trackmaster.distributed.server import Server
    from trackmaster.distributed.trainer import Trainer
    from trackmaster.distributed.training_offline import TorchTrainingOffline
    from trackmaster.distributed.transport.contract import TrainerEnd, TransportError, Weights, WorkerEnd
    from trackmaster.distributed.transport.in_process import InProcessTransport
    from trackmaster.distributed.transport.local import LocalTransport
    from trackmaster.rl.config.training import TrainConfig
    from trackmaster.rl.samples.chunk import Chunk

_ON_FIRST_USE = {
    "Chunk": "trackmaster.rl.samples.chunk",
    "EvaluateConfig": "trackmaster.distributed.racing.command",
    "InProcessTransport": "trackmaster.distributed.transport.in_process",
    "LocalTransport": "trackmaster.distributed.transport.local",
    "RacingTrainer": "trackmaster.distributed.racing.trainer",
    "RolloutWorker": "trackmaster.distributed.rollout_worker",
    "Server": "trackmaster.distributed.server",
    "TorchTrainingOffline": "trackmaster.distributed.training_offline",
    "RelayOptions": "trackmaster.distributed.relay.server",
    "RelayServer": "trackmaster.distributed.relay.server",
    "TrainConfig": "trackmaster.rl.config.training",
    "TrainResult": "trackmaster.distributed.racing.train",
    "Trainer": "trackmaster.distributed.trainer",
    "TrainerEnd": "trackmaster.distributed.transport.contract",
    "TrainerOptions": "trackmaster.distributed.racing.options",
    "TransportError": "trackmaster.distributed.transport.contract",
    "VectorRolloutWorker": "trackmaster.distributed.racing.vector_worker",
    "WebSocketTrainerEnd": "trackmaster.distributed.link.trainer_end",
    "WebSocketWorkerEnd": "trackmaster.distributed.link.worker_end",
    "Weights": "trackmaster.distributed.transport.contract",
    "WorkerEnd": "trackmaster.distributed.transport.contract",
    "parse_join": "trackmaster.distributed.security.join_string",
    "run_evaluate": "trackmaster.distributed.racing.command",
    "run_train": "trackmaster.distributed.racing.command",
    "sample_columns": "trackmaster.distributed.collected",
    "train": "trackmaster.distributed.racing.train",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for."""
    if name not in _ON_FIRST_USE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_ON_FIRST_USE[name]), name)


__all__ = [
    "Chunk",
    "EvaluateConfig",
    "InProcessTransport",
    "LocalTransport",
    "RacingTrainer",
    "RelayOptions",
    "RelayServer",
    "RolloutWorker",
    "Server",
    "TorchTrainingOffline",
    "TrainConfig",
    "TrainResult",
    "Trainer",
    "TrainerEnd",
    "TrainerOptions",
    "TransportError",
    "VectorRolloutWorker",
    "WebSocketTrainerEnd",
    "WebSocketWorkerEnd",
    "Weights",
    "WorkerEnd",
    "parse_join",
    "run_evaluate",
    "run_train",
    "sample_columns",
    "train",
]

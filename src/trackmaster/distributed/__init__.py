"""The roles of a training run and what joins them: workers, trainers and their transports.

Names are imported on first use, because most of them need torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trackmaster.distributed.command import EvaluateConfig, run_evaluate, run_train
    from trackmaster.distributed.in_process import InProcessTransport
    from trackmaster.distributed.join_string import parse_join
    from trackmaster.distributed.local import LocalTransport
    from trackmaster.distributed.racing_trainer import RacingTrainer, TrainerOptions
    from trackmaster.distributed.relay import RelayOptions, RelayServer
    from trackmaster.distributed.rollout_worker import RolloutWorker
    from trackmaster.distributed.seed_server import Server
    from trackmaster.distributed.train import TrainResult, train
    from trackmaster.distributed.trainer import Trainer
    from trackmaster.distributed.training_offline import TorchTrainingOffline
    from trackmaster.distributed.transport import TrainerEnd, TransportError, Weights, WorkerEnd
    from trackmaster.distributed.vector_worker import VectorRolloutWorker
    from trackmaster.distributed.websocket_trainer import WebSocketTrainerEnd
    from trackmaster.distributed.websocket_worker import WebSocketWorkerEnd
    from trackmaster.rl.config import TrainConfig
    from trackmaster.rl.samples import Chunk

_ON_FIRST_USE = {
    "Chunk": "trackmaster.rl.samples",
    "EvaluateConfig": "trackmaster.distributed.command",
    "InProcessTransport": "trackmaster.distributed.in_process",
    "LocalTransport": "trackmaster.distributed.local",
    "RacingTrainer": "trackmaster.distributed.racing_trainer",
    "RolloutWorker": "trackmaster.distributed.rollout_worker",
    "Server": "trackmaster.distributed.seed_server",
    "TorchTrainingOffline": "trackmaster.distributed.training_offline",
    "RelayOptions": "trackmaster.distributed.relay",
    "RelayServer": "trackmaster.distributed.relay",
    "TrainConfig": "trackmaster.rl.config",
    "TrainResult": "trackmaster.distributed.train",
    "Trainer": "trackmaster.distributed.trainer",
    "TrainerEnd": "trackmaster.distributed.transport",
    "TrainerOptions": "trackmaster.distributed.racing_trainer",
    "TransportError": "trackmaster.distributed.transport",
    "VectorRolloutWorker": "trackmaster.distributed.vector_worker",
    "WebSocketTrainerEnd": "trackmaster.distributed.websocket_trainer",
    "WebSocketWorkerEnd": "trackmaster.distributed.websocket_worker",
    "Weights": "trackmaster.distributed.transport",
    "WorkerEnd": "trackmaster.distributed.transport",
    "parse_join": "trackmaster.distributed.join_string",
    "run_evaluate": "trackmaster.distributed.command",
    "run_train": "trackmaster.distributed.command",
    "train": "trackmaster.distributed.train",
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
    "train",
]

"""The three roles and their buffer."""

from trackmaster.distributed.rollout_worker import RolloutWorker
from trackmaster.distributed.server import Server
from trackmaster.distributed.trainer import Trainer
from trackmaster.rl.samples.buffer import Buffer

__all__ = ["Buffer", "RolloutWorker", "Server", "Trainer"]

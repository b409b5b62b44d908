"""Reinforcement learning: agents, memory, exploration, schedules, checkpoints and evaluation.

Names are imported on first use, because most of them need torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trackmaster.rl.actor import ActorModule
    from trackmaster.rl.agent import TrainingAgent
    from trackmaster.rl.checkpoint import CheckpointError, CheckpointStore
    from trackmaster.rl.config import TrainConfig
    from trackmaster.rl.evaluation import Evaluation, evaluate
    from trackmaster.rl.gaussian_actor import GaussianActor
    from trackmaster.rl.iqn import IQNActor, IQNAgent
    from trackmaster.rl.iqn_config import IQNConfig
    from trackmaster.rl.memory import IQNMemory, Memory
    from trackmaster.rl.metrics import MetricsLogger
    from trackmaster.rl.ppo import PPOTrainingAgent
    from trackmaster.rl.redq import REDQTrainingAgent
    from trackmaster.rl.rollout_memory import RolloutMemory
    from trackmaster.rl.sac import SACTrainingAgent
    from trackmaster.rl.schedules import Schedule
    from trackmaster.rl.torch_actor import TorchActorModule
    from trackmaster.rl.torch_memory import TorchMemory
    from trackmaster.rl.transition_memory import TransitionMemory

_ON_FIRST_USE = {
    "ActorModule": "actor",
    "CheckpointError": "checkpoint",
    "CheckpointStore": "checkpoint",
    "Evaluation": "evaluation",
    "GaussianActor": "gaussian_actor",
    "IQNActor": "iqn",
    "IQNAgent": "iqn",
    "IQNConfig": "iqn_config",
    "IQNMemory": "memory",
    "Memory": "memory",
    "MetricsLogger": "metrics",
    "PPOTrainingAgent": "ppo",
    "REDQTrainingAgent": "redq",
    "RolloutMemory": "rollout_memory",
    "SACTrainingAgent": "sac",
    "Schedule": "schedules",
    "TorchActorModule": "torch_actor",
    "TorchMemory": "torch_memory",
    "TrainConfig": "config",
    "TrainingAgent": "agent",
    "TransitionMemory": "transition_memory",
    "evaluate": "evaluation",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for."""
    if name not in _ON_FIRST_USE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ON_FIRST_USE[name]}"), name)


__all__ = [
    "ActorModule",
    "CheckpointError",
    "CheckpointStore",
    "Evaluation",
    "GaussianActor",
    "IQNActor",
    "IQNAgent",
    "IQNConfig",
    "IQNMemory",
    "Memory",
    "MetricsLogger",
    "PPOTrainingAgent",
    "REDQTrainingAgent",
    "RolloutMemory",
    "SACTrainingAgent",
    "Schedule",
    "TorchActorModule",
    "TorchMemory",
    "TrainConfig",
    "TrainingAgent",
    "TransitionMemory",
    "evaluate",
]

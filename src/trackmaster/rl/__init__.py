"""Reinforcement learning: agents, memory, exploration, schedules, checkpoints and evaluation.

Names are imported on first use, because most of them need torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trackmaster.rl.actor import ActorModule
    from trackmaster.rl.agent import TrainingAgent
    from trackmaster.rl.config.training import TrainConfig
    from trackmaster.rl.continuous.gaussian_actor import GaussianActor
    from trackmaster.rl.continuous.ppo import PPOTrainingAgent
    from trackmaster.rl.continuous.redq import REDQTrainingAgent
    from trackmaster.rl.continuous.rollout_memory import RolloutMemory
    from trackmaster.rl.continuous.sac import SACTrainingAgent
    from trackmaster.rl.continuous.transition_memory import TransitionMemory
    from trackmaster.rl.evaluation.episodes import Evaluation, evaluate
    from trackmaster.rl.files.checkpoint import CheckpointError, CheckpointStore
    from trackmaster.rl.iqn.actor import IQNActor
    from trackmaster.rl.iqn.agent import IQNAgent
    from trackmaster.rl.iqn.config import IQNConfig
    from trackmaster.rl.memory.replay import IQNMemory, Memory
    from trackmaster.rl.memory.torch_memory import TorchMemory
    from trackmaster.rl.metrics import MetricsLogger
    from trackmaster.rl.schedules import Schedule
    from trackmaster.rl.torch_actor import TorchActorModule

_ON_FIRST_USE = {
    "ActorModule": "actor",
    "CheckpointError": "files.checkpoint",
    "CheckpointStore": "files.checkpoint",
    "Evaluation": "evaluation.episodes",
    "GaussianActor": "continuous.gaussian_actor",
    "IQNActor": "iqn.actor",
    "IQNAgent": "iqn.agent",
    "IQNConfig": "iqn.config",
    "IQNMemory": "memory.replay",
    "Memory": "memory.replay",
    "MetricsLogger": "metrics",
    "PPOTrainingAgent": "continuous.ppo",
    "REDQTrainingAgent": "continuous.redq",
    "RolloutMemory": "continuous.rollout_memory",
    "SACTrainingAgent": "continuous.sac",
    "Schedule": "schedules",
    "TorchActorModule": "torch_actor",
    "TorchMemory": "memory.torch_memory",
    "TrainConfig": "config.training",
    "TrainingAgent": "agent",
    "TransitionMemory": "continuous.transition_memory",
    "evaluate": "evaluation.episodes",
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

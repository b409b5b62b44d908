"""What learns."""

from trackmaster.rl.agent import TrainingAgent

__all__ = ["TrainingAgent"]

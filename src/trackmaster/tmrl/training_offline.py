"""The trainer's loop."""

from trackmaster.distributed.training_offline import TorchTrainingOffline, TrainingOffline

__all__ = ["TorchTrainingOffline", "TrainingOffline"]

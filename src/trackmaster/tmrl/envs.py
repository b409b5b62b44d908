"""Environments."""

from trackmaster.env.gym_env import GenericGymEnv

__all__ = ["GenericGymEnv"]

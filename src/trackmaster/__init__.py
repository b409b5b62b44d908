"""Leaderboard replays go in, a driving agent and an honest report come out."""

__version__ = "0.1.0"

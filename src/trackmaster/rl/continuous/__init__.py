"""Agents with analog actions: SAC, REDQ and PPO, and the memories they learn from."""

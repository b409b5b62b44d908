"""Implicit quantile networks: agent, actor, loss, update step, and what makes them fast."""

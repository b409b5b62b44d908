"""Judging an actor by deterministic episodes, and keeping what was seen."""

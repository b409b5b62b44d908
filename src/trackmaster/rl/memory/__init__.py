"""Replay memories: rows stored once, transitions rebuilt when they are drawn."""

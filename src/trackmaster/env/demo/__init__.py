"""Demonstrated drives: recording them, and rewards along them."""

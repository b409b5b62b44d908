"""Environments in real time: rtgym's semantics, and the games and pictures behind them."""

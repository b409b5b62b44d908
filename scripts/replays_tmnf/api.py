"""The exchange's interface: searching tracks, listing replays, fetching files."""

from trackmaster.replays.client import ExchangeClient

__all__ = ["ExchangeClient"]

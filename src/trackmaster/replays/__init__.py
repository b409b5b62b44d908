"""Replays from the exchange: listing, polite and resumable downloads, the catalogue, filters, a local stand-in."""

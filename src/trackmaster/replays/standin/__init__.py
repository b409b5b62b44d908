"""A local stand-in of the exchange: the same routes, envelopes, cursors and quirks, and faults on demand."""

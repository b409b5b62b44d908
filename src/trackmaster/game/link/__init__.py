"""The link to a running game: wire format, state blob, client and the game behind it."""

"""The server between many workers and one trainer: it lets in, passes on once and in order, and forgets late."""

"""What a run leaves on disk: checkpoints, state, weights; written whole, never unpickled."""

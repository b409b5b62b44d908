"""What travels over the network: frames, the messages in them, and what both ends must agree on."""

"""The two clients of a server: a worker's end and a trainer's end of the network."""

"""What travels from a worker to a memory: samples as typed columns, in chunks."""

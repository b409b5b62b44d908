"""What one file may still ask for, its embedded map included: a small file must not become a heavy record."""

from trackmaster.gbx import limits


class Budget:
    """Counts down while a file is read; readers of the same file share one.

    Attributes:
        text_bytes: of all texts.
        ghost_bytes: of unpacked ghost data.
        recordings: blobs of samples and lists of events.
        events: input events.
        records: blocks, cells, checkpoint times and the like.
        chunks: of all nodes.
    """

    text_bytes = limits.TEXT_BYTES
    ghost_bytes = limits.GHOST_BYTES
    recordings = limits.RECORDINGS
    events = limits.EVENTS
    records = limits.RECORDS
    chunks = limits.CHUNKS

    def left_bytes(self) -> int:
        """Return about how much memory the rest of the budget stands for; the difference is what a record weighs.

        Measured: a text up to four bytes per byte, a sample 280 bytes for its 61, a block 160 bytes with its place in
        the list, a chunk of a small node 300.
        """
        return (
            4 * self.text_bytes
            + 5 * self.ghost_bytes
            + 5_000 * self.recordings
            + 16 * self.events
            + 160 * self.records
            + 300 * self.chunks
        )

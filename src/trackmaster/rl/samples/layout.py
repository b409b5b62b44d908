"""What the samples of a training look like: as the first ones did that it took, and so do all others."""

from collections.abc import Mapping

from trackmaster.rl.samples.chunk import Chunk, SampleError
from trackmaster.rl.samples.columns import BYTES, is_obs, leaf_of


def layout_of(chunk: Chunk) -> dict[str, str]:
    """Return dtype and shape of one row of every column; pictures packed to bytes have no shape of their own."""
    return {
        name: "bytes" if is_obs(name) and f"{BYTES}.{leaf_of(name)}" in chunk.columns
        else f"{column.dtype} {column.shape[1:]}"
        for name, column in chunk.columns.items()
    }  # fmt: skip


class SampleLayout:
    """Compares what workers send, whatever they said that it would be."""

    def __init__(self) -> None:
        self._known: Mapping[str, str] = {}

    def learn(self, chunk: Chunk) -> None:
        """Let samples that were taken decide, if none have yet."""
        self._known = self._known or layout_of(chunk)

    def forget(self) -> None:
        """Let the next samples decide."""
        self._known = {}

    def check(self, chunk: Chunk) -> None:
        """Refuse samples that look different.

        Raises:
            SampleError: names, dtypes or shapes differ; the text names them on both sides.
        """
        theirs = layout_of(chunk)
        if not self._known or theirs == self._known:
            return
        columns = sorted(theirs.keys() | self._known.keys())
        named = [
            f"{name} is {theirs.get(name, 'missing')} from the worker and {self._known.get(name, 'missing')} at the "
            "trainer"
            for name in columns
            if theirs.get(name) != self._known.get(name)
        ]
        raise SampleError(
            f"Worker {chunk.worker_id} sends samples of another form: {'; '.join(named)}. Give every worker the same "
            "environment, sample_compressor, obs_preprocessor and crc_debug, and give worker and trainer the same "
            "columns=, which tells before anything is driven."
        )

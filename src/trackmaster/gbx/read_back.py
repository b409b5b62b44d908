"""The last step of every writer: what it made is read before it is handed out."""

from trackmaster.gbx.errors import GbxError, WriteError
from trackmaster.gbx.reading import read


def read_back(data: bytes) -> bytes:
    """Return ``data``, a complete file, once the reader has taken it: one set of limits serves both ways.

    Raises:
        WriteError: the reader would refuse it.
    """
    try:
        read(data, name="the file to be written")
    except GbxError as error:
        raise WriteError(f"this cannot be written, as it could not be read again: {error.found}; change it") from error
    return data

"""Reading JSON that somebody else wrote: whatever is wrong with it becomes a sentence with the file's name."""

import json
from pathlib import Path
from typing import Any

from trackmaster.capture.writer import MAX_MANIFEST_BYTES
from trackmaster.data.errors import DataError

CAPTURE_AGAIN = "Capture the replay again."


def read_json(path: Path, *, advice: str = CAPTURE_AGAIN) -> Any:
    """Return the content of a JSON file.

    Args:
        path: the file.
        advice: last sentence of an error: what to do about it.

    Raises:
        DataError: the file cannot be read, is too large, or is no JSON; the text says which and where.
    """
    try:
        size = path.stat().st_size
        if size > MAX_MANIFEST_BYTES:
            raise DataError(f"{path}: {size} bytes, at most {MAX_MANIFEST_BYTES} are read. Is it the right file?")
        return json.loads(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}). {advice}") from None
    except (ValueError, RecursionError) as error:  # wrong characters, no JSON, or a number of thousands of digits
        raise DataError(f"{path}: is no JSON ({error}). It is cut or damaged. {advice}") from None


def read_number(value: Any, what: str, path: Path, *, advice: str = CAPTURE_AGAIN) -> float:
    """Return a number from JSON.

    Args:
        value: what was found; texts and truth values are no numbers.
        what: its name for the message.
        path: the file, for the message.
        advice: last sentence of an error: what to do about it.

    Raises:
        DataError: it is no number, or one that no count or time can have.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value or abs(value) > 1e15:
        raise DataError(f"{path}: {what} is {value!r:.80}, expected a number. {advice}")
    return float(value)

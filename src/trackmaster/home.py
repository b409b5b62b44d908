"""The folder in which trackmaster keeps what belongs to a user on a machine, whatever project is at hand."""

import os
from pathlib import Path
from typing import Final

HOME_VARIABLE: Final = "TRACKMASTER_HOME"


def state_dir() -> Path:
    """Return ``$TRACKMASTER_HOME``, or ``~/.trackmaster`` without it."""
    home = os.environ.get(HOME_VARIABLE)
    return Path(home) if home else Path.home() / ".trackmaster"

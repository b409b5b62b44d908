"""``python -m replays_tmnf.list_popular``: the same as ``trackmaster replays list``."""

import sys

from trackmaster.cli import run_verb
from trackmaster.replays.command import list_tracks as run_list_popular

__all__ = ["run_list_popular"]

if __name__ == "__main__":
    sys.exit(run_verb("replays list", sys.argv[1:], prog="python -m replays_tmnf.list_popular"))

"""``python -m replays_tmnf.download``: the same as ``trackmaster replays download``."""

import sys

from trackmaster.cli import run_verb

if __name__ == "__main__":
    sys.exit(run_verb("replays download", sys.argv[1:], prog="python -m replays_tmnf.download"))

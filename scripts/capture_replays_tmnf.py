"""Turn replays into verified, labelled frames; the same as ``trackmaster capture``."""

import sys

from trackmaster.cli import run_verb

if __name__ == "__main__":
    sys.exit(run_verb("capture", sys.argv[1:], prog="capture_replays_tmnf.py"))

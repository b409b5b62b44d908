"""Capture one replay end to end and print every check; the same as ``trackmaster validate``."""

import sys

from trackmaster.cli import run_verb

if __name__ == "__main__":
    sys.exit(run_verb("validate", sys.argv[1:], prog="capture_replays_tmnf_validate.py"))

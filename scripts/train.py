"""Train a driving agent; the same as ``trackmaster train``."""

import sys

from trackmaster.cli import run_verb

if __name__ == "__main__":
    sys.exit(run_verb("train", sys.argv[1:], prog="train.py"))

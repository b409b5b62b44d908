"""Decode all captured frames once into a cache; the same as ``trackmaster data prepare``."""

import sys

from trackmaster.cli import run_verb

if __name__ == "__main__":
    sys.exit(run_verb("data prepare", sys.argv[1:], prog="prepare_pretrain_data.py"))

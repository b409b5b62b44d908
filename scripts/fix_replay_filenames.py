"""Make the names of replays loadable for TMInterface; the same as ``trackmaster replays rename``."""

import sys

from trackmaster.cli import run_verb

if __name__ == "__main__":
    sys.exit(run_verb("replays rename", sys.argv[1:], prog="fix_replay_filenames.py"))

"""Set training runs side by side; the same as ``trackmaster compare``."""

import sys

from trackmaster.cli import run_verb

if __name__ == "__main__":
    sys.exit(run_verb("compare", sys.argv[1:], prog="analyze_experiment_by_relative_time.py"))

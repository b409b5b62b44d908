"""Take frames with invalid floats out of a captured tree; the same as ``trackmaster data clean``."""

import sys

from trackmaster.cli import run_verb

if __name__ == "__main__":
    sys.exit(run_verb("data clean", sys.argv[1:], prog="cleanup_source_metadata.py"))

"""``python -m trackmaster`` does what the ``trackmaster`` command does."""

import sys

from trackmaster.cli import main

if __name__ == "__main__":
    sys.exit(main())

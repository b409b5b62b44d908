"""Start an agent from a pre-trained encoder; the same as ``trackmaster inject``."""

import sys

from trackmaster.cli import run_verb

if __name__ == "__main__":
    sys.exit(run_verb("inject", sys.argv[1:], prog="init_iqn_from_encoder.py"))

"""Train a visual encoder on captured frames; the same as ``trackmaster pretrain``."""

import sys

from trackmaster.cli import run_verb

if __name__ == "__main__":
    sys.exit(run_verb("pretrain", sys.argv[1:], prog="pretrain_visual_backbone.py"))

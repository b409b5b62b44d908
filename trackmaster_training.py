"""The roles of a distributed training by the command lines of the TMRL seed, on the functions of the verbs."""

import sys

from trackmaster.cli import run_verb
from trackmaster.distributed.config_json.command import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], run_verb=run_verb))

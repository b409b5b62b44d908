"""Keep tracks on which no replay respawns; the same as ``trackmaster replays filter --no-respawn``."""

import sys

from trackmaster.cli import run_verb

CONFIG = "trackmaster.replays.filter_config:RespawnFilterConfig"

if __name__ == "__main__":
    sys.exit(run_verb("replays filter", sys.argv[1:], prog="filter_track_ids_no_respawn.py", config=CONFIG))

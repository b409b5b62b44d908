"""Keep tracks with standard maps, and short intros where asked for: ``trackmaster replays filter`` with defaults."""

import sys

from trackmaster.cli import run_verb

CONFIG = "trackmaster.replays.filter_config:MapTypeFilterConfig"

if __name__ == "__main__":
    sys.exit(run_verb("replays filter", sys.argv[1:], prog="filter_track_ids_custom_maptype.py", config=CONFIG))

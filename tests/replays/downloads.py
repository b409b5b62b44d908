"""What tests of downloads have in common: the commands, and what came of them on disk and in the exchange's log."""

from pathlib import Path

from tests.replays.exchange import RunningStandIn

from trackmaster.replays.catalogue import CATALOGUE_NAME
from trackmaster.replays.index_file import INDEX_NAME

LIST = ["replays", "list", "--output", "maps/track_ids.txt", "--per-page", "10"]
DOWNLOAD = ["replays", "download", "--track-ids", "maps/track_ids.txt"]


def files_below(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.name != INDEX_NAME
        and path.name.partition("-")[0] != CATALOGUE_NAME
    }


def asked_for(server: RunningStandIn, part: str) -> list[str]:
    return [entry.path for entry in server.log if entry.path.startswith(part)]

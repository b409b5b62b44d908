"""Whose drives a data set was captured from: only the project's own may be published without asking anybody."""

from collections.abc import Sequence

from trackmaster.data.manifest import read_metadata
from trackmaster.data.tree import ReplayFolder
from trackmaster.files import sha256_of
from trackmaster.track.bundled import bundled_folder


def is_all_ours(replays: Sequence[ReplayFolder]) -> bool:
    """Tell whether every replay is one of the bundled expert drives, which are under the project's own licence."""
    ours = {sha256_of(path) for path in (bundled_folder() / "replays").rglob("*.gbx")}
    return all(read_metadata(replay.path).values.get("replay_sha256") in ours for replay in replays)

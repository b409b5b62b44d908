"""Fingerprint of a captured tree: tells whether a cache made from it is still about the same files."""

import hashlib
import os
from collections.abc import Sequence
from typing import TypedDict

from trackmaster.data.names import MANIFEST_NAME, METADATA_NAME
from trackmaster.data.tree import ReplayFolder
from trackmaster.files import sha256_of


class SourceSignature(TypedDict):
    """What a cache remembers about its source."""

    n_tracks: int
    n_replays: int
    n_frame_files: int
    sha256: str
    """Over path, size and modification time of every frame, and the content of every manifest and metadata file."""


def source_signature(replays: Sequence[ReplayFolder]) -> SourceSignature:
    """Fingerprint the frames and labels of a data set; one changed, added or removed frame changes it.

    Counting files alone would miss a replay that was captured again with the same number of frames. Pictures are not
    read: their size and modification time stand for their content.
    """
    digest = hashlib.sha256()
    for replay in replays:
        digest.update(os.fsencode(f"{replay.track_id}/{replay.name}\n"))
        for path in (replay.path / MANIFEST_NAME, replay.path / METADATA_NAME):
            digest.update(f"{path.name} {sha256_of(path) if path.is_file() else '-'}\n".encode())
        rows = zip(replay.files, replay.sizes_bytes.tolist(), replay.mtimes_ns.tolist(), strict=True)
        digest.update("".join(f"{name} {size} {mtime}\n" for name, size, mtime in rows).encode())
    return {
        "n_tracks": len({replay.track_id for replay in replays}),
        "n_replays": len(replays),
        "n_frame_files": sum(len(replay) for replay in replays),
        "sha256": digest.hexdigest(),
    }

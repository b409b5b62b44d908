"""Finding the surfaces of the maps that frames were captured on: captured folders name the map but do not hold it."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from trackmaster import gbx
from trackmaster.errors import TrackmasterError
from trackmaster.track import Track, TriangleMesh
from trackmaster.track.bundled import bundled_folder

_MAX_NAMED = 3


def find_meshes(uids: set[str], maps_dirs: Sequence[Path]) -> tuple[dict[str, TriangleMesh], tuple[str, ...]]:
    """Return the mesh of every map that is found, and a sentence for those that are not.

    Args:
        uids: of the maps wanted.
        maps_dirs: folders with maps, or with replays (a map is inside of each); the bundled maps are always known.

    Returns:
        Meshes by map uid, and notes about maps without a file or with unknown blocks.
    """
    meshes: dict[str, TriangleMesh] = {}
    notes = []
    missing = set(uids)
    for uid, path in _files((bundled_folder() / "tracks", *maps_dirs)):
        if uid not in missing:
            continue
        try:
            content = gbx.read(path)
            challenge = content.challenge if isinstance(content, gbx.Replay) else content
            if not isinstance(challenge, gbx.Challenge) or challenge.uid != uid:
                continue
            meshes[uid] = Track.from_challenge(challenge, allow_unknown=True).mesh
        except TrackmasterError as error:
            notes.append(f"no distance to the border on {path.name}: {error}")
        missing.discard(uid)
        if not missing:
            break
    if missing:
        named = ", ".join(sorted(missing)[:_MAX_NAMED]) + (", ..." if len(missing) > _MAX_NAMED else "")
        places = ", ".join(map(str, maps_dirs)) or "the bundled tracks"
        notes.append(
            f"no distance to the border on {len(missing)} of {len(uids)} maps ({named}): no file of theirs in "
            f"{places}. Name a folder with the maps or replays with --maps-dirs."
        )
    return meshes, tuple(notes)


def _files(folders: Sequence[Path]) -> Iterator[tuple[str, Path]]:
    """Yield the map uid in the header of every map and replay below some folders."""
    for folder in folders:
        if not folder.is_dir():
            continue
        for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() == ".gbx" and p.is_file()):
            try:
                header = gbx.read_header(path)
            except gbx.GbxError:  # a damaged file among many; the map may be in another one
                continue
            yield (header.map_uid if isinstance(header, gbx.ReplayHeader) else header.uid), path

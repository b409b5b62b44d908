"""Records in the game's Autosaves: each would be a second car in the pictures, so they are away while a capture runs.

``--autosave-ghost`` does the opposite: it puts the replay there, as older tools did.
"""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from trackmaster.capture.config import CaptureConfig
from trackmaster.capture.discover import ReplayFile
from trackmaster.capture.errors import ReplayRejectedError
from trackmaster.capture.source import read_source
from trackmaster.files import atomic_write_bytes, safe_name
from trackmaster.game.setup.instances import Instance
from trackmaster.gbx import plain_text

ASIDE: Final = ".trackmaster-aside"


@contextlib.contextmanager
def ghosts_in_autosaves(
    config: CaptureConfig, files: Sequence[ReplayFile], instances: Sequence[Instance]
) -> Iterator[None]:
    """Put the user's records of all maps aside, and the first replay of each in their place where that is wanted.

    Everything is undone at the end; what a killed run put aside comes back first.
    """
    folders = tuple(dict.fromkeys(instance.autosaves_path for instance in instances))
    _take_all_back(folders)
    ghosts = _ghosts(config, files)
    try:
        for folder in folders:
            for path in _records(folder, ghosts):
                path.rename(path.with_name(path.name + ASIDE))
            for name, content in ghosts.items() if config.autosave_ghost else ():
                _put(folder / f"{safe_name(config.login)}_{safe_name(name, max_length=120)}.Replay.gbx", content)
        yield
    finally:
        _take_all_back(folders)


def _records(folder: Path, names: Iterable[str]) -> list[Path]:
    """Return the records of some maps, whoever drove them: ``{login}_{map name}.Replay.gbx``."""
    ends = tuple(f"_{written}.replay.gbx".lower() for name in names for written in {name, safe_name(name)})
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted(path for path in found if path.name.lower().endswith(ends) and path.stat().st_size)


def _ghosts(config: CaptureConfig, files: Sequence[ReplayFile]) -> dict[str, bytes]:
    """Return the first replay of each map, by the map's name without its codes."""
    found: dict[str, bytes] = {}
    for file in files:
        try:
            source = read_source(file, config)
        except ReplayRejectedError:
            continue
        found.setdefault(plain_text(source.map.challenge.name), file.path.read_bytes())
    return found


def _put(path: Path, content: bytes) -> None:
    """Write a ghost; the mark of one that has nothing to come back for is an empty file."""
    aside = path.with_name(path.name + ASIDE)
    if not aside.exists():
        atomic_write_bytes(aside, b"")
    atomic_write_bytes(path, content)


def _take_all_back(folders: Sequence[Path]) -> None:
    for folder in folders:
        for aside in sorted(folder.glob(f"*{ASIDE}")):
            path = aside.with_name(aside.name.removesuffix(ASIDE))
            if aside.stat().st_size:
                aside.replace(path)
            else:  # in this order: a kill in between leaves the mark of what is still to be done
                path.unlink(missing_ok=True)
                aside.unlink()

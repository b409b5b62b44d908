"""The replay as a ghost in the game's Autosaves: off by default, because it puts another car into the pictures."""

import contextlib
from collections.abc import Iterator, Sequence
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
    """Copy the first replay of each map as ``{login}_{map name}.Replay.gbx`` where that is wanted; undo it at the end.

    A record of the user that stood there is put aside and comes back; what a killed run put aside comes back first.
    """
    folders = tuple(dict.fromkeys(instance.autosaves_path for instance in instances))
    _take_all_back(folders)
    if not config.autosave_ghost:
        yield
        return
    try:
        for name, content in _ghosts(config, files).items():
            for folder in folders:
                _put(folder / name, content)
        yield
    finally:
        _take_all_back(folders)


def _ghosts(config: CaptureConfig, files: Sequence[ReplayFile]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for file in files:
        try:
            source = read_source(file, config)
        except ReplayRejectedError:
            continue
        name = safe_name(plain_text(source.map.challenge.name), max_length=120)
        found.setdefault(f"{safe_name(config.login)}_{name}.Replay.gbx", file.path.read_bytes())
    return found


def _put(path: Path, content: bytes) -> None:
    """Write a ghost; what stood in its place is put aside first, an empty file where nothing did."""
    aside = path.with_name(path.name + ASIDE)
    if path.is_file():
        path.rename(aside)
    else:
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

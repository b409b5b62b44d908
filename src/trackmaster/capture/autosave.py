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

    A record of the user that stood there is put aside and comes back.
    """
    if not config.autosave_ghost:
        yield
        return
    placed: list[Path] = []
    try:
        for name, content in _ghosts(config, files).items():
            for folder in dict.fromkeys(instance.autosaves_path for instance in instances):
                placed.append(_put(folder / name, content))
        yield
    finally:
        for path in placed:
            _take_back(path)


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


def _put(path: Path, content: bytes) -> Path:
    aside = path.with_name(path.name + ASIDE)
    if path.is_file() and not aside.exists():
        path.rename(aside)
    atomic_write_bytes(path, content)
    return path


def _take_back(path: Path) -> None:
    aside = path.with_name(path.name + ASIDE)
    path.unlink(missing_ok=True)
    if aside.exists():
        aside.rename(path)

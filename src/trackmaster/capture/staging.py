"""Copies of maps for the game's own folder: without intro clips, under names that every console accepts."""

import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from trackmaster import gbx
from trackmaster.capture.config import CaptureConfig
from trackmaster.capture.discover import ReplayFile
from trackmaster.capture.errors import ReplayRejectedError
from trackmaster.capture.source import MapSource, read_source
from trackmaster.files import atomic_write_bytes
from trackmaster.game.setup.instances import Instance

log = logging.getLogger(__name__)

_STAGED = re.compile(r"m[0-9a-f]{16}\.Challenge\.Gbx")


def staged_name(source: MapSource) -> str:
    """Return the ASCII name of the copy of a map, the same for the same map file."""
    return f"m{source.sha256[:16]}.Challenge.Gbx"


@dataclass
class Staging:
    """Maps that were put into user folders of the game."""

    fresh: list[Path] = field(default_factory=list)
    """Files that were not there before: a game that runs already does not know them."""
    known: list[Path] = field(default_factory=list)
    """Copies of the same batch that an earlier run left, which was killed or did not start the games itself."""

    def remove(self) -> None:
        """Take all copies of the batch away again; files of the user are never touched."""
        for path in (*self.fresh, *self.known):
            if _STAGED.fullmatch(path.name):
                path.unlink(missing_ok=True)
        self.fresh.clear()
        self.known.clear()


def stage_maps(config: CaptureConfig, files: Iterable[ReplayFile], instances: Iterable[Instance]) -> Staging:
    """Put a copy of every map of a batch into every user folder, before the games start.

    Replays that cannot be captured anyway are passed over; their own turn says why.

    Args:
        config: flags; ``keep_intros`` leaves the clips in.
        files: the batch.
        instances: games whose folders get them.
    """
    staging, folders = Staging(), list(dict.fromkeys(one.challenges_path for one in instances))
    for source in _maps(config, files).values():
        content = source.content
        if not config.keep_intros:
            content = without_intros(source)
        for folder in folders:
            target = folder / staged_name(source)
            if target.is_file() and target.read_bytes() == content:
                staging.known.append(target)
                continue
            atomic_write_bytes(target, content)
            staging.fresh.append(target)
    return staging


def without_intros(source: MapSource) -> bytes:
    """Return a map whose race begins at once; one whose clips cannot be taken out stays as it is."""
    try:
        return gbx.strip_intro_clips(source.content, name=source.file_name)
    except gbx.GbxError as error:
        log.warning("%s keeps its intro: %s", source.file_name, error)
        return source.content


def _maps(config: CaptureConfig, files: Iterable[ReplayFile]) -> Mapping[str, MapSource]:
    found: dict[str, MapSource] = {}
    for file in files:
        try:
            source = read_source(file, config)
        except ReplayRejectedError:
            continue
        found.setdefault(source.map.sha256, source.map)
    return found

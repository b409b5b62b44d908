"""What the stand-in's game can load: maps listed once at its start, scripts read when they are asked for."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from trackmaster.errors import TrackmasterError
from trackmaster.gbx import Command, read_challenge, script_commands
from trackmaster.track import Track
from trackmaster.track.bundled import bundled_folder

MAP_SUFFIX: Final = ".challenge.gbx"
KEPT_TRACKS: Final = 4


class MapList:
    """Maps below ``Tracks/Challenges``, as they were when the game started: a file added later does not exist."""

    def __init__(
        self, base_path: Path | None, given: Mapping[str, Track] | None = None, *, allow_unknown: bool = False
    ) -> None:
        """List the maps.

        Args:
            base_path: the user folder of the game; the bundled tracks alone without one.
            given: tracks without a file, by the name under which they are loaded.
            allow_unknown: leave blocks without known geometry out instead of refusing the map.
        """
        self._allow_unknown = allow_unknown
        self._given = {_key(name): track for name, track in (given or {}).items()}
        self._files: dict[str, Path] = {}
        self._tracks: dict[str, Track] = {}
        folders = [bundled_folder() / "tracks"]
        if base_path is not None:
            folders.append(base_path / "Tracks" / "Challenges")
        for folder in folders:
            for path in sorted(folder.rglob("*")):
                if path.name.lower().endswith(MAP_SUFFIX):
                    self._files[_key(str(path.relative_to(folder)))] = path

    def __len__(self) -> int:
        """Return the number of maps."""
        return len(self._files.keys() | self._given.keys())

    def has(self, name: str) -> bool:
        """Whether there is a map of this name, relative to the folder of challenges."""
        return _key(name) in self._files or _key(name) in self._given

    def track(self, name: str) -> Track:
        """Return a map of the list, ready to be driven.

        Raises:
            TrackmasterError: there is none, its file is damaged, or the simulator does not know its blocks.
        """
        key = _key(name)
        if key in self._given:
            return self._given[key]
        if key not in self._files:
            raise TrackmasterError(f"there was no map {name!r} when the game started; maps added later do not exist")
        if key not in self._tracks:
            while len(self._tracks) >= KEPT_TRACKS:
                self._tracks.pop(next(iter(self._tracks)))
            challenge = read_challenge(self._files[key])
            self._tracks[key] = Track.from_challenge(challenge, allow_unknown=self._allow_unknown)
        return self._tracks[key]


def _key(name: str) -> str:
    return name.replace("\\", "/").strip("/").lower()


class ScriptFolder:
    """The folder of input scripts; names only, no paths out of it."""

    def __init__(self, folder: Path | None, texts: Mapping[str, str] | None = None) -> None:
        """Choose the folder; ``texts`` are scripts without a file."""
        self._folder = folder
        self._texts = dict(texts or {})

    def commands(self, name: str) -> list[Command]:
        """Return the commands of a script.

        Raises:
            TrackmasterError: there is no such file in the folder, or it cannot be understood.
        """
        return script_commands(self._text(name))

    def _text(self, name: str) -> str:
        if name in self._texts:
            return self._texts[name]
        if self._folder is None or name != Path(name).name or not (self._folder / name).is_file():
            raise TrackmasterError(f"there is no script {name!r} in {self._folder or 'the folder of scripts'}")
        return (self._folder / name).read_text(encoding="utf-8", errors="replace")

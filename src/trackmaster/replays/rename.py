"""``trackmaster replays rename``: names that TMInterface can load, with the catalogue kept in step."""

import contextlib
from pathlib import Path

from pydantic_settings import SettingsConfigDict

from trackmaster.config import Settings
from trackmaster.errors import TrackmasterError
from trackmaster.files import sha256_of
from trackmaster.gbx import printable
from trackmaster.replays.catalogue import Catalogue, catalogue_path
from trackmaster.replays.config import DEFAULT_REPLAYS
from trackmaster.replays.index_file import write_indexes
from trackmaster.replays.locks import folder_lock
from trackmaster.replays.names import REPLAY_SUFFIX, free_name, loadable_name


class RenameConfig(Settings):
    """Replace blanks and everything outside of ASCII in the names of replays by underscores."""

    model_config = SettingsConfigDict(env_prefix="REPLAYS_RENAME_")

    replays_dir: Path = DEFAULT_REPLAYS
    """Replays: <track_id>/*.replay.gbx, or files in the folder itself."""
    dry_run: bool = False
    """Say what would change; nothing is renamed."""


def plan_renames(replays_dir: Path) -> list[tuple[Path, Path]]:
    """Return old and new path of every replay whose name has to change.

    Names that would meet get a number; a name that no system tells from another one counts as the same.

    Raises:
        TrackmasterError: there is no such folder.
    """
    if not replays_dir.is_dir():
        raise TrackmasterError(f"{replays_dir}: there is no such folder. Give the folder of replays (--replays-dir).")
    folders = [replays_dir, *sorted(p for p in replays_dir.iterdir() if p.is_dir() and not p.name.startswith("."))]
    renames = []
    for folder in folders:
        names = sorted(path.name for path in folder.iterdir() if path.is_file())
        taken = set(names)
        for name in names:
            wanted = loadable_name(name)
            if wanted == name or not name.lower().endswith(REPLAY_SUFFIX):
                continue
            new = free_name(wanted, taken)
            taken.add(new)
            renames.append((folder / name, folder / new))
    return renames


def run_rename(config: RenameConfig) -> int:
    """Rename, or say what would be renamed; return 0."""
    renames = plan_renames(config.replays_dir)
    for old, new in renames:
        print(f"{printable(str(old.relative_to(config.replays_dir)))} -> {new.name}")
    if config.dry_run:
        print(f"{len(renames)} files would be renamed; nothing was changed.")
        return 0
    _rename(renames, config.replays_dir)
    print(f"{len(renames)} files renamed.")
    return 0


def _rename(renames: list[tuple[Path, Path]], replays_dir: Path) -> None:
    path = catalogue_path(replays_dir)
    with contextlib.ExitStack() as stack:
        catalogue = None
        if path.is_file():
            stack.enter_context(folder_lock(replays_dir, path, purpose="'replays rename'"))
            catalogue = stack.enter_context(Catalogue(path))
            _follow_files(catalogue, replays_dir)
        for old, new in renames:
            old.rename(new)
            if catalogue is not None:
                _note(catalogue, replays_dir, old, new)
                catalogue.commit()
        if catalogue is not None:
            write_indexes(catalogue, replays_dir)


def _note(catalogue: Catalogue, replays_dir: Path, old: Path, new: Path) -> None:
    was, now = (path.relative_to(replays_dir).as_posix() for path in (old, new))
    catalogue.write("UPDATE replays SET path = ? WHERE path = ?", (now, was))


def _follow_files(catalogue: Catalogue, replays_dir: Path) -> None:
    """Catch up on a rename that was interrupted between the file and the catalogue."""
    rows = catalogue.read("SELECT path, sha256 FROM replays WHERE state = 'done' AND path GLOB '*[^!-~]*'")
    for row in list(rows):
        old = replays_dir / row["path"]
        new = None if old.exists() else _renamed(old, row["sha256"])
        if new is not None:
            _note(catalogue, replays_dir, old, new)


def _renamed(old: Path, sha256: str) -> Path | None:
    """Return the file that had a name once; its sum tells it from others that would have met it."""
    stem = loadable_name(old.name).partition(".")[0]
    files = sorted(path for path in old.parent.iterdir() if path.name.startswith(stem)) if old.parent.is_dir() else []
    return next((path for path in files if path.is_file() and sha256_of(path) == sha256), None)

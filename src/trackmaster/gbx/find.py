"""Which .Gbx files a user means, and which maps are in them."""

from collections.abc import Callable, Sequence
from pathlib import Path

from trackmaster.errors import TrackmasterError
from trackmaster.gbx.errors import GbxError
from trackmaster.gbx.models import Challenge, Replay
from trackmaster.gbx.reading import read


def find_gbx_files(paths: Sequence[Path]) -> list[Path]:
    """Return the files named, and the .Gbx files (in any case of letters) below the folders named, each folder sorted.

    Raises:
        TrackmasterError: a path does not exist, or there is no file at all.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found.extend(sorted(p for p in path.rglob("*") if p.suffix.lower() == ".gbx" and p.is_file()))
        elif path.exists():
            found.append(path)
        else:
            raise TrackmasterError(
                f"{path}: there is no such file or folder. Give the path of a .Gbx file or a folder."
            )
    if not found:
        raise TrackmasterError(
            f"No .Gbx file in {', '.join(map(str, paths)) or 'nothing'}. Give .Gbx files, or folders that hold some."
        )
    return found


def find_maps(
    paths: Sequence[Path], *, environment: str = "Stadium", report: Callable[[str], None] = print
) -> list[tuple[Challenge, Path]]:
    """Return the maps of an environment in files and folders, each uid once, with the file that each was found in.

    Args:
        paths: maps or replays (their embedded map counts), or folders of them.
        environment: of the maps.
        report: told about files that are damaged; files of other kinds are left out silently.

    Raises:
        TrackmasterError: a path does not exist, or no such map is there; names the first damage, if there was any.
    """
    found: dict[str, tuple[Challenge, Path]] = {}
    damages: list[str] = []
    for path in find_gbx_files(paths):
        try:
            content = read(path)
        except GbxError as error:
            report(f"left out: {error}")
            damages.append(str(error))
            continue
        challenge = content.challenge if isinstance(content, Replay) else content
        if isinstance(challenge, Challenge) and challenge.environment == environment:
            found.setdefault(challenge.uid, (challenge, path))
    if not found:
        damage = f" {len(damages)} could not be read; the first: {damages[0]}" if damages else ""
        raise TrackmasterError(f"No {environment} map in {', '.join(map(str, paths))}.{damage}")
    return list(found.values())

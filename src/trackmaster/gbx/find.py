"""Which .Gbx files a user means."""

from collections.abc import Sequence
from pathlib import Path

from trackmaster.errors import TrackmasterError


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

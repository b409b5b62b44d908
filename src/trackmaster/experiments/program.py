"""Which program a result comes from: version, a digest of the code that decides, and PyTorch."""

import hashlib
from importlib.metadata import version
from pathlib import Path

import trackmaster

DECIDING = (
    "allocator.py", "config.py", "units.py", "gbx", "track", "sim", "game", "env", "expert", "capture", "data", "nn",
    "pretrain", "rl", "distributed",
)  # fmt: skip
"""Files and rooms whose code decides what a training comes to, the drives and frames that it learns from and the way in
which settings are read included; reports, pages and downloads do not."""
UNKNOWN = "a program that did not note its version"


def program(package: Path | None = None) -> str:
    """Return the program as it lies on the disk at this moment, in words.

    Args:
        package: its folder; the one that runs when left out.
    """
    root = Path(trackmaster.__file__).parent if package is None else package
    digest = hashlib.sha256()
    for name in DECIDING:
        place = root / name
        for path in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            if path.is_file():
                content = path.read_bytes()
                digest.update(f"{path.relative_to(root).as_posix()} {len(content)}\n".encode())
                digest.update(content)
    return f"trackmaster {trackmaster.__version__} ({digest.hexdigest()[:12]}), PyTorch {version('torch')}"

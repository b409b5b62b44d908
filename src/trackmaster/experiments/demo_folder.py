"""The demo's folder: it belongs to one set of settings and replays, another set moves it aside."""

from itertools import count
from pathlib import Path

from trackmaster import __version__
from trackmaster.errors import ConfigError
from trackmaster.files import atomic_write_text

MARK_NAME = "demo_config.yaml"


def refuse_foreign_folder(out: Path) -> None:
    """Check that a folder is free or holds a demo.

    Raises:
        ConfigError: it is a file, or holds something that is no demo.
    """
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out} is a file. Choose another --output.")
    if out.exists() and any(out.iterdir()) and not (out / MARK_NAME).is_file():
        raise ConfigError(f"{out} holds something that is no demo. Choose another --output.")


def claim(out: Path, settings: str, replays: str) -> None:
    """Make a folder that of these settings and replays; a demo of others is moved aside, so that two never mix.

    Args:
        out: absolute path of the folder.
        settings: YAML text.
        replays: fingerprint of the contents of all replays that are used.

    Raises:
        ConfigError: as ``refuse_foreign_folder``.
    """
    refuse_foreign_folder(out)
    content = f"{settings}# made by trackmaster {__version__} from replays {replays}\n"
    mark = out / MARK_NAME
    if mark.is_file():
        before = mark.read_text(encoding="utf-8")
        if before == content:
            return
        aside = next(path for n in count(1) if not (path := out.with_name(f"{out.name}-{n}")).exists())
        out.rename(aside)
        what = "other replays, or of another version" if before.startswith(settings) else "other settings"
        print(f"{out} held a demo of {what}; it was moved to {aside}.")
    atomic_write_text(mark, content)

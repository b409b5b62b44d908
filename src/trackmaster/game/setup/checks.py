"""What a doctor looks at: one small function per question, each with a finding and a cure."""

import importlib
import importlib.metadata
import os
import re
import shutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Final, Literal

from trackmaster.errors import TrackmasterError
from trackmaster.game.link.client import LinkClient
from trackmaster.game.link.protocol import PLUGIN_VERSION
from trackmaster.game.setup.instances import Instance
from trackmaster.game.setup.launcher import is_listened_to
from trackmaster.game.setup.settings import VARIABLES, GameSettings, read_dotenv

Status = Literal["ok", "note", "warn", "fail"]
OLDEST_PYTHON: Final = (3, 11)
OURS: Final = "TrackmasterLink.as"
PUBLIC: Final = "Python_Link.as"
DISTRIBUTION: Final = "trackmaster"
_VERSION: Final = re.compile(r'PLUGIN_VERSION = "([^"]+)"')
_REQUIREMENT: Final = re.compile(r"[A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Finding:
    """One answer: ``fail`` has to be cured, ``warn`` may bite later, ``note`` is worth knowing."""

    name: str
    status: Status
    text: str
    cure: str = ""


def check_python() -> Finding:
    """Is this Python new enough?"""
    found = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < OLDEST_PYTHON:
        return Finding("python", "fail", f"Python {found}", "install Python 3.11 or newer")
    return Finding("python", "ok", f"Python {found}")


def check_packages(requirements: Iterable[str] | None = None) -> Finding:
    """Is everything installed that the program needs, in a version that it accepts?

    Args:
        requirements: lines as in ``pyproject.toml``; those of the installed program without it.
    """
    if requirements is None:
        try:
            requirements = importlib.metadata.requires(DISTRIBUTION) or []
        except importlib.metadata.PackageNotFoundError:
            return Finding("packages", "note", "the program runs from its source without being installed",
                           "python -m pip install --editable .")  # fmt: skip
    problems = [problem for line in requirements if "extra ==" not in line and (problem := _missing(line))]
    if problems:
        return Finding("packages", "fail", "; ".join(problems), "python -m pip install --editable .")
    return Finding("packages", "ok", "all there")


def _missing(requirement: str) -> str | None:
    from packaging.requirements import Requirement

    wanted = Requirement(requirement)
    try:
        found = importlib.metadata.version(wanted.name)
    except importlib.metadata.PackageNotFoundError:
        return f"{wanted.name} is missing"
    is_fine = wanted.specifier.contains(found, prereleases=True)
    return None if is_fine else f"{wanted.name} is {found}, expected {wanted.specifier}"


def check_gpu() -> Finding:
    """Is there a GPU to learn on?"""
    torch = importlib.import_module("torch")
    if torch.cuda.is_available():
        memory_gb = torch.cuda.get_device_properties(0).total_memory / 2**30
        return Finding("gpu", "ok", f"{torch.cuda.get_device_name(0)}, {memory_gb:.0f} GB")
    return Finding("gpu", "note", "no CUDA device: learning runs on the processor, which works and takes longer")


def check_dotenv(path: Path) -> Finding:
    """Does ``.env`` say what somebody meant it to say?"""
    if not path.is_file():
        return Finding(".env", "note", f"{path} is not there, which is fine", "")
    names = read_dotenv(path)
    known = list(VARIABLES.values())
    slips = {name: get_close_matches(name.upper(), known, n=1, cutoff=0.8) for name in names if name not in known}
    hints = [f"{name} (did you mean {close[0]}?)" for name, close in slips.items() if close]
    if hints:
        return Finding(".env", "fail", f"{path} sets {', '.join(hints)}", "correct the name: as it is it sets nothing")
    ours = sorted(name for name in names if name in known)
    return Finding(".env", "ok", f"{path} sets {', '.join(ours) or 'nothing of ours'}")


def check_user_folder(instance: Instance) -> Finding:
    """Is the game's user folder where we think it is, and can maps be put there?"""
    name = f"user folder {instance.index}"
    if not instance.user_path.is_dir():
        return Finding(name, "fail", f"{instance.user_path} is not there",
                       "start the game once, or set TRACKMANIA_BASE_PATH to the folder with Tracks in it")  # fmt: skip
    if not (instance.user_path / "Tracks").is_dir():
        return Finding(name, "fail", f"{instance.user_path} has no folder Tracks: this is not the game's user folder",
                       "set TRACKMANIA_BASE_PATH to the folder that has Tracks in it")  # fmt: skip
    target = instance.challenges_path if instance.challenges_path.is_dir() else instance.user_path / "Tracks"
    if not os.access(target, os.W_OK):
        return Finding(name, "fail", f"{target} cannot be written to", "give yourself the right to write there")
    return Finding(name, "ok", str(instance.user_path))


def check_launcher(settings: GameSettings, instance: Instance, *, on_windows: bool = os.name == "nt") -> Finding:
    """Can an instance be started from here?"""
    name = f"launcher {instance.index}"
    if not on_windows:
        return _check_script(name, settings)
    loader = settings.tmloader_path
    if not loader.is_file():
        return Finding(name, "fail", f"{loader}: TMLoader is not there",
                       "install TMLoader, or set TRACKMASTER_TMLOADER_PATH to TMLoader.exe")  # fmt: skip
    profiles = loader.parent / "profiles"
    stems = {path.stem for path in profiles.iterdir()} if profiles.is_dir() else set()
    if stems and instance.profile not in stems:
        return Finding(name, "fail", f"TMLoader has no profile '{instance.profile}', but {', '.join(sorted(stems))}",
                       "make it in TMLoader with TMInterface in it, or set TRACKMASTER_TMLOADER_PROFILE")  # fmt: skip
    if not stems:
        return Finding(name, "note", f"{loader}; whether the profile '{instance.profile}' loads TMInterface cannot be "
                       "seen from here", "look at it once in TMLoader")  # fmt: skip
    return Finding(name, "ok", f"{loader}, profile '{instance.profile}'")


def _check_script(name: str, settings: GameSettings) -> Finding:
    script = settings.launch_script
    if script is None:
        return Finding(name, "warn", "no launch script: the game has to be started by hand, on the right port",
                       "set TRACKMASTER_LAUNCH_SCRIPT to a script that takes the port (docs/game.md)")  # fmt: skip
    if not script.is_file() or not os.access(script, os.X_OK):
        return Finding(name, "fail", f"{script}: this is no script that can be run", "check the path, and chmod +x it")
    if shutil.which("wine") is None:
        return Finding(name, "warn", f"{script}; wine is not on the path", "install wine, or let the script find it")
    return Finding(name, "ok", str(script))


def check_plugin(instance: Instance) -> Finding:
    """Is exactly one plugin of the link installed, and is ours of this version?"""
    name = f"plugin {instance.index}"
    folder = instance.plugins_path
    ours, public = folder / OURS, folder / PUBLIC
    copy = f"copy plugin/{OURS} into {folder} and restart the game"
    if ours.is_file() and public.is_file():
        return Finding(name, "fail", f"{folder} has both {OURS} and {PUBLIC}: they want the same port",
                       f"take {PUBLIC} away")  # fmt: skip
    if ours.is_file():
        match = _VERSION.search(ours.read_text(encoding="utf-8", errors="replace"))
        version = match.group(1) if match else "unknown"
        if version != PLUGIN_VERSION:
            return Finding(name, "fail", f"{OURS} is of version {version}, this program brings {PLUGIN_VERSION}", copy)
        return Finding(name, "ok", f"{OURS} {version}")
    if public.is_file():
        return Finding(name, "warn", f"{PUBLIC}, the public plugin: no analog steering, no keep-alive, slower pictures",
                       copy)  # fmt: skip
    return Finding(name, "fail", f"{folder} has no plugin of the link", copy)


def check_port(instance: Instance) -> Finding:
    """Does something listen on the port? Nothing connects: that would take the game's only place for a client."""
    name = f"port {instance.index}"
    if is_listened_to(instance.port):
        return Finding(name, "ok", f"something listens on {instance.port}; --connect asks who")
    return Finding(name, "warn", f"nothing listens on {instance.port}",
                   "start the game; its console must say 'Port set to "
                   f"{instance.port}' (another number: set BASE_TMI_PORT)")  # fmt: skip


def check_session(instance: Instance, client: LinkClient | None = None) -> Finding:
    """Who answers on the port? Opens a real session, which ends any other, and gives the game back."""
    name = f"session {instance.index}"
    client = client if client is not None else LinkClient(instance.port)
    try:
        plugin = client.connect()
        where = "in its menus" if client.was_in_menus else "in a race"
        client.close()
    except TrackmasterError as error:
        return Finding(name, "fail", str(error), "")
    return Finding(name, "ok", f"{'our plugin ' + plugin.version if plugin.is_ours else 'the public plugin'}, {where}")

"""Saving and resuming a run: complete snapshots, newest three kept, every file verified by its hash.

``save/<run>/`` holds the files by the names the seeds and Linesight use (``weights1.torch``, ``weights2.torch``,
``optimizer1.torch``, ``scaler.torch``, ``accumulated_stats.json``) and ``state.json``, written last, with the hash of
each. The same set lies in ``recovery/<number>/`` for the newest snapshots and in ``best_eval/`` for the best evaluated
one. A replay memory that is saved as well lies in ``memory/<number>/``, for the newest snapshot only: it is written
before the snapshot that names it and removed after the next one is whole.
"""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trackmaster.errors import TrackmasterError
from trackmaster.files import atomic_dir, atomic_path, atomic_write_text, sha256_of
from trackmaster.nn.weights import WeightsError
from trackmaster.rl.files.names import ONLINE_FILE, TARGET_FILE

STATE_FILE, STATS_FILE = "state.json", "accumulated_stats.json"
RECOVERY, BEST, MEMORY = "recovery", "best_eval", "memory"
STATE_VERSION = 1


class CheckpointError(TrackmasterError):
    """A saved run cannot be continued; the text says which file and what to do."""


Writer = Callable[[Path], dict[str, Any]]
"""Writes an agent's files into a folder and returns the rest of its state."""


class CheckpointStore:
    """The folder of one run.

    Args:
        folder: ``save/<run_name>``.
        keep: recovery snapshots to keep.
        say: where remarks for the user go.
    """

    def __init__(self, folder: Path, *, keep: int = 3, say: Callable[[str], None] = print) -> None:
        self.folder, self._keep, self._say = folder, keep, say

    @property
    def exists(self) -> bool:
        """Whether the run has been saved before."""
        return (self.folder / STATE_FILE).exists() or bool(self._recoveries())

    def save(
        self,
        write_agent: Writer,
        stats: dict[str, Any],
        extra: dict[str, Any],
        *,
        best: bool = False,
        write_memory: Callable[[Path], None] | None = None,
    ) -> None:
        """Write a complete snapshot; nothing of an older one changes before the new one is whole.

        Args:
            write_agent: writes weights and optimiser.
            stats: counters and best times, the content of ``accumulated_stats.json``.
            extra: state of trainer and generators.
            best: also keep it as the best evaluated one.
            write_memory: writes the replay memory into an existing folder.
        """
        number = max((int(p.name) for p in self._recoveries()), default=0) + 1
        memory = self.folder / MEMORY / f"{number:06d}"
        if write_memory is not None:
            with atomic_dir(memory) as temporary:
                write_memory(temporary)
            extra = {**extra, MEMORY: memory.name}
        snapshot = self.folder / RECOVERY / f"{number:06d}"
        try:
            with atomic_dir(snapshot) as temporary:
                agent = write_agent(temporary)
                atomic_write_text(temporary / STATS_FILE, json.dumps(stats, indent=1))
                hashes = {p.name: sha256_of(p) for p in sorted(temporary.iterdir())}
                state = {"version": STATE_VERSION, "agent": agent, "trainer": extra, "sha256": hashes}
                atomic_write_text(temporary / STATE_FILE, json.dumps(state))
        except OSError:
            if write_memory is not None:  # no snapshot names it, and on a full disk it would stand in the way
                shutil.rmtree(memory, ignore_errors=True)
            raise
        if best:  # before the run tells of it: a run that is killed in between has the weights it tells of
            with atomic_dir(self.folder / BEST) as temporary:
                for file in snapshot.iterdir():
                    shutil.copy2(file, temporary / file.name)
        self._publish(snapshot, self.folder)
        for old in self._recoveries()[: -self._keep]:
            shutil.rmtree(old)
        if write_memory is not None:
            for older in memory.parent.iterdir():
                if older.name != memory.name:
                    shutil.rmtree(older)

    def load(self) -> tuple[Path, dict[str, Any], dict[str, Any]]:
        """Return the newest intact snapshot's folder, its state and its statistics.

        Raises:
            CheckpointError: nothing saved is intact.
        """
        problems: list[str] = []
        for folder in (self.folder, *reversed(self._recoveries())):
            try:
                state, stats = _read_verified(folder)
            except CheckpointError as error:
                problems.append(str(error))
                continue
            if problems:
                self._say(f"{problems[0]} Continuing from {folder} instead.")
            return folder, state, stats
        raise CheckpointError(
            f"{self.folder}: no intact snapshot to continue from. {' '.join(problems[:1])} "
            "Start over with --fresh, or give another folder to --resume."
        )

    def agent_state(self, folder: Path) -> dict[str, Any]:
        """Return what an agent needs beside its files to go back to a snapshot of the run.

        Raises:
            CheckpointError: the snapshot is not intact.
        """
        agent: dict[str, Any] = _read_verified(folder)[0]["agent"]
        return agent

    def memory_of(self, state: dict[str, Any]) -> Path | None:
        """Return the folder of the replay memory that was saved with a snapshot's state, None if there is none."""
        name = state["trainer"].get(MEMORY)
        folder = self.folder / MEMORY / str(name)
        return folder if isinstance(name, str) and name.isdigit() and folder.is_dir() else None

    def set_aside(self, *companions: Path) -> tuple[Path, ...]:
        """Move an earlier run out of the way of a fresh one and return where it went.

        Args:
            companions: other folders of the run, which get the same number.
        """
        folders = [folder for folder in dict.fromkeys((self.folder, *companions)) if folder.exists()]
        number = 1
        while any(_aside(folder, number).exists() for folder in folders):
            number += 1
        return tuple(folder.rename(_aside(folder, number)) for folder in folders)

    def prepared_pair(self, *, own: bool = True) -> Path | None:
        """Return the folder of a weights pair that a fresh run should start from.

        Args:
            own: look in the run's own folder first; the folder above it comes second, or alone.
        """
        for folder in (self.folder, self.folder.parent) if own else (self.folder.parent,):
            found = [(folder / name).exists() for name in (ONLINE_FILE, TARGET_FILE)]
            if all(found):
                return folder
            if any(found):
                missing = ONLINE_FILE if found[1] else TARGET_FILE
                raise WeightsError(
                    f"{folder}: {missing} is missing; a prepared pair needs both {ONLINE_FILE} and {TARGET_FILE}."
                )
        return None

    def _recoveries(self) -> list[Path]:
        root = self.folder / RECOVERY
        return sorted(p for p in root.iterdir() if p.name.isdigit()) if root.is_dir() else []

    @staticmethod
    def _publish(snapshot: Path, folder: Path) -> None:
        names = sorted((p.name for p in snapshot.iterdir()), key=lambda name: name == STATE_FILE)
        for name in names:
            with atomic_path(folder / name) as temporary:
                temporary.unlink()
                _link_or_copy(snapshot / name, temporary)


def _read_verified(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        state = json.loads((folder / STATE_FILE).read_text(encoding="utf-8"))
        hashes = state["sha256"]
        if state["version"] != STATE_VERSION:
            raise CheckpointError(
                f"{folder}: written as version {state['version']}, this program reads {STATE_VERSION}."
            )
        for name, expected in hashes.items():
            if sha256_of(folder / name) != expected:
                raise CheckpointError(f"{folder / name}: does not have the content that was saved.")
        return state, json.loads((folder / STATS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{folder}: the snapshot is incomplete ({type(error).__name__}: {error}).") from None


def _aside(folder: Path, number: int) -> Path:
    return folder.with_name(f"{folder.name}.before_{number}")


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)

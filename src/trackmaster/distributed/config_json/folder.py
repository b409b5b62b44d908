"""``TmrlData``: where the roles of the seed keep their files."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from trackmaster.distributed.config_json.config import RunConfig
from trackmaster.errors import ConfigError
from trackmaster.files import atomic_write_text, safe_name

NAME = "TmrlData"
FOLDERS = ("weights", "checkpoints", "logs", "config", "reward")


def default_root() -> Path:
    """Return ``~/TmrlData``."""
    return Path.home() / NAME


@dataclass(frozen=True)
class RunFolder:
    """The tree of one user; made by the command that needs it."""

    root: Path

    @property
    def config_file(self) -> Path:
        """``config/config.json``."""
        return self.root / "config" / "config.json"

    @property
    def reward_file(self) -> Path:
        """``reward/reward.npy``."""
        return self.root / "reward" / "reward.npy"

    def create(self) -> None:
        """Make the folders that are missing.

        Raises:
            ConfigError: one cannot be made or written to; hours later would be too late to say so.
        """
        for name in FOLDERS:
            folder = self.root / name
            try:
                folder.mkdir(parents=True, exist_ok=True)
                reason = "" if os.access(folder, os.W_OK) else "Permission denied"
            except OSError as error:
                reason = error.strerror or str(error)
            if reason:
                raise ConfigError(
                    f"{folder}: weights, checkpoints and logs of a run cannot be written there ({reason}). Name "
                    "another folder with --data-dir."
                )

    def install(self) -> bool:
        """Make the folders and, where there is none, a ``config.json`` of defaults; return whether it was made."""
        self.create()
        if self.config_file.exists():
            return False
        values = RunConfig().model_dump(mode="json", exclude_none=True, exclude={"ENV", "ALG"})
        config = RunConfig()
        nested = {"ALG": config.ALG.model_dump(mode="json"), "ENV": config.ENV.model_dump(mode="json")}
        atomic_write_text(self.config_file, json.dumps(values | {"SECURITY": None} | nested, indent=4) + "\n")
        return True

    def worker_model(self, run: str) -> Path:
        """A worker's local copy of the policy."""
        return self.root / "weights" / f"{safe_name(run)}.tmod"

    def worker_history(self, run: str) -> Path:
        """Beginning of the names of a worker's older policies."""
        return self.root / "weights" / f"{safe_name(run)}_"

    def trainer_model(self, run: str) -> Path:
        """The trainer's local copy of the policy."""
        return self.root / "weights" / f"{safe_name(run)}_t.tmod"

    def checkpoint(self, run: str) -> Path:
        """The trainer's whole state."""
        return self.root / "checkpoints" / f"{safe_name(run)}_t.tcpt"

    def logs(self, run: str) -> Path:
        """Folder of a run's numbers."""
        return self.root / "logs" / safe_name(run)

"""Settings of the verb ``train worker``."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from trackmaster.config import Settings


class TrainWorkerConfig(Settings):
    """Drive for a trainer elsewhere; the run's settings come from the trainer by way of the server."""

    model_config = SettingsConfigDict(env_prefix="TRAIN_WORKER_")

    join: SecretStr | None = None
    """Join string of the worker's token, in quotes; TRAIN_WORKER_JOIN keeps it out of the list of processes."""
    allow_insecure: bool = False
    """Allow plain text on a network that is yours alone."""
    worker_id: int = Field(default=-1, ge=-1, le=65535)
    """Number of this worker; -1 takes a free one."""
    maps: Path | None = None
    """Folder with the run's map and line files, under the names they have at the trainer; bundled maps need none."""
    spool: Path | None = None
    """Folder that keeps chunks until they have arrived, over Ctrl+C and power cuts."""
    on_full: Literal["block", "drop"] = "block"
    """When the network is slower than driving: wait, or give up the oldest episodes and count them."""
    outbox_mb: int = Field(default=64, ge=1, le=65536)
    """Samples that may wait in memory while the server is away."""
    threads: int = Field(default=1, ge=1, le=256)
    """CPU threads of this worker."""

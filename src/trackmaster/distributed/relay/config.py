"""Settings of the verb ``server``."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import CliToggleFlag, SettingsConfigDict

from trackmaster.config import Settings

DEFAULT_PORT = 6666


class ServerConfig(Settings):
    """Relay samples and weights between workers and one trainer, or look after the server's keys.

    Without one of --init, --show-join, --add-worker, --revoke, --evict and --admit the server runs until Ctrl+C.
    """

    model_config = SettingsConfigDict(env_prefix="SERVER_")

    init: CliToggleFlag[bool] = False
    """Make a certificate and one token per role, print the join strings, and end."""
    replace: CliToggleFlag[bool] = False
    """With --init: give up the earlier certificate and tokens."""
    show_join: CliToggleFlag[bool] = False
    """Print the join strings again, and end."""
    add_worker: str | None = None
    """Make one more worker token under this name, print its join string, and end."""
    revoke: str | None = None
    """Lock out the token of this name, and end; a running server lets its client go."""
    evict: str | None = None
    """Lock out the worker token of this name and let the trainer forget what came with it, and end."""
    admit: str | None = None
    """Let a token in again that was revoked or evicted, and end."""
    address: str | None = None
    """Name or address under which the others reach this machine, for the join strings."""
    host: str | None = None
    """Address to listen on; every one with TLS, 127.0.0.1 without."""
    port: int = Field(default=DEFAULT_PORT, ge=0, le=65535)
    """Port to listen on; 0 takes a free one."""
    security: Literal["TLS"] | None = "TLS"
    """"TLS", or null for plain text, which is refused off this machine."""
    password: SecretStr | None = None
    """Let people in by password as well; SERVER_PASSWORD keeps it out of the list of processes."""
    allow_insecure: bool = False
    """Allow plain text on a network that is yours alone."""
    keys: Path | None = None
    """Folder of certificate and tokens; ~/.trackmaster/server when left out."""
    durable: Path | None = None
    """Folder of a journal: what has arrived survives the server, and is acknowledged when the trainer has saved it."""
    max_workers: int | None = Field(default=None, ge=1)
    """Workers at the same time."""
    max_queue_mb: int = Field(default=512, ge=1, le=65536)
    """Samples that may wait for the trainer; beyond, workers are held back."""
    max_connections: int = Field(default=256, ge=2, le=65536)
    """Open connections, those that have shown no token yet included."""

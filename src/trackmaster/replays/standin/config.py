"""Flags of ``trackmaster exchange standin``."""

from pathlib import Path

from pydantic import Field, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from trackmaster.config import Settings
from trackmaster.replays.standin.faults import KINDS


class StandInConfig(Settings):
    """Run a stand-in of the exchange on this machine, to try downloads against."""

    model_config = SettingsConfigDict(env_prefix="EXCHANGE_STANDIN_")

    replays: Path | None = None
    """Folder of .Gbx files to show (searched with its subfolders); our bundled tracks without it."""
    crowd: int = Field(default=0, ge=0, le=100_000)
    """Show so many made-up tracks instead."""
    crowd_replays: int = Field(default=10, ge=1, le=1000)
    """Replays of each of them."""
    crowd_bytes: int = Field(default=0, ge=0, le=1 << 20)
    """Size that their replays are filled up to, roughly."""
    host: str = "127.0.0.1"
    """Where to listen."""
    port: int = Field(default=8471, ge=0, le=65535)
    """Port; 0 for any free one."""
    latency_ms: float = Field(default=0.0, ge=0)
    """Before each answer."""
    bandwidth_kb_s: float = Field(default=0.0, ge=0)
    """Of each answer in kB/s; 0 for no limit."""
    fault_rate: float = Field(default=0.0, ge=0, le=1)
    """Share of requests that meet a fault."""
    faults: tuple[str, ...] = KINDS
    """Kinds of faults; deleted items and moving lists are among them."""
    retry_after: str = "1"
    """What status 429 says in Retry-After: seconds, or a date."""
    stall_s: float = Field(default=60.0, ge=0)
    """How long a time-out says nothing."""
    seed: int = 0
    """Of the faults."""
    log: Path | None = None
    """File for one JSON line per request."""

    @field_validator("faults")
    @classmethod
    def _known_kinds(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [kind for kind in value if kind not in KINDS]
        if unknown:
            raise ValueError(f"{', '.join(unknown)}: no such fault. Known: {', '.join(KINDS)}")
        return value

    @model_validator(mode="after")
    def _one_source(self) -> "StandInConfig":
        if self.crowd and self.replays is not None:
            raise ValueError("give either --replays or --crowd")
        return self

"""Flags of ``trackmaster fidelity``."""

from pathlib import Path

from pydantic import AliasChoices, Field
from pydantic_settings import CliPositionalArg, SettingsConfigDict

from trackmaster.config import Settings


class FidelityConfig(Settings):
    """Drive the inputs of real runs open loop and measure how far the car ends up from the ghost."""

    model_config = SettingsConfigDict(env_prefix="FIDELITY_")

    paths: CliPositionalArg[list[Path]]
    """Replays, or folders of them. Only the map inside a replay is used."""
    json_file: str | None = Field(default=None, validation_alias=AliasChoices("json", "json_file"))
    """Also write the numbers as JSON to this file, or to standard output with "-"."""
    windows_file: Path | None = Field(default=None, validation_alias=AliasChoices("windows", "windows_file"))
    """Also write every window on a mesh as a line of this CSV file: blocks, errors, where it began to differ."""
    every: int = Field(default=1, ge=1)
    """Begin a window at every n-th sample; samples are 0.1 s apart."""
    max_samples: int = Field(default=6_000, ge=20)
    """Samples per drive from which windows begin, so that one endless drive does not outweigh all others."""
    own: bool = False
    """Also measure ghosts that the simulator drives itself, in the same windows on meshes (twice as long)."""
    starts_only: bool = False
    """Measure race starts and respawns only, where nothing is fitted."""
    blocks: int = Field(default=20, ge=0)
    """Blocks to list that lead the simulator astray, worst first."""
    device: str = "cpu"
    """Where to simulate: cpu or cuda:0."""

"""Flags of ``trackmaster replays filter`` and of the filter scripts."""

import logging
import os
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import AliasChoices, Field
from pydantic_settings import CliToggleFlag, SettingsConfigDict

from trackmaster.config import Settings
from trackmaster.replays.config import DEFAULT_REPLAYS

STANDARD_ENVIRONMENTS = ("Stadium", "Speed", "Alpine", "Rally", "Bay", "Island", "Coast", "Desert")
MapType = Literal["race", "platform", "puzzle", "crazy", "shortcut", "stunts"]
"""The game's modes by name, as ``gbx.models.MODES`` has them."""
Teacher = Literal["all", "best", "median", "author"]


class FilterConfig(Settings):
    """Keep the tracks of a list that are fit to learn from, and say why the others are not."""

    model_config = SettingsConfigDict(env_prefix="REPLAYS_FILTER_")

    always_no_respawn: ClassVar[bool] = False
    """Whether ``--no-respawn`` is in force without being given."""

    input: Path = Field(default=Path("maps/track_ids.txt"), validation_alias=AliasChoices("input", "i"))
    """List of tracks, one id a line."""
    from_catalogue: bool = False
    """Judge all tracks of the catalogue by what it knows, their replays on disk or not; --input is not read."""
    output: Path = Field(default=Path("maps/track_ids_filtered.txt"), validation_alias=AliasChoices("output", "o"))
    """List of those that are kept, in the same order."""
    replays_dir: Path = Field(default=DEFAULT_REPLAYS, validation_alias=AliasChoices("replays_dir", "r"))
    """Replays: <track_id>/*.replay.gbx."""
    tracks_dir: Path = Field(default=Path("maps/tracks"), validation_alias=AliasChoices("tracks_dir", "t"))
    """Maps: <track_id>.Challenge.Gbx or <track_id>/*.Challenge.Gbx."""
    catalogue: Path | None = None
    """Catalogue of the replays; the one in --replays-dir without it, and none if there is none."""
    workers: int = Field(default=os.cpu_count() or 1, ge=1, le=1024)
    """Processes that read replays, at most one per processor core."""
    jobs: int = Field(default=os.cpu_count() or 1, ge=1, le=1024, validation_alias=AliasChoices("jobs", "j"))
    """Processes that read maps, at most one per processor core."""
    no_respawn: CliToggleFlag[bool] = False
    """Drop tracks on which any replay respawns; read from the headers alone."""
    environments: tuple[str, ...] = ()
    """Keep only maps of these environments; any without it."""
    map_types: tuple[MapType, ...] = ()
    """Keep only maps of these modes: race, platform, puzzle, crazy, shortcut, stunts; any without it."""
    max_preview_duration: float | None = Field(default=None, ge=0)
    """Drop maps whose intro lasts longer than this, in seconds."""
    no_unlimiter: CliToggleFlag[bool] = False
    """Drop maps that need TMUnlimiter."""
    only_with_replays: bool = False
    """Drop tracks without a replay."""
    only_with_maps: bool = False
    """Drop tracks without a map file."""
    device: Literal["keyboard", "pad"] | None = None
    """Use only runs driven with this."""
    no_tminterface: CliToggleFlag[bool] = False
    """Leave out runs made under TMInterface."""
    min_run_s: float | None = Field(default=None, ge=0)
    """Leave out shorter runs."""
    max_run_s: float | None = Field(default=None, ge=0)
    """Leave out longer runs."""
    current_version: bool = False
    """Leave out runs on another version of the map than that of the catalogue or the map file."""
    validated: bool = False
    """Use only runs that the exchange calls validated or, where it is not known, the game would validate."""
    teacher: Teacher = "all"
    """Which runs of a track to use: all, the fastest, the median within 1.5 times the fastest, or the map author's."""
    replays_output: Path | None = None
    """Also write the runs to use, one <track_id>/<file> a line."""
    copy_to: Path | None = None
    """Also lay the runs to use out as <folder>/<track_id>/<file>, as links where the disk allows."""
    explain: bool = False
    """Say for every dropped track why."""
    use_tqdm: bool = True
    """Draw a progress bar on a terminal; plain lines otherwise."""

    @property
    def told(self) -> int:
        """From which level of ``logging`` on the filter speaks: DEBUG says of every dropped track why."""
        return logging.DEBUG if self.explain else logging.INFO

    @property
    def drops_respawns(self) -> bool:
        """Whether tracks on which any replay respawns are dropped."""
        return self.no_respawn or self.always_no_respawn

    @property
    def judges_maps(self) -> bool:
        """Whether map files have to be read."""
        judged = (self.environments, self.map_types, self.no_unlimiter, self.current_version)
        return self.max_preview_duration is not None or any(judged)

    @property
    def judges_runs(self) -> bool:
        """Whether single runs are left out or chosen."""
        return (
            self.teacher != "all"
            or self.needs_body
            or any((self.min_run_s is not None, self.max_run_s is not None, self.current_version, self.validated))
        )

    @property
    def needs_replays(self) -> bool:
        """Whether replays have to be read."""
        lists_runs = self.replays_output is not None or self.copy_to is not None
        return self.drops_respawns or self.judges_runs or self.only_with_replays or lists_runs

    @property
    def needs_body(self) -> bool:
        """Whether the headers of replays do not tell enough."""
        return self.device is not None or self.no_tminterface


class RespawnFilterConfig(FilterConfig):
    """Keep the tracks of a list on which no replay respawns."""

    output: Path = Field(default=Path("maps/track_ids_no_respawn.txt"), validation_alias=AliasChoices("output", "o"))
    """List of those that are kept, in the same order."""

    workers: int = Field(default=os.cpu_count() or 1, ge=1, le=1024, validation_alias=AliasChoices("workers", "j"))
    """Processes that read replays, at most one per processor core."""
    jobs: int = Field(default=os.cpu_count() or 1, ge=1, le=1024)
    """Processes that read maps, at most one per processor core."""

    verbose: CliToggleFlag[bool] = Field(default=False, validation_alias=AliasChoices("verbose", "v"))
    """The same as --explain."""

    always_no_respawn: ClassVar[bool] = True

    @property
    def told(self) -> int:
        """As for all filters; ``--verbose`` says why as well."""
        return logging.DEBUG if self.verbose else super().told


class MapTypeFilterConfig(FilterConfig):
    """Keep the tracks of a list whose maps are standard ones, with short intros where asked for."""

    output: Path = Field(default=Path("maps/track_ids_standard.txt"), validation_alias=AliasChoices("output", "o"))
    """List of those that are kept, in the same order."""
    tracks_dir: Path = Field(default=Path("maps/tracks_tmnf"), validation_alias=AliasChoices("tracks_dir", "t"))
    """Maps: <track_id>.Challenge.Gbx or <track_id>/*.Challenge.Gbx."""
    environments: tuple[str, ...] = STANDARD_ENVIRONMENTS
    """Keep only maps of these environments."""
    map_types: tuple[MapType, ...] = ("race",)
    """Keep only maps of these modes: race, platform, puzzle, crazy, shortcut, stunts."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """DEBUG also says of every dropped track why, WARNING names files that cannot be read, ERROR nothing."""

    @property
    def told(self) -> int:
        """As ``--log-level`` says; ``--explain`` is as good as DEBUG."""
        return logging.DEBUG if self.explain else logging.getLevelNamesMapping()[self.log_level]

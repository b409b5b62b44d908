"""Flags of listing and downloading: the seeds' names and defaults, and our own for manners and resuming."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator
from pydantic_settings import CliToggleFlag, SettingsConfigDict

from trackmaster.config import Settings
from trackmaster.errors import ConfigError
from trackmaster.replays.hosts import host_of, is_own
from trackmaster.replays.manners import Manners

DEFAULT_URL = "https://tmnf.exchange"
URL_VARIABLE = "TRACKMASTER_EXCHANGE_URL"
_NO_NAME = re.compile(r"[\x00-\x1f/\\:]")
DEFAULT_REPLAYS = Path("maps/replays")
Order = Literal[
    "activity", "awards", "comments", "downloads", "uploaded", "updated", "awards-week", "awards-month", "world-record"
]


class ExchangeSettings(Settings):
    """What every verb that talks to the exchange takes."""

    url: str = DEFAULT_URL
    """Address of the exchange; TRACKMASTER_EXCHANGE_URL sets it for all verbs."""
    contact: str | None = None
    """Who we are, in the User-Agent: an e-mail address or a page; TRACKMASTER_CONTACT without it."""
    rate: float = Field(default=2.0, ge=0, allow_inf_nan=False)
    """Files per second, evenly spaced; 0 for no limit, which only a stand-in in a network of your own is asked with."""
    api_rate: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """Listings per second; half of --rate without it, and 0 for no limit, as there."""
    rate_delay: float = Field(default=0.0, ge=0)
    """Seconds between two listings, at least."""
    connections: int | None = Field(default=None, ge=1, le=1024)
    """Requests under way at the same time; 2 without it, and as many as there are workers with --rate 0."""
    attempts: int = Field(default=6, ge=1, le=100)
    """Tries per item before it is left for the next run."""
    backoff_s: float = Field(default=5.0, ge=0)
    """First wait after an error; doubles up to ten minutes."""
    break_s: float = Field(default=60.0, ge=0)
    """First time of silence after ten errors in a row; doubles up to ten minutes."""
    timeout_s: float = Field(default=30.0, gt=0)
    """How long to wait for a connection or the next piece of an answer."""
    cache_hours: float = Field(default=24.0, ge=0)
    """Age up to which remembered listings are used without asking; older ones are asked for conditionally."""
    workers: int = Field(default=8, ge=1, le=4096)
    """Files under way in the queue; how fast they are asked for is --rate's matter."""
    api_workers: int = Field(default=0, ge=0, le=4096)
    """Listings under way in the queue; 0 for as many as --workers."""
    catalogue: Path | None = None
    """Where the states of all items are kept; catalogue.sqlite in the folder of the replays without it."""
    dry_run: bool = False
    """Say what would be downloaded; no file is written."""
    use_tqdm: bool = True
    """Draw a progress bar on a terminal; plain lines otherwise."""
    no_tqdm: CliToggleFlag[bool] = False
    """The same as --no-use-tqdm."""

    @classmethod
    def own_variables(cls, environment: Mapping[str, str]) -> dict[str, str]:
        """Let ``TRACKMASTER_EXCHANGE_URL`` count for every verb."""
        variables = dict(environment)
        shared = variables.get(URL_VARIABLE)
        if shared:
            variables.setdefault(f"{cls.model_config.get('env_prefix')}URL", shared)
        return variables

    @field_validator("url")
    @classmethod
    def _url_is_an_address(cls, value: str) -> str:
        if not value.startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://")
        if not urlsplit(value).hostname:
            raise ValueError("must name a server")
        return value

    @model_validator(mode="after")
    def _only_own_servers_are_asked_without_limits(self) -> Self:
        manners = self.manners
        host = host_of(self.url)
        if (manners.files_per_s <= 0 or manners.api_per_s <= 0) and not is_own(host):
            flag = "--rate 0" if self.rate <= 0 else "--api-rate 0"
            raise ValueError(
                f"{flag} (no limit) is for a stand-in on this machine or in a private network, and {host} is neither. "
                "Give a number of requests a second above 0, or the address of the stand-in (--url)"
            )
        return self

    @property
    def has_bar(self) -> bool:
        """Whether to draw a bar where there is a terminal."""
        return self.use_tqdm and not self.no_tqdm

    @property
    def manners(self) -> Manners:
        """How hard the exchange is asked."""
        api_per_s = self.rate / 2 if self.api_rate is None else self.api_rate
        if self.rate_delay > 0:
            api_per_s = min(api_per_s or float("inf"), 1.0 / self.rate_delay)
        busiest = max(self.workers, self.api_workers)
        connections = self.connections or (2 if self.rate > 0 else min(busiest, 1024))
        return Manners(api_per_s, self.rate, connections, self.attempts, self.backoff_s, self.break_s)


class FileSettings(ExchangeSettings):
    """What every verb that fetches files takes."""

    top: int = Field(default=50, ge=1)
    """Replays per track: the best of distinct drivers on the current version of the map."""
    tracks_dir: Path = Path("maps/tracks")
    """Maps: <track_id>.Challenge.Gbx."""
    extract_tracks_from_replays: bool = False
    """Take each track's map out of its best replay into --tracks-dir."""
    refresh: bool = False
    """Ask again for the listings of tracks that are known: new replays may have come."""
    retry_rejected: bool = False
    """Fetch files again that were rejected."""
    verify: Literal["full", "header"] = "full"
    """Read every file to its last byte, or only what stands in front of its body."""
    jobs: int | None = Field(default=None, ge=0, le=256)
    """Processes that verify files; one per processor core without it, 0 for a thread (as for a few tracks)."""
    max_file_mb: float = Field(default=16.0, gt=0, le=128)
    """Largest file in MB; the largest real replays have 3."""


class ListConfig(ExchangeSettings):
    """Write the ids of the exchange's tracks, the most popular first, into a file."""

    model_config = SettingsConfigDict(env_prefix="REPLAYS_LIST_")

    output: Path = Path("maps/track_ids.txt")
    """File for the ids, one a line."""
    per_page: int = Field(default=1000, ge=1)
    """Tracks per request; the exchange gives at most 1000."""
    order: Order = "activity"
    """What popular means."""
    max_tracks: int | None = Field(default=None, ge=1)
    """Stop after so many; all without it."""
    replays_dir: Path | None = None
    """Folder of the catalogue; 'replays' beside --output without it."""


class TrackConfig(FileSettings):
    """Download the replays of one track."""

    model_config = SettingsConfigDict(env_prefix="REPLAYS_TRACK_")

    track_id: int | None = Field(default=None, ge=1)
    """Id of the track."""
    track_name: str | None = None
    """Its name; the exact name wins, else the first that the search finds."""
    output_dir: Path = Path("replays_tmnf")
    """Replays: <output-dir>/<track_id>/."""


class DownloadConfig(FileSettings):
    """List tracks, or download the replays of a list or of one track, resuming where an earlier run stopped."""

    model_config = SettingsConfigDict(env_prefix="REPLAYS_DOWNLOAD_")

    list_popular: bool = False
    """Write the ids of popular tracks to --output."""
    track_ids: Path | None = None
    """File with one track id per line: download their replays."""
    track_id: int | None = Field(default=None, ge=1)
    """Download the replays of one track to --output-dir."""
    track_name: str | None = None
    """The same by name."""
    output: Path = Path("maps/track_ids.txt")
    """File for the ids of --list-popular."""
    output_dir: Path = Path("replays_tmnf")
    """Replays of a single track: <output-dir>/<track_id>/."""
    replays_dir: Path | None = None
    """Replays: <replays-dir>/<track_id>/; maps/replays without it."""
    per_page: int = Field(default=1000, ge=1)
    """Tracks per request of --list-popular; the exchange gives at most 1000."""
    order: Order = "activity"
    """What popular means."""
    max_tracks: int | None = Field(default=None, ge=1)
    """Stop --list-popular after so many; all without it."""
    download_replays: bool = False
    """With --list-popular: download the replays too."""
    download_tracks: bool = False
    """With --list-popular: download the maps too, to --tracks-dir."""

    def shared(self, model: type[Settings], **others: Any) -> dict[str, Any]:
        """Return the settings that another verb's configuration has too."""
        return {name: getattr(self, name) for name in model.model_fields if hasattr(self, name)} | others


class StatusConfig(Settings):
    """Say how far a folder of replays is: counts, rates, failures by reason, time left."""

    model_config = SettingsConfigDict(env_prefix="REPLAYS_STATUS_")

    replays_dir: Path = DEFAULT_REPLAYS
    """Folder of replays."""
    catalogue: Path | None = None
    """Its catalogue, where it lies elsewhere."""
    check: bool = False
    """Read every replay and map again and compare it with the catalogue; the next run fetches wrong or missing ones."""
    tracks_dir: Path = Path("maps/tracks")
    """Maps, for --check: <track_id>.Challenge.Gbx."""
    failures: int = Field(default=10, ge=0)
    """Failed items to name."""


def read_track_names(path: Path) -> list[str]:
    """Return the tracks of a list, in order, each once; empty lines and lines that begin with # do not count.

    Raises:
        ConfigError: the file cannot be read, or holds something that is no name of a folder.
    """
    found: dict[str, None] = {}
    try:
        with path.open(encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, 1):
                word = line.strip()
                if not word or word.startswith("#"):
                    continue
                if _NO_NAME.search(word) or word.startswith("."):
                    raise ConfigError(f"{path}, line {number}: expected the id of a track, found {word[:40]!r}.")
                found[word] = None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: the list of track ids cannot be read ({error}).") from None
    return list(found)


def is_track_id(name: str) -> bool:
    """Whether a name is a number that the exchange could give a track."""
    return name.isascii() and name.isdigit() and len(name) <= 15 and int(name) > 0


def read_ids(path: Path) -> list[int]:
    """Return the ids of a list of tracks of the exchange, in order, each once.

    Raises:
        ConfigError: the file cannot be read, or holds something else.
    """
    names = read_track_names(path)
    for name in names:
        if not is_track_id(name):
            raise ConfigError(f"{path}: expected ids of tracks of the exchange, found {name[:40]!r}.")
    return list(dict.fromkeys(map(int, names)))

"""The games of a capture: where they are, what they have to know before they start, and what is put away again."""

import contextlib
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from trackmaster.capture.autosave import ghosts_in_autosaves
from trackmaster.capture.config import CaptureConfig
from trackmaster.capture.discover import ReplayFile
from trackmaster.capture.errors import CaptureError
from trackmaster.capture.outcomes import Outcome
from trackmaster.capture.speeds import read_speeds, speed_check
from trackmaster.capture.staging import stage_maps
from trackmaster.capture.verify import Check
from trackmaster.files import atomic_write_text
from trackmaster.game.setup.instances import Instance, instance_of
from trackmaster.game.setup.keeper import can_launch
from trackmaster.game.setup.launcher import is_listened_to
from trackmaster.game.setup.settings import GameSettings, load_game_settings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Games:
    """One game per worker; it travels to the processes of the workers."""

    instances: tuple[Instance, ...]
    settings: GameSettings | None = None
    """How to start them; None where somebody else does."""
    speed_check: Check | None = None
    """What is known about the running speed on this machine."""
    login: str = ""
    """Account that they log in with; empty leaves it as it is."""


def choose_game(config: CaptureConfig, settings: GameSettings | None = None) -> CaptureConfig:
    """Return the flags with the game decided: the real one where one is configured, else the simulator; say which.

    The account of the settings becomes ``login`` unless the flags name another.

    Raises:
        ConfigError: the settings of the game cannot be used.
    """
    if config.game == "simulator":
        return config
    if settings is None:
        settings = load_game_settings({"base_tmi_port": config.base_tmi_port})
    names_another = "login" in config.model_fields_set or not settings.login
    login = config.login if names_another else settings.login
    if config.game is not None:
        return config.model_copy(update={"login": login})
    if not settings.is_configured:
        log.info("No game is configured, so the simulator draws the frames (--game simulator).")
        return config.model_copy(update={"game": "simulator"})
    log.info(
        "The game on port %d plays the replays (--game tminterface); --game simulator needs none.",
        settings.base_tmi_port,
    )
    return config.model_copy(update={"game": "tminterface", "login": login})


def find_games(config: CaptureConfig, settings: GameSettings | None = None) -> Games:
    """Return the games that the flags and the settings of the game name.

    Raises:
        CaptureError: the running speed was measured as inexact.
        ConfigError: the settings cannot be used.
    """
    if settings is None:
        settings = load_game_settings({"base_tmi_port": config.base_tmi_port})
    instances = tuple(instance_of(settings, index) for index in range(config.workers))
    check = speed_check(read_speeds(), config.running_speed, instances=config.workers, force=config.force_speed)
    if check.ok is None and check.value == "not measured":
        log.warning(
            "whether --running-speed %g is exact on this machine was never measured; trackmaster doctor --speeds does. "
            "Runs that do not reproduce are rejected in any case.",
            config.running_speed,
        )
    return Games(instances, settings if can_launch(settings) else None, check, settings.login)


@contextlib.contextmanager
def ready_games(config: CaptureConfig, games: Games | None, files: Sequence[ReplayFile]) -> Iterator[Games]:
    """Yield games that know every map of the batch; copies of maps are taken away again where we start the games.

    Raises:
        CaptureError: there are fewer games than workers, or the games must be started after the maps were put there.
        ConfigError: the settings of the game cannot be used.
    """
    games = games if games is not None else find_games(config)
    if len(games.instances) < config.workers:
        raise CaptureError(f"--workers {config.workers} needs as many games, {len(games.instances)} are set up.")
    for instance in games.instances[: config.workers]:
        if not instance.user_path.is_dir():
            raise CaptureError(
                f"{instance.user_path}: there is no user folder of the game. Start the game once, or set "
                "TRACKMANIA_BASE_PATH (in .env or the environment); without the game, --game simulator captures the "
                "same replays."
            )
    staging = stage_maps(config, files, games.instances)
    stale = [one for one in games.instances if games.settings is None or is_listened_to(one.port)]
    unknown = [path for path in staging.fresh if any(path.is_relative_to(one.user_path) for one in stale)]
    if unknown:
        folders = ", ".join(sorted({str(path.parent) for path in unknown}))
        raise CaptureError(
            f"{len(unknown)} maps were put into {folders}. The game knows only maps that were there when it "
            "started: start it now (again, if it runs), and run the same command once more."
        )
    with ghosts_in_autosaves(config, files, games.instances):
        try:
            yield games
        finally:
            if games.settings is not None:
                staging.remove()


def add_enter_maps(path: Path, rejected: Iterable[Outcome]) -> None:
    """Add the tracks that never began to a list of ids, each once."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    fresh = dict.fromkeys(outcome.track_id for outcome in rejected if outcome.reason == "no_start")
    wanted = [*lines, *(track_id for track_id in fresh if track_id not in lines)]
    if wanted != lines:
        atomic_write_text(path, "".join(f"{line}\n" for line in wanted))

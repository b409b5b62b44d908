"""``trackmaster doctor``: what the game's room looks at, and the running speeds, which takes races to find out."""

import contextlib
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

from trackmaster.capture.config import CaptureConfig
from trackmaster.capture.discover import ReplayFile
from trackmaster.capture.errors import CaptureError, ReplayRejectedError
from trackmaster.capture.games import Games, ready_games
from trackmaster.capture.played import PlayedRecorder
from trackmaster.capture.recorder import Recorder
from trackmaster.capture.source import read_source
from trackmaster.capture.speeds import DEFAULT_SPEEDS, MeasuredSpeed, keep_speeds, measure_speeds
from trackmaster.game.setup import doctor
from trackmaster.game.setup.config import DoctorConfig
from trackmaster.game.setup.instances import instance_of
from trackmaster.game.setup.keeper import GameKeeper, can_launch
from trackmaster.game.setup.settings import load_game_settings
from trackmaster.interrupts import ended_like_ctrl_c
from trackmaster.track.bundled import bundled_folder


def run_doctor(config: DoctorConfig) -> int:
    """Print one line per check, and measure running speeds where that is asked for.

    Returns:
        1 if something has to be cured, else 0.

    Raises:
        CaptureError: --speeds without a game, or the game cannot be used.
    """
    code = doctor.run_doctor(config)
    if not config.speeds or code:
        return code
    measured = []
    with ended_like_ctrl_c():
        for one in _measure(config):
            measured.append(one)
            games = "" if one.instances == 1 else f" with {one.instances} games"
            print(f"speed {one.speed:g}{games}: {'exact' if one.exact else one.detail}", flush=True)
    print(f"kept in {keep_speeds(measured)}; capture refuses speeds that are not exact.")
    return 0


def _measure(config: DoctorConfig) -> Iterator[MeasuredSpeed]:
    flags = {"base_tmi_port": config.base_tmi_port, "trackmania_base_path": config.trackmania_base_path}
    settings = load_game_settings(flags, dotenv=config.dotenv, yaml=config.game_config)
    if not settings.is_configured:
        raise CaptureError(
            "--speeds needs the real game, and none is configured: set BASE_TMI_PORT or TRACKMANIA_BASE_PATH. On the "
            "simulator every speed is exact."
        )
    instances = tuple(instance_of(settings, index) for index in range(config.workers))
    keepers = [GameKeeper(settings, instance) if can_launch(settings) else None for instance in instances]
    file = ReplayFile(config.speeds_replay or _bundled_replay(), "speeds")
    capture_flags = CaptureConfig(
        game="tminterface", replays_dir=file.path.parent, use_tqdm=False, workers=config.workers
    )
    games = Games(instances, settings if can_launch(settings) else None)
    try:
        source = read_source(file, capture_flags)
    except ReplayRejectedError as reject:
        raise CaptureError(f"{file.path} cannot be played: {reject.detail}") from None

    def recorders() -> Generator[tuple[float, Sequence[Recorder]], None, None]:
        for speed in sorted({1.0, *(config.try_speeds or DEFAULT_SPEEDS)}):
            flags = capture_flags.model_copy(update={"running_speed": speed})
            players = [
                PlayedRecorder(flags, instance, keeper=keeper, login=settings.login)
                for instance, keeper in zip(instances, keepers, strict=True)
            ]
            try:
                yield speed, players
            finally:
                for player in players:
                    player.leave()

    with ready_games(capture_flags, games, (file,)):
        try:
            with contextlib.closing(recorders()) as at_speeds:
                yield from measure_speeds(at_speeds, source)
        except ReplayRejectedError as reject:
            raise CaptureError(f"a game cannot play {file.path.name}: {reject.detail}") from None
        finally:
            for keeper in keepers:
                if keeper is not None:
                    keeper.end()


def _bundled_replay() -> Path:
    found = sorted((bundled_folder() / "replays" / "first_steps").glob("*.[Rr]eplay.[Gg]bx"))
    if not found:
        raise CaptureError("no replay is bundled; give one with --speeds-replay.")
    return found[0]

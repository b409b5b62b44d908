"""The command that takes frames with invalid floats out of a captured tree."""

import sys
from collections import Counter
from pathlib import Path

from pydantic import AliasChoices, Field
from pydantic_settings import SettingsConfigDict

from trackmaster.capture.errors import CaptureError
from trackmaster.config import Settings


class CleanConfig(Settings):
    """Find frames whose floats cannot be learnt from; with --apply take them out."""

    model_config = SettingsConfigDict(env_prefix="DATA_CLEAN_")

    data_dir: Path = Path("maps/img")
    """Captured frames: data_dir/<track_id>/<replay_name>/."""
    rl_config: Path | None = None
    """RL configuration; checked to be readable, the rule itself needs nothing from it."""
    apply: bool = False
    """Change the tree; without it the frames are only counted."""
    yes: bool = Field(default=False, validation_alias=AliasChoices("y", "yes"))
    """Do not ask before the tree is changed."""
    use_tqdm: bool = True
    """Draw a progress bar."""


def run_clean(config: CleanConfig) -> int:
    """Judge all frames, print what is wrong, and clean up where that is wanted.

    Returns:
        0, or 2 when replays could not be judged.

    Raises:
        CaptureError: there is no such tree, or --apply needs a yes that cannot be asked for.
        ConfigError: the RL configuration cannot be read.
    """
    from trackmaster.capture.cleanup import clean_replay, judge_replay, replay_folders
    from trackmaster.progress import progress
    from trackmaster.strict_yaml import read_yaml

    if config.rl_config is not None:
        read_yaml(config.rl_config)
    folders = list(replay_folders(config.data_dir))
    verdicts = [judge_replay(folder) for folder in progress(folders, desc="judge", enabled=config.use_tqdm)]
    for verdict in verdicts:
        if verdict.problem:
            print(f"{verdict.problem}; it is left as it is. Capture the replay again.")
    reasons = sum((verdict.reasons for verdict in verdicts), Counter[str]())
    for reason, count in reasons.most_common():
        print(f"{count:8d}  {reason}")
    dirty = [verdict for verdict in verdicts if verdict.bad]
    frames, bad = sum(verdict.frames for verdict in verdicts), sum(len(verdict.bad) for verdict in verdicts)
    print(f"{bad} of {frames} frames in {len(dirty)} of {len(verdicts)} replays have floats that are not valid.")
    if dirty and not config.apply:
        print("Nothing was changed; --apply takes them out.")
    if dirty and config.apply and _agreed(config, bad):
        for verdict in progress(dirty, desc="clean", enabled=config.use_tqdm):
            clean_replay(verdict)
        gone = sum(not verdict.folder.exists() for verdict in dirty)
        print(f"{bad} frames were taken out; {gone} replays had no other and are gone.")
    return 2 if any(verdict.problem for verdict in verdicts) else 0


def _agreed(config: CleanConfig, bad: int) -> bool:
    if config.yes:
        return True
    if not sys.stdin.isatty():
        raise CaptureError("--apply removes files and asks first, but there is nobody to ask here. Add --yes.")
    return input(f"Remove {bad} frames from {config.data_dir}? [y/N] ").strip().lower() in ("y", "yes")

"""The verbs ``trainer`` and ``worker``, and what else ``trackmaster_training.py`` does with a ``config.json``."""

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field
from pydantic_settings import CliToggleFlag, SettingsConfigDict

from trackmaster.config import Settings
from trackmaster.distributed.config_json.config import UNUSED, RunConfig
from trackmaster.distributed.config_json.file import parse_json, read_run_config
from trackmaster.distributed.config_json.folder import RunFolder, default_root
from trackmaster.errors import ConfigError, InterruptedRunError

if TYPE_CHECKING:
    from trackmaster.distributed.rollout_worker import RolloutWorker

ENDLESS_EPISODES = 10_000
"""Episodes of a test that nobody stops."""
PASSWORDS = frozenset({"PASSWORD", "WANDB_KEY"})


class RunSettings(Settings):
    """Where the files of a run are."""

    data_dir: Path = Field(default_factory=default_root)
    """Folder of weights, checkpoints, logs, config and reward."""
    config_json: str | None = None
    """Another config.json, or an object such as '{"RUN_NAME": "second"}' whose keys go over those of the file."""


class TrainerVerbConfig(RunSettings):
    """Learn from what the workers send to the server; the rest is said by TmrlData/config/config.json."""

    model_config = SettingsConfigDict(env_prefix="TRAINER_")

    wandb: CliToggleFlag[bool] = False
    """Send the numbers of every round to Weights & Biases too."""


class WorkerVerbConfig(RunSettings):
    """Drive and send what was lived through to the server; the rest is said by TmrlData/config/config.json."""

    model_config = SettingsConfigDict(env_prefix="WORKER_")

    expert: CliToggleFlag[bool] = False
    """Never take over weights and never test: the policy is better than the one being trained."""
    test: CliToggleFlag[bool] = False
    """Drive with the policy at hand, without a server."""
    benchmark: CliToggleFlag[bool] = False
    """Measure the durations of the real-time environment, without a server."""
    test_episode_interval: int = Field(default=0, ge=0)
    """A deterministic episode before every n-th one; 0 makes none."""
    episodes: int = Field(default=0, ge=0)
    """Episodes to drive; 0 goes on until Ctrl+C."""
    steps: int = Field(default=1_000, ge=1)
    """Steps of a benchmark."""


def run_trainer(settings: TrainerVerbConfig, *, say: Callable[[str], None] = print) -> None:
    """Train until every epoch is done; Ctrl+C saves first."""
    config, folder = prepared(settings, say=say)
    from trackmaster.distributed.config_json.roles import make_trainer

    trainer = make_trainer(config, folder, say=say)
    checkpoint = folder.checkpoint(config.RUN_NAME)

    def kept() -> str:
        if trainer.is_saved:
            return f"Everything so far is in {checkpoint}; the same command goes on from there."
        return f"The newest state could not be written; {checkpoint} is as it was before, if it was there."

    with _until_interrupted(kept), contextlib.closing(trainer):
        if settings.wandb:
            trainer.run_with_wandb(
                entity=config.WANDB_ENTITY, project=config.WANDB_PROJECT,
                run_id=config.WANDB_RUN_ID or config.RUN_NAME, key=config.WANDB_KEY or None,
            )  # fmt: skip
        else:
            trainer.run()
        say(f"Training is done; the policy is in {folder.trainer_model(config.RUN_NAME)}.")


def run_worker(settings: WorkerVerbConfig, *, say: Callable[[str], None] = print) -> None:
    """Drive until Ctrl+C, or until as many episodes are done as were asked for."""
    modes = [name for name in ("expert", "test", "benchmark") if getattr(settings, name)]
    if len(modes) > 1:
        raise ConfigError(f"--{' and --'.join(modes)} are different kinds of worker; give one of them.")
    config, folder = prepared(settings, say=say, benchmark=settings.benchmark)
    from trackmaster.distributed.config_json.roles import make_worker

    alone = settings.test or settings.benchmark
    worker = make_worker(config, folder, standalone=alone, say=say)
    with _until_interrupted(lambda: "What was driven has been sent as far as the server was there."), worker:
        _drive(worker, settings, say)


def install(settings: RunSettings, *, say: Callable[[str], None] = print) -> None:
    """Make the folders and a config.json with the defaults."""
    folder = RunFolder(settings.data_dir)
    made = folder.install()
    say(f"{folder.config_file} {'holds the defaults now' if made else 'was there and stays as it is'}.")


def prepared(
    settings: RunSettings, *, say: Callable[[str], None] = print, benchmark: bool = False
) -> tuple[RunConfig, RunFolder]:
    """Return what the files say and where they are; the folders exist afterwards.

    Raises:
        ConfigError: there is no config.json, or it cannot be used.
    """
    folder = RunFolder(settings.data_dir)
    path, changes = folder.config_file, dict[str, Any]()
    given = settings.config_json
    if given is not None and given.lstrip().startswith("{"):
        changes = parse_json(given, source="--config")
    elif given is not None:
        path = Path(given)
    elif not path.exists():
        folder.install()
        say(f"{path} did not exist and holds the defaults now.")
    if changes and not path.exists():
        folder.install()
    if benchmark:
        changes = _deep(changes, ("ENV", "RTGYM_CONFIG", "benchmark"), True)
    config = read_run_config(path, changes=changes)
    folder.create()
    shown = {name: value for name, value in changes.items() if name not in PASSWORDS}
    over = f", with {json.dumps(shown)} over it" if shown else ""
    say(f"Run {config.RUN_NAME}: settings from {path}{over}.")
    unused = [name for name in UNUSED if getattr(config, name) is not None]
    if unused:
        say(f"{', '.join(unused)}: accepted and not needed; there is one port and no helper process.")
    return config, folder


def _drive(worker: "RolloutWorker", settings: WorkerVerbConfig, say: Callable[[str], None]) -> None:
    if settings.benchmark:
        worker.run_env_benchmark(nb_steps=settings.steps, test=False)
    elif settings.test:
        episodes = worker.run_episodes(nb_episodes=settings.episodes or ENDLESS_EPISODES)
        mean = sum(result for result, _ in episodes) / max(1, len(episodes))
        say(f"{len(episodes)} test episodes, mean return {mean:.4g}.")
    else:
        worker.run(
            test_episode_interval=settings.test_episode_interval,
            nb_episodes=settings.episodes or float("inf"), expert=settings.expert,
        )  # fmt: skip


@contextlib.contextmanager
def _until_interrupted(kept: Callable[[], str]) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        raise InterruptedRunError(f"stopped. {kept()}") from None


def _deep(values: Mapping[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """Return a copy with one more entry deep inside."""
    inner = dict(values.get(path[0], {})) if len(path) > 1 else {}
    return {**values, path[0]: _deep(inner, path[1:], value) if len(path) > 1 else value}

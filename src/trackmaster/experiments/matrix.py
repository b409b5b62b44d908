"""The runs of an experiment: every arm with every seed, as commands in the order in which they are to be run."""

import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from trackmaster.data import find_replays, source_signature
from trackmaster.errors import ConfigError
from trackmaster.experiments.plan import Arm, ExperimentPlan, merged
from trackmaster.files import atomic_write_text, sha256_of
from trackmaster.pretrain.artifact import META_NAME
from trackmaster.pretrain.config import PretrainConfig
from trackmaster.rl.config.training import TrainConfig
from trackmaster.strict_yaml import read_yaml
from trackmaster.track.bundled import bundled_challenge
from trackmaster.track.errors import TrackError

PROGRAM = (sys.executable, "-m", "trackmaster")
EXPLORING_SHARE = 7
"""Exploring episodes for each greedy one where an arm names its track, as in the quick preset."""
SHARED_ENCODER_SEED = 42
"""Of encoders that all seeds of an arm share."""

Command = tuple[str, ...]
Checked = TypeVar("Checked", TrainConfig, PretrainConfig)


@dataclass(frozen=True)
class Job:
    """Commands that belong together: either all of them are done, or they are all done again."""

    name: str
    commands: tuple[Command, ...]
    fingerprint: str
    """Of everything that decides what comes out; not of where it is kept."""
    log: Path
    mark: Path
    """File that stands when the job is done."""
    leavings: tuple[Path, ...]
    """What an interrupted attempt leaves behind."""


@dataclass(frozen=True)
class Run:
    """One training: an arm with a seed."""

    arm: str
    seed: int
    name: str
    config: TrainConfig
    job: Job
    outcome: Path
    """Written by the evaluation at its end."""
    encoder: Path | None
    """Folder of the encoder it begins with."""


@dataclass(frozen=True)
class Matrix:
    """An experiment laid out in a folder."""

    plan: ExperimentPlan
    folder: Path
    caches: tuple[Job, ...]
    encoders: tuple[Job, ...]
    runs: tuple[Run, ...]

    @property
    def save_dir(self) -> Path:
        """Folder of all trainings."""
        return self.folder / "save"

    @property
    def stages(self) -> tuple[tuple[Job, ...], ...]:
        """Jobs of which each stage needs the one before."""
        return self.caches, self.encoders, tuple(run.job for run in self.runs)

    def of_arm(self, arm: str) -> list[Run]:
        """Return the runs of an arm, by seed."""
        return [run for run in self.runs if run.arm == arm]


def lay_out(plan: ExperimentPlan, folder: Path, frames_dir: Path) -> Matrix:
    """Check every setting of every run and write their configurations into the experiment's folder.

    Runs are ordered by seed first, so that whatever changes on the machine over the hours meets all arms alike.

    Raises:
        ConfigError: a setting or a track is not known, a file is missing, the base names a run or an encoder to begin
            with, or an arm's encoder does not belong to a finished run.
    """
    base = read_yaml(plan.base)
    _refuse_beginnings(plan.base, base)
    builder = _Builder(plan, folder, frames_dir)
    runs = tuple(builder.run(name, arm, seed, base) for seed in plan.seeds for name, arm in plan.arms.items())
    return Matrix(plan, folder, tuple(builder.caches.values()), tuple(builder.encoders.values()), runs)


class _Builder:
    """Makes jobs, each cache and each encoder once."""

    def __init__(self, plan: ExperimentPlan, folder: Path, frames_dir: Path) -> None:
        self._plan, self._folder, self._frames_dir = plan, folder, frames_dir
        self.caches: dict[Path, Job] = {}
        self.encoders: dict[Path, Job] = {}
        self._frames_mark: str | None = None

    def run(self, arm_name: str, arm: Arm, seed: int, base: Mapping[str, Any]) -> Run:
        name = f"{arm_name}_s{seed}"
        values = merged(base, self._plan.train, arm.train, _track_settings(arm_name, arm.track))
        values = merged(
            values,
            {"training": {"seed": seed, "max_minutes": self._plan.minutes}, "evaluation": {"stop_at_finish_rate": 0.0}},
        )
        places = {"save_dir": str(self._folder / "save"), "tensorboard_dir": str(self._folder / "tensorboard")}
        config_path = self._folder / "configs" / f"{name}.yaml"
        kept_apart = {"run_name": name, "fresh": False, "use_tqdm": False, "performance": places}
        encoder = self._encoder_folder(arm_name, arm, seed)
        given = {} if encoder is None else {"training": {"pretrain_encoder_path": str(encoder)}}
        config = _checked(TrainConfig, config_path, merged(values, kept_apart, given), self._plan.base)
        encoder_mark = None if encoder is None else self._encoder_mark(arm, seed, encoder, config_path, config)
        run_dir, outcome = config.run_dir, self._folder / "outcomes" / f"{name}.json"
        commands = (
            (*PROGRAM, "train", "--config", str(config_path)),
            (*PROGRAM, "evaluate", "--run-dir", str(run_dir), "--episodes", str(self._plan.episodes),
             "--seed", str(self._plan.episodes_seed), "--output", str(outcome)),
        )  # fmt: skip
        judged = [self._plan.episodes, self._plan.episodes_seed]
        elsewhere = {"performance": {"save_dir", "tensorboard_dir"}, "training": {"pretrain_encoder_path"}}
        settings = config.model_dump(mode="json", exclude=elsewhere)
        leavings = (run_dir, config.performance.tensorboard_dir / name, outcome)
        job = self._job(name, commands, [settings, encoder_mark, judged], leavings)
        return Run(arm_name, seed, name, config, job, outcome, encoder)

    def _encoder_folder(self, arm_name: str, arm: Arm, seed: int) -> Path | None:
        """Return the folder of an arm's encoder, that is there already or will be, None without one."""
        if arm.encoder is not None and not (arm.encoder / META_NAME).is_file():
            raise ConfigError(f"arms.{arm_name}.encoder: {arm.encoder} holds no {META_NAME}, so it is no finished run.")
        if arm.encoder is not None or arm.pretrain is None:
            return arm.encoder
        return self._folder / "encoders" / f"{arm_name}_s{self._encoder_seed(seed)}"

    def _encoder_seed(self, seed: int) -> int:
        return seed if self._plan.encoder_per_seed else SHARED_ENCODER_SEED

    def _encoder_mark(self, arm: Arm, seed: int, folder: Path, config_path: Path, config: TrainConfig) -> Any:
        """Return what an arm's encoder is made of, and plan to make it where it is not finished yet."""
        if arm.pretrain is None:
            return sha256_of(folder / META_NAME)
        name = folder.name
        own = {"seed": self._encoder_seed(seed)}
        values = merged(PretrainConfig().model_dump(mode="json"), self._plan.pretrain, arm.pretrain, own)
        picture = [config.neural_network.w_downsized, config.neural_network.h_downsized]
        mark = [values, picture, self._frames()]
        if folder not in self.encoders:
            cache = self._cache(values, picture)
            places = {
                "data_dir": str(self._frames_dir), "output_dir": str(folder.parent), "run_name": name,
                "use_tqdm": False, "preprocess_cache_dir": str(cache), "rl_config_path": str(config_path),
            }  # fmt: skip
            path = self._folder / "configs" / f"encoder_{name}.yaml"
            _checked(PretrainConfig, path, merged(values, places), self._plan.base)
            command = (*PROGRAM, "pretrain", "--config", str(path))
            self.encoders[folder] = self._job(f"encoder_{name}", (command,), mark, (folder,))
        return mark

    def _cache(self, values: Mapping[str, Any], picture: list[int]) -> Path:
        """Return the folder of the decoded frames of an encoder; encoders that see the same ones share it."""
        stack, held_out, seed = values["n_stack"], values["val_fraction"], values["seed"]
        content = [*picture, stack, held_out, seed, self._frames()]
        name = f"frames_{_fingerprint(content)[:8]}"
        folder = self._folder / "caches" / name
        command = (
            *PROGRAM, "data", "prepare", "--data-dir", str(self._frames_dir), "--output-dir", str(folder),
            "--image-size", str(picture[0]), "--image-height", str(picture[1]), "--n-stack", str(stack),
            "--val-fraction", str(held_out), "--seed", str(seed), "--workers", "1", "--no-use-tqdm",
        )  # fmt: skip
        self.caches[folder] = self._job(name, (command,), content, ())
        return folder

    def _frames(self) -> str:
        """Return a fingerprint of the captured frames.

        Raises:
            ConfigError: there are none.
            DataError: the folder holds something else.
        """
        if not self._frames_dir.is_dir():
            raise ConfigError(
                f"{self._frames_dir}: there is no such folder, and encoders learn from captured frames. Name it with "
                "--frames-dir; 'trackmaster capture' makes it."
            )
        if self._frames_mark is None:
            self._frames_mark = source_signature(find_replays(self._frames_dir))["sha256"]
        return self._frames_mark

    def _job(self, name: str, commands: tuple[Command, ...], content: Any, leavings: tuple[Path, ...]) -> Job:
        log, mark = self._folder / "logs" / f"{name}.txt", self._folder / "done" / f"{name}.json"
        return Job(name, commands, _fingerprint(content), log, mark, leavings)


def _fingerprint(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _refuse_beginnings(path: Path, base: Mapping[str, Any]) -> None:
    """Refuse a base with which every arm would begin, unseen, with the weights of an earlier run."""
    training = base.get("training")
    encoder = training.get("pretrain_encoder_path") if isinstance(training, Mapping) else None
    for name, value in (("resume", base.get("resume")), ("training.pretrain_encoder_path", encoder)):
        if value is not None:
            raise ConfigError(
                f"{path}: {name} is {value}, and with it every arm would begin there. Leave it out of the base; an "
                "encoder belongs to an arm (encoder: FOLDER)."
            )


def _track_settings(arm_name: str, slug: str | None) -> dict[str, Any]:
    if slug is None:
        return {}
    try:
        bundled_challenge(slug)
    except TrackError as error:
        raise ConfigError(f"arms.{arm_name}.track: {error}") from None
    entry = {"short_name": slug, "map_path": f"bundled:{slug}"}
    kinds = [{"is_exploration": True, "repeat": EXPLORING_SHARE}, {"is_exploration": False, "repeat": 1}]
    return {"map_cycle": {"entries": [{**entry, **kind} for kind in kinds]}}


def _checked(kind: type[Checked], path: Path, values: dict[str, Any], source: Path) -> Checked:
    """Write a configuration and read it back as the command will; a bad one leaves no file."""
    atomic_write_text(path, json.dumps(values, indent=1))  # JSON is YAML
    try:
        config = kind.load(config=path, environment={})
    except ConfigError as error:
        path.unlink()
        raise ConfigError(f"The settings of {path.stem}, from the plan and {source}: {error}") from None
    atomic_write_text(path, config.to_yaml())
    return config

"""What an experiment is: settings side by side (arms), seeds, and what each training is given."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from trackmaster.config import Section
from trackmaster.errors import ConfigError
from trackmaster.strict_yaml import read_yaml

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
OURS = ("run_name", "resume", "fresh", "use_tqdm", "training.seed", "training.max_minutes",
        "training.pretrain_encoder_path", "evaluation.stop_at_finish_rate", "performance.save_dir",
        "performance.tensorboard_dir")  # fmt: skip
"""Settings of a training that the experiment decides itself."""
OURS_OF_ENCODERS = ("data_dir", "output_dir", "run_name", "overwrite", "resume", "preprocess_cache_dir",
                    "rl_config_path", "use_tqdm", "seed")  # fmt: skip
"""The same for the training of an encoder."""


class Arm(Section):
    """One setting of the comparison; what it does not say is the same for all."""

    track: str | None = None
    """Bundled track to train on, instead of the map cycle of the base configuration."""
    train: dict[str, Any] = Field(default_factory=dict)
    """Settings of the training that differ, as in its YAML file."""
    pretrain: dict[str, Any] | None = None
    """Settings of an encoder to train first and to put into the agent; none without it."""
    encoder: Path | None = None
    """Folder of a finished pre-training instead, the same for every seed."""

    @model_validator(mode="after")
    def _one_encoder(self) -> Self:
        if self.pretrain is not None and self.encoder is not None:
            raise ValueError("pretrain and encoder are two ways to get one encoder: give one of them")
        return self


class ExperimentPlan(Section):
    """An experiment matrix, arms times seeds, as a YAML file in ``config_files/experiments`` spells it out."""

    name: str = Field(pattern=NAME)
    """Folder of the experiment."""
    title: str = Field(min_length=1)
    """Heading of the report."""
    question: str = ""
    """What the experiment is to tell, in a sentence or two; stands above the table."""
    base: Path
    """Configuration of the training that every arm starts from."""
    minutes: float = Field(gt=0, allow_inf_nan=False)
    """Wall time of every training."""
    seeds: tuple[int, ...] = Field(min_length=1)
    """Seeds of every arm."""
    episodes: int = Field(default=20, ge=1, le=1000)
    """Deterministic episodes that judge the best weights of a run at its end."""
    episodes_seed: int = Field(default=1001, ge=0)
    """Draws the starts of those; another one than that of the evaluations that chose the weights."""
    mark_minutes: float = Field(default=5.0, gt=0, allow_inf_nan=False)
    """Distance of the rows of the table over time."""
    train: dict[str, Any] = Field(default_factory=dict)
    """Settings of the training that differ from the base in every arm."""
    frames_dir: Path = Path("maps/img")
    """Captured frames that encoders are trained on."""
    pretrain: dict[str, Any] = Field(default_factory=dict)
    """Settings that the encoders of all arms have in common."""
    encoder_per_seed: bool = True
    """Train an encoder for every seed, so that the spread over seeds holds that of the encoders too."""
    arms: dict[str, Arm] = Field(min_length=1)
    """Settings by name; the first one is what the others are compared with."""

    @field_validator("seeds")
    @classmethod
    def _each_once(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) < len(seeds) or min(seeds) < 0:
            raise ValueError(f"expected different seeds from 0 on, got {list(seeds)}")
        return seeds

    @model_validator(mode="after")
    def _nothing_of_ours(self) -> Self:
        _refuse_ours("train", self.train, OURS)
        _refuse_ours("pretrain", self.pretrain, OURS_OF_ENCODERS)
        for name, arm in self.arms.items():
            if not name.replace("_", "").replace("-", "").replace(".", "").isalnum() or name.startswith((".", "-")):
                raise ValueError(f"arms.{name}: names of arms are made of letters, digits, '.', '_' and '-'")
            _refuse_ours(f"arms.{name}.train", arm.train, OURS)
            _refuse_ours(f"arms.{name}.pretrain", arm.pretrain or {}, OURS_OF_ENCODERS)
        return self

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return the plan in a YAML file.

        Raises:
            ConfigError: the file is missing, or says something that no plan says.
        """
        values = read_yaml(path)
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            found = error.errors()[0]
            place = ".".join(str(part) for part in found["loc"])
            message = found["msg"].removeprefix("Value error, ")
            raise ConfigError(f"{path}: {place + ': ' if place else ''}{message}.") from None


def merged(base: Mapping[str, Any], *changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with changes laid over them: sections are merged, anything else is replaced."""
    result = dict(base)
    for change in changes:
        for name, value in change.items():
            both_are_sections = isinstance(value, Mapping) and isinstance(result.get(name), Mapping)
            result[name] = merged(result[name], value) if both_are_sections else value
    return result


def _refuse_ours(place: str, values: Mapping[str, Any], ours: tuple[str, ...]) -> None:
    for name in ours:
        section, _, field = name.rpartition(".")
        found = values.get(section) if section else values
        if isinstance(found, Mapping) and (field or name) in found:
            raise ValueError(f"{place}.{name}: the experiment decides this itself (by seeds, minutes, its folder)")

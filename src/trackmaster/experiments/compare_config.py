"""Settings of the comparison; light, so that its ``--help`` is quick."""

import json
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field
from pydantic_settings import CliPositionalArg, SettingsConfigDict

from trackmaster.config import Settings

LIST_FLAG = "--metrics"
SWITCHES = ("--plot", "--no-plot", "--all-scalars", "--all_scalars", "--no-all-scalars", "--help")
UNDERSCORED = {"--step_interval": "--step-interval", "--output_dir": "--output-dir", "--all_scalars": "--all-scalars"}


class CompareConfig(Settings):
    """Which runs to compare, and at which marks."""

    model_config = SettingsConfigDict(env_prefix="COMPARE_")

    runs: CliPositionalArg[list[str]]
    """Names of runs in the log folder, or LABEL=RUN1,RUN2,... for the seeds of one setting."""
    logdir: Path = Path("tensorboard")
    """Folder with one folder per run: event files of TensorBoard, or (as in save/) metrics.csv."""
    interval: float = Field(default=5.0, gt=0, allow_inf_nan=False)
    """Minutes between two marks of wall time."""
    step_interval: int = Field(default=50_000, ge=1)
    """Decisions between two marks of steps."""
    plot: bool = False
    """Also write the curves as one page, PREFIXcomparison.html."""
    json_file: str = ""
    """Also write every number into this JSON file in the output folder."""
    output_dir: Path = Path()
    """Folder of the page and the JSON file."""
    prefix: str = ""
    """Put in front of the names of written files."""
    all_scalars: bool = False
    """Every scalar that any run has, instead of the usual ones."""
    metrics: list[str] = Field(default_factory=list)
    """These scalars instead of the usual ones."""

    @classmethod
    def plain_flags(cls, argv: Sequence[str]) -> list[str]:
        """Understand ``--metrics A B`` and ``--step_interval N`` as they stand."""
        return _plain_flags(argv)


def _plain_flags(argv: Sequence[str]) -> list[str]:
    """Write a list behind one flag as one flag per item, underscores as dashes, and keep commas inside of a label."""
    words: list[str] = []
    flag = ""
    for word in argv:
        if word.startswith("--"):
            name, equals, value = word.partition("=")
            flag = "" if equals or word in SWITCHES else word
            if word != LIST_FLAG:
                words.append(UNDERSCORED.get(name, name) + equals + value)
        elif flag == LIST_FLAG:
            words += [LIST_FLAG, word]
        elif flag:
            words.append(word)
            flag = ""
        else:
            words.append(json.dumps([word]) if "," in word else word)
    return words

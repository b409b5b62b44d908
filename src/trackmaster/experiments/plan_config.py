"""Settings of ``trackmaster experiment run``; light, so that its ``--help`` is quick."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import CliPositionalArg, SettingsConfigDict

from trackmaster.config import Settings


class ExperimentConfig(Settings):
    """Run every setting of an experiment with every seed, and write the table."""

    model_config = SettingsConfigDict(env_prefix="EXPERIMENT_RUN_")

    plan: CliPositionalArg[Path]
    """The experiment: a YAML file as in config_files/experiments."""
    output_dir: Path = Path("runs/experiments")
    """The experiment gets a folder of its name in here; runs that are finished there are not run again."""
    frames_dir: Path | None = None
    """Captured frames for the encoders; the plan's frames_dir when left out."""
    report: Path | None = None
    """Where the table is written as Markdown; report.md in the experiment's folder when left out."""
    minutes: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Wall time of every training instead of the plan's: another experiment, with runs of its own."""
    parallel: int = Field(default=2, ge=1, le=256)
    """Runs at a time, each on a core of its own."""
    use_tqdm: bool = True
    """Draw a progress bar on a terminal; plain lines otherwise."""

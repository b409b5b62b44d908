"""The command around the injection: its settings, and the table it prints."""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from trackmaster.config import Settings
from trackmaster.pretrain.config import RL_CONFIG_DEFAULT


class InjectConfig(Settings):
    """Start an agent from a pre-trained encoder: writes weights1.torch and weights2.torch."""

    model_config = SettingsConfigDict(env_prefix="INJECT_")

    encoder_pt: Path
    """Encoder of a pre-training run (encoder.pt, or the run's folder)."""
    save_dir: Path = Path("save")
    """Where the agent's pair of networks is written."""
    meta_json: Path | None = None
    """Record of the run; by default pretrain_meta.json beside the encoder."""
    fresh: bool = True
    """Build new networks; --no-fresh patches the pair in --save-dir, whose saved run moves to earlier-N there."""
    dry_run: bool = False
    """Check everything and print the table, but write nothing."""
    overwrite: bool = False
    """Move networks in --save-dir that were trained since to earlier-N there, and write the new pair."""
    kernel_reduce: Literal["mean", "sum", "last"] = "mean"
    """How the first-layer kernels of an encoder of stacked frames become one; sum keeps the scale of equal frames."""
    frames_dir: Path | None = None
    """Captured frames to measure the effect of a kernel reduction on; by default those the encoder was trained on."""
    rl_config_path: Path = RL_CONFIG_DEFAULT
    """RL configuration that decides the sizes of fresh networks."""
    seed: int = Field(default=42, ge=0)
    """Of the fresh weights outside of the picture head."""


def run_inject(config: InjectConfig) -> None:
    """Inject an encoder and print what became of every tensor."""
    from trackmaster.pretrain.earlier import saved_runs_below
    from trackmaster.pretrain.inject import init_iqn_from_encoder
    from trackmaster.pretrain.reduction import describe_reduction

    report = init_iqn_from_encoder(
        config.encoder_pt,
        config.save_dir,
        meta_json=config.meta_json,
        fresh=config.fresh,
        dry_run=config.dry_run,
        overwrite=config.overwrite,
        kernel_reduce=config.kernel_reduce,
        rl_config_path=config.rl_config_path,
        seed=config.seed,
    )
    width = max(len(row.key) for row in report.rows)
    shape_width = max(len(str(row.shape)) for row in report.rows)
    source_width = max(len(row.source) for row in report.rows)
    print(f"{'tensor':<{width}}  {'shape':<{shape_width}}  {'source':<{source_width}}  from encoder")
    for row in report.rows:
        applied = "yes" if row.applied else "no"
        print(f"{row.key:<{width}}  {row.shape!s:<{shape_width}}  {row.source:<{source_width}}  {applied}")
    for step in report.encoder.steps:
        print(f"converted: {step}")
    if report.encoder.feature_error:
        print(f"largest feature difference caused by the conversion of the scale: {report.encoder.feature_error:.1e}")
    for line in describe_reduction(report.encoder, config.frames_dir):
        print(line)
    if config.dry_run:
        print("dry run: everything fits, nothing was written")
    if report.earlier is not None:
        print(f"the earlier run was moved to {report.earlier}; training starts anew from the pair written now")
    for path in report.written:
        print(f"wrote {path}")
    for run in saved_runs_below(config.save_dir):
        print(f"note: {run} is a saved run and is continued with its own weights; train --fresh begins it anew")

"""The commands that pass captured data on: ``data export`` and ``data toy``."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from trackmaster.config import Settings
from trackmaster.data.export import ExportSpec, export_dataset
from trackmaster.data.split import split_by_map
from trackmaster.data.toy import choose_replays, write_toy
from trackmaster.data.tree import find_replays
from trackmaster.errors import InterruptedRunError


class ExportConfig(Settings):
    """Write captured frames as Parquet shards with a dataset card, in the layout of the Hugging Face hub."""

    model_config = SettingsConfigDict(env_prefix="DATA_EXPORT_")

    data_dir: Path = Path("maps/img")
    """Captured frames: data_dir/<track_id>/<replay_name>/frame_*_*ms.jpeg."""
    output_dir: Path = Path("output/dataset")
    """Folder of the export; nothing is uploaded anywhere."""
    name: str = Field(default="trackmaster frames", min_length=1, max_length=200)
    """Title of the dataset card."""
    val_fraction: float = Field(default=0.1, ge=0, lt=1)
    """Share of the maps that become the split 'validation'."""
    seed: int = Field(default=42, ge=0)
    """Of the split; the same as the training's gives the same maps."""
    shard_frames: int = Field(default=8192, ge=1)
    """Frames per Parquet file."""
    keep_names: bool = False
    """Keep the names of replays, which usually hold the login of the driver; numbers replace them otherwise."""
    use_tqdm: bool = True
    """Draw a progress bar."""


class ToyConfig(Settings):
    """Take a small captured tree out of a large one, for trying things out."""

    model_config = SettingsConfigDict(env_prefix="DATA_TOY_")

    data_dir: Path = Path("maps/img")
    """Captured frames to take from."""
    output_dir: Path = Path("maps/toy")
    """Folder of the small tree; it must be new."""
    maps: int = Field(default=3, ge=1)
    """Maps at most, evenly spread; two or more leave one to validate on."""
    replays_per_map: int = Field(default=2, ge=1)
    """Replays of each map at most, the best first."""
    frames_per_replay: int = Field(default=100, ge=1)
    """Consecutive frames from the middle of each replay."""
    use_tqdm: bool = True
    """Draw a progress bar."""


def run_export(config: ExportConfig) -> None:
    """Write the export and say what is in it: the ``data export`` verb.

    Raises:
        DataError: the frames cannot be exported, or pyarrow is missing.
        InterruptedRunError: stopped by Ctrl+C; the next call continues.
    """
    split = split_by_map(find_replays(config.data_dir), config.val_fraction, config.seed)
    spec = ExportSpec(config.name, config.shard_frames, config.keep_names)
    try:
        plan = export_dataset(split, config.output_dir, spec, show_progress=config.use_tqdm)
    except KeyboardInterrupt:
        raise InterruptedRunError("stopped; complete shards are kept, run it again to continue.") from None
    for name, one in plan["splits"].items():
        print(f"{name}: {one['frames']} frames of {one['replays']} replays on {one['maps']} maps")
    print(f"{config.output_dir}: {len(plan['shards'])} shards and a card. {split.note}")
    if not plan["is_all_ours"]:
        print("Recordings belong to their drivers: do not publish this without their permission (see the card).")


def run_toy(config: ToyConfig) -> None:
    """Write the small tree: the ``data toy`` verb.

    Raises:
        DataError: the frames cannot be used, or the folder is taken.
    """
    chosen = choose_replays(find_replays(config.data_dir), config.maps, config.replays_per_map)
    total = write_toy(
        chosen, config.output_dir, frames_per_replay=config.frames_per_replay, show_progress=config.use_tqdm
    )
    print(f"{config.output_dir}: {total} frames of {len(chosen)} replays")

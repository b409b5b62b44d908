"""Scoring a run: at its end, or later with ``trackmaster pretrain probe``."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field
from pydantic_settings import CliPositionalArg, SettingsConfigDict

from trackmaster.config import Settings
from trackmaster.data import ReplayFolder, find_replays
from trackmaster.nn.weights import strip_prefixes
from trackmaster.pretrain.artifact import Artifact, load_encoder
from trackmaster.pretrain.config import MAPS_DIRS_DEFAULT
from trackmaster.pretrain.prepared import pixel_scale, recorded_size
from trackmaster.pretrain.probe import probe, table, write_probe
from trackmaster.pretrain.probe_data import collect, collect_all, probe_split
from trackmaster.pretrain.probe_every_map import EVERY_MAP_NAME, probe_every_map

MAX_FIT_FRAMES, MAX_TEST_FRAMES = 2000, 1000


class ProbeConfig(Settings):
    """Score the encoder of a run: what a linear read-out of its features knows about the car."""

    model_config = SettingsConfigDict(env_prefix="PRETRAIN_PROBE_")

    run_dir: CliPositionalArg[Path]
    """Folder of the run (run_NNN); the result is written there as probe.json."""
    data_dir: Path | None = None
    """Where the run's captured frames are now; by default where they were."""
    maps_dirs: tuple[Path, ...] = MAPS_DIRS_DEFAULT
    """Folders with the maps of the frames, or with replays that hold them: for the distance to the border."""
    max_fit_frames: int = Field(default=MAX_FIT_FRAMES, ge=100)
    """Frames to fit the read-outs on, evenly spread."""
    max_test_frames: int = Field(default=MAX_TEST_FRAMES, ge=50)
    """Frames to test them on."""
    every_map: bool = False
    """Hold every map out of the read-outs in turn, not only those that the run held out: less decided by chance where
    these are few. The result is probe_every_map.json, on as many frames as the two limits allow together."""
    use_tqdm: bool = True
    """Show a progress bar on a terminal; without one, plain lines."""


def run_probe(config: ProbeConfig) -> None:
    """Score the encoder of a run, print the table and keep it: the ``pretrain probe`` verb.

    Raises:
        PretrainError: the folder holds no run, or its frames cannot score it.
        DataError: frames or labels cannot be read, or a map stands on both sides of the split.
    """
    artifact = Artifact.open(config.run_dir)
    if config.every_map:
        limit = config.max_fit_frames + config.max_test_frames
        result = score_on_every_map(
            artifact, data_dir=config.data_dir, maps_dirs=config.maps_dirs, limit=limit, use_tqdm=config.use_tqdm
        )
        print(table(result))
        print(f"{write_probe(config.run_dir, result, EVERY_MAP_NAME)}: kept beside the encoder.")
        return
    result = score_run(
        artifact,
        data_dir=config.data_dir,
        maps_dirs=config.maps_dirs,
        max_fit=config.max_fit_frames,
        max_test=config.max_test_frames,
    )
    print(table(result))
    print(f"{write_probe(config.run_dir, result)}: kept beside the encoder.")


def score_run(
    artifact: Artifact,
    *,
    data_dir: Path | None = None,
    maps_dirs: Sequence[Path] = MAPS_DIRS_DEFAULT,
    max_fit: int = MAX_FIT_FRAMES,
    max_test: int = MAX_TEST_FRAMES,
) -> dict[str, Any]:
    """Return the scores of a run's encoder on the split that its record tells.

    Args:
        artifact: the run.
        data_dir: captured frames; None takes the folder in the record.
        maps_dirs: where the maps are.
        max_fit: frames to fit on.
        max_test: frames to test on.

    Raises:
        PretrainError: the record lacks what is needed, or the frames cannot score the encoder.
        DataError: frames or labels cannot be read, or a map stands on both sides of the split.
    """
    meta: Mapping[str, Any] = artifact.meta
    state = strip_prefixes(load_encoder(artifact.encoder_path))
    width, height = recorded_size(meta)
    seed = int(meta.get("seed", 0))
    split, saw_test_maps = probe_split(_replays(meta, data_dir), meta, seed)
    data = collect(
        split,
        width=width,
        height=height,
        n_stack=int(meta.get("n_stack", 1)),
        max_fit=max_fit,
        max_test=max_test,
        maps_dirs=maps_dirs,
        encoder_saw_test_maps=saw_test_maps,
    )
    return {"arch_hash": meta.get("arch_hash"), **probe(state, pixel_scale(meta, artifact.path), data, seed)}


def score_on_every_map(
    artifact: Artifact, *, data_dir: Path | None, maps_dirs: Sequence[Path], limit: int, use_tqdm: bool = False
) -> dict[str, Any]:
    """Return the scores of a run's encoder with every map held out of the read-outs in turn.

    Args:
        artifact: the run.
        data_dir: captured frames; None takes the folder in the record.
        maps_dirs: where the maps are.
        limit: frames of all maps together.
        use_tqdm: draw a progress bar on a terminal.

    Raises:
        PretrainError: the record lacks what is needed, or the frames cannot score the encoder.
        DataError: frames or labels cannot be read.
    """
    meta: Mapping[str, Any] = artifact.meta
    state = strip_prefixes(load_encoder(artifact.encoder_path))
    width, height = recorded_size(meta)
    side, notes = collect_all(
        _replays(meta, data_dir),
        width=width,
        height=height,
        n_stack=int(meta.get("n_stack", 1)),
        limit=limit,
        maps_dirs=maps_dirs,
    )
    found = probe_every_map(
        state, pixel_scale(meta, artifact.path), side, notes, int(meta.get("seed", 0)), use_tqdm=use_tqdm
    )
    return {"arch_hash": meta.get("arch_hash"), **found}


def _replays(meta: Mapping[str, Any], data_dir: Path | None) -> Sequence[ReplayFolder]:
    return find_replays(data_dir if data_dir is not None else Path(str(meta.get("dataset_root", ""))))

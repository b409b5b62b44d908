"""Which frames a linear probe looks at, and what is to be read out of them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trackmaster.data import ReplayFolder, ReplayFrameDataset, Split, split_by_map
from trackmaster.data.labels import STEER_NAMES, SURFACE_NAMES, UNKNOWN, FrameLabels, read_frame_labels
from trackmaster.data.split import group_tracks_by_map, refuse_shared_maps
from trackmaster.pretrain.errors import ProbeError
from trackmaster.pretrain.probe_maps import find_meshes
from trackmaster.track import TriangleMesh
from trackmaster.track.border import border_distance_m

MAX_REPLAYS = 32
"""Replays per side whose manifests are read: with all of them reading would take longer than probing."""
HELD_OUT = 0.25
"""Share of the maps that the probe holds out where the training held out none."""

ONE_MAP = "all frames are from one map, and a score on a map that was fitted on would prove nothing."

REGRESSIONS = {"speed": "m/s", "border": "m"}
CLASSES = {"steer": STEER_NAMES, "surface": SURFACE_NAMES}
TARGETS = ("speed", "steer", "border", "surface")


@dataclass(frozen=True)
class ProbeSide:
    """Frames of one side of the probe's split: (N, n_stack, H, W) pixels and what belongs to each."""

    frames_u8: NDArray[np.uint8]
    targets: Mapping[str, NDArray[np.float64]]
    """(N,) per target; NaN where the label is unknown."""
    groups: NDArray[np.int64]
    """(N,) number of the map, or of the replay where there is one map only."""


@dataclass(frozen=True)
class ProbeData:
    """Both sides of the probe's split."""

    fit: ProbeSide
    test: ProbeSide
    encoder_saw_test_maps: bool
    """Whether pictures of the test maps were in the encoder's training set (their labels never are)."""
    notes: tuple[str, ...]
    """Sentences about what is missing."""


def probe_split(replays: Sequence[ReplayFolder], meta: Mapping[str, object], seed: int) -> tuple[Split, bool]:
    """Return the split of a run as its record has it; one of the probe's own where the run held out no map.

    Args:
        replays: the data set of the run.
        meta: ``pretrain_meta.json``.
        seed: of a split of the probe's own.

    Returns:
        The split, and whether the encoder saw pictures of the test maps.

    Raises:
        DataError: a map stands on both sides.
        ProbeError: one side is empty, or there is one map only.
    """
    train_ids, val_ids = _ids(meta, "track_ids_train"), _ids(meta, "track_ids_val")
    train = tuple(replay for replay in replays if replay.track_id in train_ids)
    val = tuple(replay for replay in replays if replay.track_id in val_ids)
    if not train or (val_ids and not val):
        raise ProbeError(
            "the frames there are not those of the run: none of its tracks is among them. Name the folder of the "
            "captured frames with --data-dir."
        )
    if val:
        refuse_shared_maps(train, val)
        return Split(train, val, ""), False
    split = split_by_map(train, HELD_OUT, seed)
    if not split.val:
        raise ProbeError(ONE_MAP)
    return split, True


def _ids(meta: Mapping[str, object], key: str) -> set[str]:
    found = meta.get(key)
    return {str(name) for name in found} if isinstance(found, list) else set()


def collect(
    split: Split,
    *,
    width: int,
    height: int,
    n_stack: int,
    max_fit: int,
    max_test: int,
    maps_dirs: Sequence[Path],
    encoder_saw_test_maps: bool,
) -> ProbeData:
    """Decode and label evenly spread frames of both sides.

    Args:
        split: which replays are fitted on, and which are tested.
        width: of the pictures.
        height: of the pictures.
        n_stack: frames per window; labels are those of the newest.
        max_fit: frames to fit on.
        max_test: frames to test on.
        maps_dirs: where map files or replays lie, for the distance to the border.
        encoder_saw_test_maps: kept with the result.

    Raises:
        DataError: frames or labels cannot be read, or a map stands on both sides.
        ProbeError: there is not one window on a side.
    """
    refuse_shared_maps(split.train, split.val)
    chosen = [spread_over_maps(replays, MAX_REPLAYS) for replays in (split.train, split.val)]
    uids = {replay.map_uid for replays in chosen for replay in replays if replay.map_uid}
    meshes, notes = find_meshes(uids, maps_dirs)
    fit, test = (
        _side(replays, (width, height, n_stack), limit, meshes)
        for replays, limit in zip(chosen, (max_fit, max_test), strict=True)
    )
    return ProbeData(fit, test, encoder_saw_test_maps, notes)


def collect_all(
    replays: Sequence[ReplayFolder], *, width: int, height: int, n_stack: int, limit: int, maps_dirs: Sequence[Path]
) -> tuple[ProbeSide, tuple[str, ...]]:
    """Decode and label evenly spread frames of all maps; sentences tell what is missing.

    Raises:
        DataError: frames or labels cannot be read.
        ProbeError: there is one map only, or not one window.
    """
    chosen = spread_over_maps(replays, max(2 * MAX_REPLAYS, len(group_tracks_by_map(replays))))
    if len(group_tracks_by_map(chosen)) < 2:
        raise ProbeError(ONE_MAP)
    meshes, notes = find_meshes({replay.map_uid for replay in chosen if replay.map_uid}, maps_dirs)
    return _side(chosen, (width, height, n_stack), limit, meshes), notes


def spread_over_maps(replays: Sequence[ReplayFolder], limit: int) -> tuple[ReplayFolder, ...]:
    """Return at most ``limit`` replays: the first of every map, then the second of every map, and so on."""
    map_of = {track: name for name, tracks in group_tracks_by_map(replays).items() for track in tracks}
    seen: dict[str, int] = defaultdict(int)
    turns = []
    for position, replay in enumerate(replays):
        name = map_of[replay.track_id]
        turns.append((seen[name], position))
        seen[name] += 1
    return tuple(replays[position] for position in sorted(position for _, position in sorted(turns)[:limit]))


def _side(
    replays: Sequence[ReplayFolder], shape: tuple[int, int, int], limit: int, meshes: Mapping[str, TriangleMesh]
) -> ProbeSide:
    width, height, n_stack = shape
    dataset = ReplayFrameDataset(replays, width=width, height=height, n_stack=n_stack)
    if len(dataset) == 0:
        raise ProbeError(f"there is no window of {n_stack} consecutive frames on one side of the split.")
    rows = np.unique(np.linspace(0, len(dataset) - 1, min(limit, len(dataset))).astype(np.int64))
    newest = dataset.starts[rows] + n_stack - 1
    replay_of = np.searchsorted(dataset.files.offsets, newest, side="right") - 1
    targets = {name: np.full(len(rows), np.nan) for name in TARGETS}
    for number in np.unique(replay_of):
        mine = np.flatnonzero(replay_of == number)
        replay = replays[number]
        frames = newest[mine] - dataset.files.offsets[number]
        for name, values in _targets(read_frame_labels(replay), frames, meshes.get(replay.map_uid or "")).items():
            targets[name][mine] = values
    return ProbeSide(dataset.gather(rows)[:, :, 0], targets, _groups(replays)[replay_of])


def _targets(
    labels: FrameLabels, frames: NDArray[np.int64], mesh: TriangleMesh | None
) -> dict[str, NDArray[np.float64]]:
    found = {
        "speed": labels.speed_mps[frames],
        "steer": _known(labels.steer[frames]),
        "surface": _known(labels.surface[frames]),
    }
    posed = np.isfinite(labels.position_m[frames]).all(axis=1) & np.isfinite(labels.rotation[frames]).all(axis=(1, 2))
    if mesh is not None:
        border = np.full(len(frames), np.nan)
        border[posed] = border_distance_m(mesh, labels.position_m[frames[posed]], labels.rotation[frames[posed]])
        found["border"] = border
    return found


def _known(labels: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.where(labels == UNKNOWN, np.nan, labels)


def _groups(replays: Sequence[ReplayFolder]) -> NDArray[np.int64]:
    """Number of the map of each replay, or its own number where all are of one map."""
    maps = group_tracks_by_map(replays)
    if len(maps) == 1:
        return np.arange(len(replays))
    number = {track: position for position, name in enumerate(sorted(maps)) for track in maps[name]}
    return np.array([number[replay.track_id] for replay in replays])

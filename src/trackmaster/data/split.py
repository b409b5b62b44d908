"""Training and validation sets that share no map.

Splitting frames would put neighbours 10 ms apart on both sides, and splitting folders would do the same when two
track ids hold one map: the split is by the map's uid.
"""

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from trackmaster.data.errors import DataError
from trackmaster.data.tree import ReplayFolder


@dataclass(frozen=True)
class Split:
    """Which replays train and which validate."""

    train: tuple[ReplayFolder, ...]
    val: tuple[ReplayFolder, ...]
    note: str
    """One sentence about the split, to be shown and kept; it says so when there is no validation set."""

    @property
    def track_ids_train(self) -> tuple[str, ...]:
        """Track ids of the training set, each once, in the order of the tree."""
        return tuple(dict.fromkeys(replay.track_id for replay in self.train))

    @property
    def track_ids_val(self) -> tuple[str, ...]:
        """Track ids of the validation set, each once, in the order of the tree."""
        return tuple(dict.fromkeys(replay.track_id for replay in self.val))


def split_by_map(replays: Sequence[ReplayFolder], val_fraction: float, seed: int) -> Split:
    """Hold out a share of the maps.

    Sorted ids are shuffled by ``random.Random(seed)`` and the first max(1, floor(n * val_fraction)) of them validate.

    Args:
        replays: the whole data set.
        val_fraction: share of the maps to hold out; 0 trains on everything.
        seed: of the shuffle; the same seed and maps give the same split.

    Raises:
        DataError: ``val_fraction`` is outside [0, 1).
    """
    if not 0 <= val_fraction < 1:
        raise DataError(f"a validation share of {val_fraction} is impossible: use a number from 0 to below 1")
    groups = group_tracks_by_map(replays)
    everything = tuple(replays)
    if val_fraction == 0:
        return Split(everything, (), f"No validation set was asked for: {_maps(len(groups))} to train on.")
    if len(groups) < 2:
        return Split(
            everything,
            (),
            "There is no validation set: all frames are from one map, and frames of a map that is trained on would "
            "prove nothing. Capture a second map to get one.",
        )
    names = sorted(groups)
    random.Random(seed).shuffle(names)
    held_out = {track for name in names[: max(1, int(len(names) * val_fraction))] for track in groups[name]}
    train = tuple(replay for replay in everything if replay.track_id not in held_out)
    val = tuple(replay for replay in everything if replay.track_id in held_out)
    refuse_shared_maps(train, val)
    held_maps = sum(1 for name in groups if groups[name][0] in held_out)
    return Split(train, val, f"{_maps(len(groups) - held_maps)} to train on, {held_maps} held out for validation.")


def group_tracks_by_map(replays: Sequence[ReplayFolder]) -> dict[str, tuple[str, ...]]:
    """Return the track ids that belong together because they hold the same map, keyed by the first id of each group.

    A folder without a map uid counts as a map of its own.
    """
    leader: dict[str, str] = {}

    def find(name: str) -> str:
        while leader.setdefault(name, name) != name:
            name = leader[name]
        return name

    for replay in replays:
        root = find("track " + replay.track_id)
        if replay.map_uid is not None:
            leader[find("uid " + replay.map_uid)] = root
    groups: dict[str, set[str]] = defaultdict(set)
    for replay in replays:
        groups[find("track " + replay.track_id)].add(replay.track_id)
    return {min(tracks): tuple(sorted(tracks)) for tracks in groups.values()}


def refuse_shared_maps(train: Sequence[ReplayFolder], val: Sequence[ReplayFolder]) -> None:
    """Check that no map stands on both sides.

    Raises:
        DataError: a map uid or a track id does; the text names it.
    """
    for what, left, right in (
        ("map", {r.map_uid for r in train if r.map_uid}, {r.map_uid for r in val if r.map_uid}),
        ("track", {r.track_id for r in train}, {r.track_id for r in val}),
    ):
        shared = sorted(left & right)
        if shared:
            raise DataError(f"{what} {shared[0]} is in the training and in the validation set: split by map instead.")


def _maps(count: int) -> str:
    return "1 map" if count == 1 else f"{count} maps"

"""Where the wheels of real drives touched the ground: points, materials and which way was up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trackmaster.gbx import Challenge, GbxError, Ghost, MediaClip, Replay, read
from trackmaster.track.mesh import F64

HUBS_M: F64 = np.array(
    [
        (0.863012, 0.3525, 1.782089),
        (-0.86299, 0.3525, 1.782089),
        (-0.885, 0.352504, -1.205502),
        (0.885002, 0.352504, -1.205502),
    ]
)
"""Rest points of the wheel hubs in the car's frame; order front left, front right, rear right, rear left."""

WHEEL_RADIUS_M = 0.364

RESPAWN_MARGIN = 4
"""Samples left out around a jump of the position (a respawn)."""

_JUMP_MPS = 250.0
_MAX_SAMPLES = 6_000
"""Ten minutes: one endless drive must not outweigh all others."""


@dataclass(frozen=True, eq=False)
class Drive:
    """One finished drive and the map it belongs to.

    Attributes:
        source: name of the file.
        challenge: the map.
        ghost: the drive.
        from_clip: the ghost comes from a clip; the map may have been edited after it was driven.
    """

    source: str
    challenge: Challenge
    ghost: Ghost
    from_clip: bool


@dataclass(frozen=True, eq=False)
class Contacts:
    """Wheels on the ground, one row each.

    Attributes:
        points_m: (n, 3) lowest point of the wheel, world.
        up: (n, 3) the car's up axis.
        material: (n,) material under the wheel.
    """

    points_m: F64
    up: F64
    material: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.points_m)


def wheel_contacts(ghost: Ghost) -> Contacts:
    """Return where the wheels of a finished drive touched something, until the finish, away from respawns."""
    samples = ghost.samples
    if samples is None or not ghost.race_time_ms:
        return Contacts(np.zeros((0, 3)), np.zeros((0, 3)), np.zeros(0, np.uint8))
    count = min(int(np.searchsorted(samples.time_ms, ghost.race_time_ms)), _MAX_SAMPLES)
    usable = samples.wheel_contact[:count] & _away_from_jumps(samples.position_m[:count])[:, None]
    rows, wheels = np.nonzero(usable)
    down = HUBS_M[wheels].copy()
    down[:, 1] -= samples.damper_m[rows, wheels] + WHEEL_RADIUS_M
    rotation = samples.rotation[rows].astype(np.float64)
    points = samples.position_m[rows] + np.einsum("nij,nj->ni", rotation, down)
    return Contacts(points, rotation[:, :, 1], samples.wheel_material[rows, wheels])


def _away_from_jumps(positions: NDArray[np.float32]) -> NDArray[np.bool_]:
    usable = np.ones(len(positions), np.bool_)
    steps = np.linalg.norm(np.diff(positions.astype(np.float64), axis=0), axis=1)
    for jump in np.flatnonzero(steps > _JUMP_MPS / 10):
        usable[max(0, jump - RESPAWN_MARGIN) : jump + RESPAWN_MARGIN + 2] = False
    return usable


def vanilla_drives(
    paths: Iterable[Path], *, clips: bool = False, report: Callable[[str], None] = print
) -> Iterator[Drive]:
    """Yield every distinct finished drive of the files on a Stadium map that needs no TMUnlimiter.

    Args:
        paths: replays and maps; files that are neither are passed over, those that cannot be read are reported.
        clips: also the ghosts inside of clips, whose map may be a later edit of the one they were driven on.
        report: takes a line per file that cannot be read.
    """
    seen: set[bytes] = set()
    for path in paths:
        try:
            content = read(path)
        except GbxError as error:
            report(f"left out: {error}")
            continue
        for drive in _drives(path.name, content, clips=clips):
            samples = drive.ghost.samples
            if samples is None or not drive.ghost.race_time_ms or drive.ghost.race_time_ms < 0:
                continue
            key = samples.raw.tobytes()
            if key not in seen:
                seen.add(key)
                yield drive


def _drives(source: str, content: object, *, clips: bool) -> Iterator[Drive]:
    challenge = content.challenge if isinstance(content, Replay) else content
    if not isinstance(challenge, Challenge) or challenge.environment != "Stadium" or challenge.is_unlimiter:
        return
    if isinstance(content, Replay):
        for ghost in content.ghosts:
            yield Drive(source, challenge, ghost, from_clip=False)
    if not clips:
        return
    found = [content.clip] if isinstance(content, Replay) else []
    found += [challenge.intro_clip, challenge.ambient_clip]
    for group in (challenge.ingame_clips, challenge.endrace_clips):
        found += list(group.clips) if group is not None else []
    for clip in found:
        for ghost in _ghosts_of(clip):
            yield Drive(source, challenge, ghost, from_clip=True)


def _ghosts_of(clip: MediaClip | None) -> Iterator[Ghost]:
    for track in clip.tracks if clip is not None else ():
        for block in track.blocks:
            if block.ghost is not None:
                yield block.ghost

"""An exhibit of thousands of tracks made of one of ours: every map has its own uid, every replay its own time."""

import dataclasses
import struct
from collections.abc import Callable
from datetime import timedelta
from functools import partial

from trackmaster import gbx
from trackmaster.replays.standin.exhibit import EPOCH, Exhibit, ShownReplay, ShownTrack, rank
from trackmaster.replays.standin.folder import BUNDLED

FIRST_TRACK_ID = 1_000
FIRST_REPLAY_ID = 1_000_000
_UID = "u" * 27
_TIME_MS = 54_321
_LEAST_MS, _MOST_MS = 10_000, 99_999
"""The times have five digits, so that they fit into the place of the template's."""
_ODD_EVERY = 7
"""Every so many tracks have a beaten run of the best driver and a run on an older version of the map as well."""


def crowd_exhibit(n_tracks: int, n_replays: int, *, replay_bytes: int = 0) -> Exhibit:
    """Return ``n_tracks`` tracks with ``n_replays`` replays each on the current version of the map.

    The files are made when they are asked for, so an exhibit of 100 000 replays takes as little memory as its rows.

    Args:
        n_tracks: how many tracks.
        n_replays: leaderboard replays per track, at most 1000.
        replay_bytes: size that replays are filled up to, roughly; 0 for as small as they are (about 12 kB).
    """
    make_map, make_replay = _templates(replay_bytes)
    next_id = FIRST_REPLAY_ID
    tracks = []
    for number in range(n_tracks):
        uid = gbx.make_uid(f"crowd {number}")
        track = ShownTrack(
            FIRST_TRACK_ID + number, uid, f"Crowd {number}", partial(make_map, uid), 30_000, "trackmaster",
            updated_at=EPOCH + timedelta(days=number % 3_000, microseconds=743_000 * (number % 2)),
            activity_at=EPOCH + timedelta(seconds=7 * number),
        )  # fmt: skip
        for place in range(n_replays):
            next_id += 1
            track.replays.append(_run(track, next_id, place, 20_000 + 37 * place + number % 1_000, uid, make_replay))
        if number % _ODD_EVERY == 0:
            next_id += 2
            beaten = _run(track, next_id - 1, 0, 60_000 + number % 1_000, uid, make_replay)
            old = _run(track, next_id, n_replays + 1, 15_000, gbx.make_uid(f"old {number}"), make_replay)
            old.track_at = track.updated_at - timedelta(days=100)
            track.replays += [beaten, old]
        rank(track)
        tracks.append(track)
    return Exhibit(tracks)


def _run(
    track: ShownTrack, replay_id: int, driver: int, time_ms: int, uid: str, make: Callable[[str, int], bytes]
) -> ShownReplay:
    return ShownReplay(
        replay_id, track.track_id, 1 + driver, f"Driver {driver}", time_ms, partial(make, uid, time_ms),
        track.updated_at,
    )  # fmt: skip


def _templates(replay_bytes: int) -> tuple[Callable[[str], bytes], Callable[[str, int], bytes]]:
    """Return functions that make a map from a uid, and a replay from a uid and a time."""
    found = gbx.read_replay(next(iter(sorted((BUNDLED / "replays").rglob("*.replay.gbx")))))
    assert found.challenge is not None, "bundled replays have their map inside"
    assert found.ghost is not None, "and a ghost"
    plain = dataclasses.replace(found.challenge, uid=_UID, header=None)
    ghost = dataclasses.replace(
        found.ghost, race_time_ms=_TIME_MS, inputs_duration_ms=_TIME_MS,
        cp_times_ms=(*found.ghost.cp_times_ms[:-1], _TIME_MS),
    )  # fmt: skip
    small = len(gbx.write_replay(gbx.write_challenge(plain, compress=False), ghost, compress=False))
    filled = dataclasses.replace(plain, comments="." * max(0, (replay_bytes - small) // 2))
    map_bytes = gbx.write_challenge(filled, compress=False)
    template = gbx.write_replay(map_bytes, ghost, compress=False)

    def make_map(uid: str) -> bytes:
        return map_bytes.replace(_UID.encode(), uid.encode())

    def make_replay(uid: str, time_ms: int) -> bytes:
        assert _LEAST_MS <= time_ms <= _MOST_MS, "a time that does not fit into the template"
        named = template.replace(_UID.encode(), uid.encode())
        timed = named.replace(struct.pack("<i", _TIME_MS), struct.pack("<i", time_ms))
        return timed.replace(str(_TIME_MS).encode(), str(time_ms).encode())

    return make_map, make_replay

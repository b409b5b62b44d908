"""Replays of one track share the record of their map, and no more than a few are kept."""

import dataclasses

import pytest

from trackmaster import gbx
from trackmaster.gbx.reading import RECENT_MAPS
from trackmaster.gbx.recent import KEPT_MAPS, MAX_BYTES, RecentMaps


def test_replays_of_one_map_share_its_record(map_bytes: bytes, ghost: gbx.Ghost) -> None:
    first, second = (gbx.read_replay(gbx.write_replay(map_bytes, dataclasses.replace(ghost, uid=uid))) for uid in "ab")
    assert first.challenge is second.challenge
    assert first.ghosts != second.ghosts


def test_only_the_last_few_maps_are_kept() -> None:
    maps, read = RecentMaps(), []

    def get(key: int) -> gbx.Challenge:
        def load() -> tuple[gbx.Challenge, int]:
            read.append(key)
            return gbx.Challenge(uid=str(key), name="n"), 100

        return maps.get(bytes([key]), load)

    for key in [*range(KEPT_MAPS), 0, KEPT_MAPS, 0, 1]:
        assert get(key).uid == str(key)
    assert read == [*range(KEPT_MAPS + 1), 1], "the map used longest ago makes room"


def test_heavy_and_damaged_maps_are_not_kept() -> None:
    maps = RecentMaps()
    heavy, light = (gbx.Challenge(uid="u", name=name) for name in ("heavy", "light"))
    assert maps.get(b"x", lambda: (heavy, MAX_BYTES)) is heavy
    assert maps.get(b"x", lambda: (light, MAX_BYTES - 1)) is light
    assert maps.get(b"x", lambda: (heavy, 1)) is light, "the light one was kept"

    def fail() -> tuple[gbx.Challenge, int]:
        raise gbx.GbxError("file", "damaged")

    with pytest.raises(gbx.GbxError):
        maps.get(b"y", fail)
    assert maps.get(b"y", lambda: (heavy, 1)) is heavy


@pytest.mark.parametrize(("text_bytes", "is_kept"), [(100_000, True), (2 << 20, False)])
def test_a_map_counts_by_what_it_becomes_and_not_by_its_file(text_bytes: int, is_kept: bool, ghost: gbx.Ghost) -> None:
    """Its comments are stored four bytes wide, so that a few kB in the file are megabytes in memory."""
    heavy = gbx.Challenge(uid="u", name="n", comments="a" * text_bytes)
    data = gbx.write_replay(gbx.write_challenge(heavy), ghost)
    assert len(data) < 64 << 10
    RECENT_MAPS.clear()
    assert (gbx.read_replay(data).challenge is gbx.read_replay(data).challenge) == is_kept

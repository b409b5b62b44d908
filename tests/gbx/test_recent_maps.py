"""Replays of one track share the record of their map, and no more than a few are kept."""

import dataclasses

import pytest

from trackmaster import gbx
from trackmaster.gbx.recent import KEPT_MAPS, MAX_BLOCKS, RecentMaps


def test_replays_of_one_map_share_its_record(map_bytes: bytes, ghost: gbx.Ghost) -> None:
    first, second = (gbx.read_replay(gbx.write_replay(map_bytes, dataclasses.replace(ghost, uid=uid))) for uid in "ab")
    assert first.challenge is second.challenge
    assert first.ghosts != second.ghosts


def test_only_the_last_few_maps_are_kept() -> None:
    maps, read = RecentMaps(), []

    def get(key: int) -> gbx.Challenge:
        def load() -> gbx.Challenge:
            read.append(key)
            return gbx.Challenge(uid=str(key), name="n")

        return maps.get(bytes([key]), load)

    for key in [*range(KEPT_MAPS), 0, KEPT_MAPS, 0, 1]:
        assert get(key).uid == str(key)
    assert read == [*range(KEPT_MAPS + 1), 1], "the map used longest ago makes room"


def test_huge_and_damaged_maps_are_not_kept() -> None:
    maps = RecentMaps()
    huge = gbx.Challenge(uid="u", name="n", blocks=(gbx.Block("A", 0, 0, 0, 0),) * (MAX_BLOCKS + 1))
    assert maps.get(b"x", lambda: huge) is huge
    small = gbx.Challenge(uid="u", name="n")
    assert maps.get(b"x", lambda: small) is small

    def fail() -> gbx.Challenge:
        raise gbx.GbxError("file", "damaged")

    with pytest.raises(gbx.GbxError):
        maps.get(b"y", fail)
    assert maps.get(b"y", lambda: huge) is huge

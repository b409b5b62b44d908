"""Small maps, ghosts and replays of our own, made by the writers; real files come through ``corpus_dir``."""

import csv
import dataclasses
import struct
from pathlib import Path

import numpy as np
import pytest

from trackmaster import gbx
from trackmaster.gbx.block import BlockSkin
from trackmaster.gbx.container import read_body, read_shell
from trackmaster.gbx.writer import ByteWriter, pack_body

RACE_TIME_MS = 3_210
SKIN = BlockSkin(
    "!4", gbx.FileReference("Skins\\Stadium\\Own\\Sign.dds", "http://localhost/sign.dds"), gbx.FileReference("")
)
NODE_END = 0xFACADE01


def make_map(**changes: object) -> gbx.Challenge:
    """A short straight with a checkpoint, a skinned sign and two laps."""
    names = [
        "StadiumRoadMainStartLine",
        *["StadiumRoadMain"] * 5,
        "StadiumRoadMainCheckpoint",
        "StadiumRoadMainFinishLine",
    ]
    blocks = [gbx.Block(name, 0, 10, 1, 10 + i, 0x1000 if i else 0x1041) for i, name in enumerate(names)]
    blocks.append(gbx.Block("StadiumControlRoadPub", 3, 11, 1, 12, 0x9000, "author_login", SKIN))
    challenge = gbx.Challenge(
        uid=gbx.make_uid("straight"),
        name="A $f00straight & <more>",
        author="author_login",
        mood="Sunset",
        blocks=tuple(blocks),
        medals=gbx.Medals(9_000, 7_000, 6_000, None),
        laps=2,
        is_multilap=True,
        cp_cells=((10, 1, 16),),
        comments="two\nlines",
    )
    return dataclasses.replace(challenge, **changes)


def make_ghost(n_samples: int = 40, **changes: object) -> gbx.Ghost:
    """A run that accelerates, turns and brakes, with keys and a respawn."""
    t = np.arange(n_samples) / 10
    position = np.stack([336 + t**2, np.full_like(t, 9.37), 336 + 40 * t], axis=1)
    half = t / 20
    quaternion = np.stack([np.cos(half), 0 * t, np.sin(half), 0 * t], axis=1)
    velocity = np.stack([2 * t, 0 * t, np.full_like(t, 40.0)], axis=1)
    keys = np.full(RACE_TIME_MS // 10 + 1, 1, np.uint8)
    keys[40:60] |= 4
    keys[80:95] |= 8
    keys[200:] = 2
    keys[150:153] |= 16
    ghost = gbx.Ghost(
        race_time_ms=RACE_TIME_MS,
        respawns=1,
        cp_times_ms=(1_200, 2_300, RACE_TIME_MS),
        nickname="$0f0driver",
        login="driver_login",
        uid=gbx.make_uid("run"),
        samples=gbx.make_samples(
            position, quaternion, velocity, rpm=4_000.0, gas=1.0, wheel_contact=True, wheel_material=16, damper_m=0.1
        ),
        events=gbx.InputTimeline.from_keys(keys).to_events(race_time_ms=RACE_TIME_MS),
        cp_stunt_scores=(0, 3, 3),
        inputs_duration_ms=RACE_TIME_MS,
        game_version="trackmaster",
        race_settings="<laps>1</laps>",
    )
    return dataclasses.replace(ghost, **changes)


def clip_chunks(out: ByteWriter, end_s: float, ghost_chunks: bytes | None = None) -> None:
    """Write a clip node with a fade, a text (with its effect) and, if given, a ghost block."""
    out.begin_node(0x03079000)
    out.u32(0x03079005)
    out.list_head(1)
    out.begin_node(0x03078000)
    out.u32(0x03078001)
    out.string("track")
    out.list_head(2 if ghost_chunks is None else 3)
    out.begin_node(0x030AB000)
    out.u32(0x030AB000, 2)
    out.f32(0.0, 1.0, end_s, 0.0)
    out.f32(0.0, 0.0, 0.0, 1.0)
    out.end_node()
    out.begin_node(0x030A8000)
    out.u32(0x030A8001)
    out.string("welcome")
    out.begin_node(0x07010000)
    out.u32(0x07010000, 2)
    for time_s in (0.5, end_s - 0.5):
        out.f32(time_s)
        out.raw(bytes(20))
    out.u32(0)
    out.end_node()
    out.end_node()
    if ghost_chunks is not None:
        out.begin_node(0x030E5000)
        out.u32(0x030E5001)
        out.f32(0.0, end_s - 1)
        out.begin_node(0x03092000)
        out.raw(ghost_chunks)
        out.f32(0.0)
        out.end_node()
    out.u32(0)
    out.u32(0x03078004, 1, 0)
    out.end_node()
    out.string("clip")
    out.u32(0x03079007)
    out.i32(-1)
    out.end_node()


def make_map_with_intro(end_s: float = 8.25) -> bytes:
    """The map of ``make_map`` with an intro clip and an in-game clip group, ids and nodes before and after them."""
    plain = gbx.write_challenge(make_map(), compress=False)
    shell = read_shell(plain, "map")
    body = read_body(plain, shell, "map")
    mark = struct.pack("<I3i", 0x03043021, -1, -1, -1)
    position = body.data.index(mark)
    clips = ByteWriter()
    clips.nodes = body.node_count - 1
    clips.u32(0x03043021)
    clip_chunks(clips, end_s)
    clips.begin_node(0x0307A000)
    clips.u32(0x0307A003)
    clips.list_head(1)
    clip_chunks(clips, 2.0)
    clips.u32(1)
    clips.i32(0, 0, 0, 0, 2)
    clips.f32(5.0)
    clips.u32(1)
    clips.i32(10, 1, 12)
    clips.end_node()
    clips.no_node()
    data = body.data[:position] + bytes(clips.out) + body.data[position + len(mark) :]
    return plain[: shell.header_end] + pack_body(clips.nodes + 1, data, compress=False)


@pytest.fixture(scope="session")
def challenge() -> gbx.Challenge:
    """A small map."""
    return make_map()


@pytest.fixture(scope="session")
def map_bytes() -> bytes:
    """A small map as a file."""
    return gbx.write_challenge(make_map())


@pytest.fixture(scope="session")
def intro_map_bytes() -> bytes:
    """A small map with clips as a file."""
    return make_map_with_intro()


@pytest.fixture(scope="session")
def ghost() -> gbx.Ghost:
    """A short run."""
    return make_ghost()


@pytest.fixture(scope="session")
def replay_bytes() -> bytes:
    """A short run on the small map as a file."""
    return gbx.write_replay(gbx.write_challenge(make_map()), make_ghost())


@pytest.fixture(scope="session")
def manifest(corpus_dir: Path) -> list[dict[str, str]]:
    """Rows of the list of real files."""
    with (corpus_dir / "MANIFEST.tsv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


@pytest.fixture(scope="session")
def real_files(corpus_dir: Path, manifest: list[dict[str, str]]) -> list[tuple[dict[str, str], Path]]:
    """Real files that the list says can be read, with their rows."""
    return [(row, corpus_dir / row["path"]) for row in manifest if row["parse"] == "ok"]


@pytest.fixture(scope="session")
def real_maps(real_files: list[tuple[dict[str, str], Path]]) -> list[tuple[str, bytes, gbx.Challenge]]:
    """Real TMF and TMU maps: name, bytes, content."""
    paths = [path for row, path in real_files if row["file_class"] == "Challenge" and row["game"] in ("TMF", "TMU")]
    return [(path.name, path.read_bytes(), gbx.read_challenge(path)) for path in paths]


@pytest.fixture(scope="session")
def real_runs(real_files: list[tuple[dict[str, str], Path]]) -> list[tuple[str, gbx.Ghost]]:
    """Ghosts of real replays and of the clips of real maps, by game and file name."""
    runs = []
    for row, path in real_files:
        found = gbx.read(path)
        ghosts = found.clip_ghosts if isinstance(found, gbx.Challenge) else found.ghosts
        runs += [(f"{row['game']} {path.name}", ghost) for ghost in ghosts]
    return runs

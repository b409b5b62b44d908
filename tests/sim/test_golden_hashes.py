"""What the car does in each kind of situation, down to the last bit.

A hash may change only together with the physics or the shape of a block, and whoever changes it says why. The bits are
the same on every processor: the kernels neither fuse nor reorder operations, and their sines are polynomials.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from trackmaster.gbx import Block, Challenge
from trackmaster.sim import World
from trackmaster.sim.collision_scene import Drivable
from trackmaster.track import Track

GROUND = 0x1000
Script = Callable[[int], tuple[float, float, float]]


@dataclass(frozen=True)
class Scene:
    """A car somewhere, what it does for a while, and what becomes of it."""

    track: str
    position: tuple[float, float, float]
    velocity: tuple[float, float, float]
    script: Script
    ticks: int
    golden: str


def full_gas(_tick: int) -> tuple[float, float, float]:
    return 0.0, 1.0, 0.0


def weave(tick: int) -> tuple[float, float, float]:
    return float(np.sin(tick / 20)), float(tick % 50 < 40), float(tick % 50 > 45)


SCENES = {
    "landing": Scene("arena", (-40, 9, -40), (8, -4, 40), lambda k: (0.2, k > 60, 0), 200, "54f44e7bf0738108"),
    "wall": Scene("arena", (0, 0.1, 40), (25, 0, 25), full_gas, 200, "150be5fda6be53f3"),
    "slide": Scene("asphalt", (0, 0.02, 0), (0, 0, 70), lambda k: (0.8, k > 60, k < 60), 200, "6d3fa42c42407d7d"),
    "boost": Scene("turbo", (0, 0.02, 0), (0, 0, 30), lambda k: (0.1, 1, 0), 200, "67d159dfec53d813"),
    "dirt": Scene("dirt", (0, 0.02, 0), (0, 0, 35), weave, 300, "4c95d09ef76569a7"),
    "loop": Scene("loop", (336, 9.4, 330), (0, 0, 75), full_gas, 300, "84253410ab6885bb"),
    "water": Scene("pool", (0, 8, 0), (3, -9, 85), lambda k: (0.3, 1, k > 200), 300, "b026992cfb0cfd68"),
}  # fmt: skip


def loop_track() -> Track:
    """A road into a loop of the catalogue."""
    road = [Block("StadiumRoadMain", 0, 10, 1, 9 + k, GROUND | 3) for k in range(3)]
    ends = [
        Block("StadiumRoadMainStartLine", 0, 10, 1, 8, GROUND),
        Block("StadiumRoadMainFinishLine", 0, 20, 1, 20, GROUND),
    ]
    loop = Block("StadiumLoopLeft", 0, 10, 1, 12, GROUND)
    return Track.from_challenge(Challenge(uid="loop", name="Loop", blocks=(*ends, *road, loop)))


@pytest.fixture
def tracks(plane_track, arena) -> dict[str, Callable[[], Drivable]]:
    return {
        "arena": lambda: arena,
        "asphalt": plane_track,
        "turbo": lambda: plane_track(material=7),
        "dirt": lambda: plane_track(material=6),
        "pool": lambda: plane_track(material=10, water_m=6.0),
        "loop": loop_track,
    }


def drive(track: Drivable, scene: Scene, *, cars: int, threads: int, stride: int) -> World:
    """Drive the scene with the last car of a batch; the others start beside it."""
    world = World(track, cars, threads=threads)
    offset = np.zeros((cars, 3))
    offset[:, 0] = 0.01 * np.arange(cars)[::-1]
    world.place(None, np.array(scene.position) + offset, np.eye(3), scene.velocity)
    for tick in range(0, scene.ticks, stride):
        world.step(*(float(value) for value in scene.script(tick)), ticks=stride)
    return world


def digest(world: World) -> str:
    """Hash everything physical about the last car."""
    view = world.view
    parts = (
        view.position_m, view.rotation, view.velocity_mps, view.angular_velocity_radps, view.damper_m, view.rpm,
        view.wheel_contact, view.wheel_sliding, view.gear,
    )  # fmt: skip
    return hashlib.sha256(b"".join(np.ascontiguousarray(part[-1]).tobytes() for part in parts)).hexdigest()[:16]


@pytest.mark.parametrize("name", SCENES)
def test_a_situation_ends_in_the_same_bits_everywhere(name, tracks):
    scene, track = SCENES[name], tracks[SCENES[name].track]()
    alone = digest(drive(track, scene, cars=1, threads=1, stride=5))
    assert digest(drive(track, scene, cars=1, threads=1, stride=5)) == alone
    assert digest(drive(track, scene, cars=33, threads=1, stride=5)) == alone
    assert digest(drive(track, scene, cars=33, threads=2, stride=5)) == alone
    assert alone == scene.golden


def test_the_loop_carries_the_car_beyond_the_vertical(tracks):
    scene = SCENES["loop"]
    world = World(tracks["loop"](), 1)
    world.place(None, scene.position, np.eye(3), scene.velocity)
    upright = []
    for _ in range(scene.ticks):
        world.step(0.0, 1.0, 0.0)
        upright.append(float(world.view.rotation[0, 1, 1]))
    assert min(upright) < 0.0

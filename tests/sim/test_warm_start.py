"""Kernels are compiled once per machine: a second process takes them from the cache."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import warp as wp

from trackmaster.sim import Renderer, World

MODULES = ("kernels_tick", "kernels_raster", "kernels_copy")

SECOND_PROCESS = """
import numpy as np
import warp as wp
from trackmaster.sim import Renderer, World
from trackmaster.track import Track
from trackmaster.track.bundled import bundled_challenge

track = Track.from_challenge(bundled_challenge("first_steps").challenge)
world = World(track, 2)
world.step(0.0, 1.0, 0.0, ticks=5)
world.restore(world.snapshot())
renderer = Renderer(track, 32, 24)
renderer.render(np.zeros((1, 3)), np.eye(3)[None], 60.0)
print(wp.config.kernel_cache_dir, world.view.time_ms[0])
"""


def compiled() -> dict[Path, int]:
    """Return every compiled kernel module of ours and when it was written."""
    return {
        path: path.stat().st_mtime_ns
        for path in Path(str(wp.config.kernel_cache_dir)).rglob("*.o")
        if any(name in path.name for name in MODULES)
    }


def test_a_second_process_compiles_nothing(plane_track) -> None:
    track = plane_track()
    world = World(track, 1)
    world.step(0.0, 1.0, 0.0)
    world.restore(world.snapshot())
    mesh = track.mesh
    Renderer(mesh, 32, 24).render(np.zeros((1, 3)), np.eye(3)[None], 60.0)
    before = compiled()
    assert {name for name in MODULES if any(name in path.name for path in before)} == set(MODULES)
    environment = {**os.environ, "WARP_CACHE_PATH": str(Path(str(wp.config.kernel_cache_dir)).parent)}
    run = subprocess.run(
        [sys.executable, "-c", SECOND_PROCESS], capture_output=True, text=True, env=environment, check=False
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == [str(wp.config.kernel_cache_dir), "50"]
    assert compiled() == before, "the second process compiled kernels again"

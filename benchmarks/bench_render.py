"""Frames per second of the renderer on one core, chase camera on a winding track of about 20 000 triangles.

    python benchmarks/bench_render.py [--sizes 64x64 84x84 160x120 256x256] [--views 512] [--rounds 5]

Prints CPU time (best of the rounds) per size, and in the same run the same frames without culling, so that the gain of
the cells can be read as a ratio on any machine. With a CUDA device also its
frames per second at 65 536 views of 64 x 64.
"""

import argparse
import time
from types import SimpleNamespace

import numpy as np
import warp as wp

from trackmaster.sim.camera import ChaseCamera
from trackmaster.sim.renderer import Renderer
from trackmaster.track.surface import Look

UNCULLED_M = 5_000.0
GPU_VIEWS = 65_536


def winding_track(turns: int = 4, samples: int = 1_700) -> tuple[SimpleNamespace, np.ndarray, np.ndarray]:
    """Return a climbing spiral road with kerbs, its centre line (N, 3) and car attitudes (N, 3, 3)."""
    angle = np.linspace(0, 2 * np.pi * turns, samples)
    radius = 150 + 10 * angle
    line = np.stack([512 + radius * np.cos(angle), 9.345 + 1.3 * angle, 512 + radius * np.sin(angle)], axis=1)
    forward = np.gradient(line, axis=0)
    forward /= np.linalg.norm(forward, axis=1, keepdims=True)
    left = np.stack([forward[:, 2], np.zeros(samples), -forward[:, 0]], axis=1)
    left /= np.linalg.norm(left, axis=1, keepdims=True)
    across = np.array([-16, -14, -7, 0, 7, 14, 16.0])
    vertices = line[None] + left[None] * across[:, None, None]
    vertices[[0, -1], :, 1] += 0.3
    k = np.arange(samples - 1)
    triangles, looks = [], []
    for j in range(len(across) - 1):
        a, c = j * samples + k, (j + 1) * samples + k
        triangles += [np.stack([a, a + 1, c + 1], axis=1), np.stack([a, c + 1, c], axis=1)]
        looks += [np.full(2 * len(k), Look.KERB if j in (0, len(across) - 2) else Look.ROAD, np.uint8)]
    mesh = SimpleNamespace(
        vertices=vertices.reshape(-1, 3).astype(np.float32),
        triangles=np.concatenate(triangles).astype(np.int32),
        look=np.concatenate(looks),
    )
    return mesh, line, np.stack([left, np.cross(forward, left), forward], axis=2)


def best_cpu_s(renderer: Renderer, views: dict[str, np.ndarray], out: np.ndarray, rounds: int) -> float:
    """Return the shortest CPU time of one batch in seconds."""
    renderer.render(**views, out=out)
    best = float("inf")
    for _ in range(rounds):
        start = time.process_time()
        renderer.render(**views, out=out)
        best = min(best, time.process_time() - start)
    return best


def bench_gpu(mesh: SimpleNamespace, views: dict[str, np.ndarray], rounds: int) -> None:
    """Print frames per second of wall time of a CUDA device."""
    if not wp.is_cuda_available():
        print("no CUDA device here")
        return
    many = {name: np.resize(values, (GPU_VIEWS, *values.shape[1:])) for name, values in views.items()}
    renderer = Renderer(mesh, 64, 64, GPU_VIEWS, device="cuda:0")
    out = renderer.render(**many)
    best = float("inf")
    for _ in range(rounds):
        wp.synchronize()
        start = time.perf_counter()
        renderer.render(**many, out=out)
        wp.synchronize()
        best = min(best, time.perf_counter() - start)
    print(f"{wp.get_device('cuda:0').name}: {GPU_VIEWS / best:,.0f} frames/s, {GPU_VIEWS} views of 64 x 64")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", default=["64x64", "84x84", "160x120", "256x256", "640x480"])
    parser.add_argument("--views", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()

    mesh, line, attitude = winding_track()
    at = np.linspace(10, len(line) - 100, arguments.views).astype(int)
    pose = ChaseCamera(len(at)).update(0.0, line[at], attitude[at])
    views = {
        "eye_m": pose.eye_m,
        "rotation": pose.rotation,
        "fov_deg": pose.fov_deg,
        "car_position_m": line[at],
        "car_rotation": attitude[at],
    }
    print(f"{len(mesh.triangles)} triangles, {len(at)} views per batch, one thread, CPU time, grey frames")
    for size in arguments.sizes:
        width, height = (int(side) for side in size.split("x"))
        out = np.empty((len(at), height, width), np.uint8)
        culled = best_cpu_s(Renderer(mesh, width, height, len(at)), views, out, arguments.rounds)
        everything = Renderer(mesh, width, height, len(at), draw_distance_m=UNCULLED_M)
        whole = best_cpu_s(everything, views, out, max(1, arguments.rounds // 2))
        print(
            f"{size:>9}: {len(at) / culled:8.0f} frames/s, {culled / len(at) * 1e6:7.1f} us per frame,"
            f" {whole / culled:4.1f} x as fast as with everything in reach"
        )
    bench_gpu(mesh, views, arguments.rounds)


if __name__ == "__main__":
    main()

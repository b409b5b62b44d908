"""The rasteriser against ray casting, and the promises about its pixels."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

from trackmaster.sim import SimError
from trackmaster.sim.appearance import Appearance
from trackmaster.sim.car_model import build_car
from trackmaster.sim.renderer import Renderer, RenderError
from trackmaster.track.surface import Look

SEED = 5
FLAT = Appearance(contrast=0.0, ambient=1.0, diffuse=0.0, fog_start=0.999)
"""No pattern, no light, no haze: a pixel tells which look it shows."""


def mesh(corners: np.ndarray, look: np.ndarray | int) -> SimpleNamespace:
    """A mesh of separate triangles, corners (F, 3, 3)."""
    count = len(corners)
    return SimpleNamespace(
        vertices=np.asarray(corners, np.float32).reshape(-1, 3),
        triangles=np.arange(3 * count, dtype=np.int32).reshape(-1, 3),
        look=np.broadcast_to(np.asarray(look, np.uint8), count),
    )


def quad(low: tuple[float, float], high: tuple[float, float], y: float) -> np.ndarray:
    """Two upward triangles over a rectangle in x and z."""
    (x0, z0), (x1, z1) = low, high
    a, b, c, d = (x0, y, z0), (x0, y, z1), (x1, y, z1), (x1, y, z0)
    return np.array([[a, b, c], [a, c, d]])


def looking(yaw: float, pitch: float, roll: float = 0.0) -> np.ndarray:
    """Camera axes: yaw to the left, pitch up, roll to the right."""
    forward = np.array([np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)])
    left = np.cross([0, 1, 0], forward)
    left /= np.linalg.norm(left)
    up = np.cross(forward, left)
    c, s = np.cos(roll), np.sin(roll)
    return np.stack([c * left + s * up, c * up - s * left, forward], axis=1)


@pytest.fixture(scope="module")
def town() -> SimpleNamespace:
    """A road across many cells with walls and boxes of every look beside it."""
    rng = np.random.default_rng(SEED)
    parts, looks = [], []
    for k in range(16):
        parts.append(quad((496, 300 + 32 * k), (528, 332 + 32 * k), 9.345))
        looks += [Look.ROAD] * 2
    for k in range(60):
        x, z, size, y = rng.uniform(440, 580), rng.uniform(300, 800), rng.uniform(2, 12), rng.uniform(9, 22)
        parts.append(quad((x, z), (x + size, z + size), y))
        side = np.array([[(x, 9, z), (x, y, z), (x + size, y, z)], [(x, 9, z), (x + size, y, z), (x + size, 9, z)]])
        parts += [side, side[:, ::-1]]
        looks += [k % len(Look)] * 6
    return mesh(np.concatenate(parts), np.array(looks))


def views(n: int) -> dict[str, np.ndarray]:
    """Cameras all over the town, each behind its car."""
    rng = np.random.default_rng(SEED + 1)
    car = np.stack([rng.uniform(490, 534, n), rng.uniform(9.5, 15, n), rng.uniform(300, 700, n)], axis=1)
    axes = np.stack([looking(rng.uniform(-1, 1), rng.uniform(-0.2, 0.2), rng.uniform(-0.4, 0.4)) for _ in range(n)])
    return {
        "eye_m": car + axes @ np.array([0, 2.2, -4.5]),
        "rotation": axes,
        "fov_deg": rng.uniform(60, 90, n),
        "car_position_m": car,
        "car_rotation": axes,
        "car_steer_rad": rng.uniform(-0.4, 0.4, n),
    }


def some(all_views: dict[str, np.ndarray], key: object) -> dict[str, np.ndarray]:
    return {name: value[key] for name, value in all_views.items()}


def test_every_pixel_shows_what_a_ray_hits_first() -> None:
    rng = np.random.default_rng(SEED)
    count, size = 400, 48
    center = np.array([512.0, 20.0, 512.0]) + rng.uniform(-30, 30, (count, 1, 3)) * [1, 0.3, 1]
    corners = center + rng.normal(size=(count, 3, 3)) * rng.choice([1.0, 8.0, 40.0], (count, 1, 1))
    look = rng.integers(0, len(Look), count)
    renderer = Renderer(mesh(corners, look), size, size, 1, appearance=FLAT, draw_distance_m=1000)
    colors = np.array([FLAT.colors[each] for each in Look])
    wrong = total = 0
    for _ in range(6):
        axes = looking(rng.uniform(-3, 3), rng.uniform(-0.5, 0.5), rng.uniform(-1, 1))
        eye = np.array([512.0, 20.0, 512.0]) + rng.normal(size=3)
        frame = renderer.render(eye[None], axes[None], 70.0, mode="bgra")[0, :, :, :3].astype(int)

        at = (size / 2 - np.arange(size) - 0.5) / (size / 2) * np.tan(np.deg2rad(35))
        rays = axes[:, 2] + at[None, :, None] * axes[:, 0] + at[:, None, None] * axes[:, 1]
        a, u, v = corners[:, 0], corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
        normal = np.cross(u, v)
        approach = rays @ normal.T  # (H, W, F)
        depth = np.einsum("fi,fi->f", a - eye, normal) / np.where(approach < 0, approach, -1e-12)
        point = eye + rays[:, :, None] * depth[..., None] - a
        cross = np.einsum("fi,fi->f", normal, normal)
        s = np.einsum("hwfi,fi->hwf", np.cross(point, v), normal) / cross
        t = np.einsum("hwfi,fi->hwf", np.cross(u, point), normal) / cross
        hit = (approach < 0) & (depth > 0.2) & (s >= 0) & (t >= 0) & (s + t <= 1)
        nearest = np.where(hit, depth, np.inf).argmin(axis=2)
        seen = hit.any(axis=2)
        expected = np.round(colors[look[nearest]])
        wrong += (np.abs(frame - expected)[seen].max(axis=1) > 1.5).sum()
        total += seen.sum()
    assert total > 3000, "the test must look at triangles"
    assert wrong <= 0.004 * total, f"{wrong} of {total} pixels show another triangle than the ray hits"


def test_joined_triangles_leave_no_gap() -> None:
    rng = np.random.default_rng(SEED)
    n = 24
    x, z = np.meshgrid(np.linspace(480, 544, n), np.linspace(480, 544, n), indexing="ij")
    inner = np.zeros((n, n), bool)
    inner[1:-1, 1:-1] = True
    points = np.stack(
        [
            x + inner * rng.normal(0, 0.6, x.shape),
            10 + rng.normal(0, 0.4, x.shape),
            z + inner * rng.normal(0, 0.6, x.shape),
        ],
        axis=2,
    ).astype(np.float32)
    a, b, c, d = points[:-1, :-1], points[:-1, 1:], points[1:, 1:], points[1:, :-1]
    sheet = np.concatenate([np.stack([a, b, c], 2).reshape(-1, 3, 3), np.stack([a, c, d], 2).reshape(-1, 3, 3)])
    renderer = Renderer(mesh(sheet, int(Look.CHECKPOINT)), 128, 96, 1, appearance=FLAT, draw_distance_m=1000)
    color = np.round(FLAT.colors[Look.CHECKPOINT])
    for _ in range(8):
        eye = np.array([512 + rng.uniform(-8, 8), rng.uniform(14, 18), 512 + rng.uniform(-8, 8)])
        axes = looking(rng.uniform(-3, 3), -1.35, rng.uniform(-1, 1))
        frame = renderer.render(eye[None], axes[None], 80.0, mode="bgra")[0, :, :, :3]
        assert (np.abs(frame - color).max(axis=2) <= 1).all(), "grass shows through the seams"


@pytest.mark.parametrize("mode", ["gray", "bgra"])
def test_frames_are_equal_alone_in_a_batch_twice_and_in_any_tiling(town, mode) -> None:
    batch = views(24)
    whole = Renderer(town, 64, 48, 24).render(**batch, mode=mode)
    tiled = Renderer(town, 64, 48, 24, tile_px=16).render(**batch, mode=mode)
    odd = Renderer(town, 64, 48, 24, tile_px=29).render(**batch, mode=mode)
    single = Renderer(town, 64, 48, 1)
    assert len({whole[k].tobytes() for k in range(24)}) == 24, "the views must differ for this to mean anything"
    assert whole.tobytes() == tiled.tobytes()
    assert whole.tobytes() == odd.tobytes()
    for k in range(24):
        assert single.render(**some(batch, slice(k, k + 1)), mode=mode).tobytes() == whole[k].tobytes()


def test_nothing_that_fills_a_pixel_is_skipped_whatever_its_size_and_however_the_car_lies() -> None:
    """Triangles and shadows are skipped by their bounds; with tiles of one pixel there is nothing left to bound."""
    rng = np.random.default_rng(SEED)
    n_triangles, n_views = 1500, 4
    middle = rng.uniform((-60, -2, -60), (60, 22, 60), (n_triangles, 1, 3))
    corners = middle + rng.normal(size=(n_triangles, 3, 3)) * 10 ** rng.uniform(-2, 1.6, (n_triangles, 1, 1))
    turns = np.linalg.qr(rng.normal(size=(2, n_views, 3, 3)))[0]
    turns[np.linalg.det(turns) < 0, :, 0] *= -1
    eye = rng.uniform((-50, 4, -50), (50, 20, 50), (n_views, 3))
    cameras = {
        "eye_m": eye,
        "rotation": turns[0],
        "fov_deg": rng.uniform(20, 120, n_views),
        "car_position_m": eye + turns[0, :, :, 2] * rng.uniform(1, 8, (n_views, 1)),
        "car_rotation": turns[1],
        "car_steer_rad": rng.uniform(-0.6, 0.6, n_views),
    }
    soup = mesh(corners, rng.integers(0, len(Look), n_triangles))
    whole = Renderer(soup, 61, 43, n_views).render(**cameras, mode="bgra")
    single = Renderer(soup, 61, 43, n_views, tile_px=1).render(**cameras, mode="bgra")
    assert whole.tobytes() == single.tobytes()


def test_gray_frames_are_opencv_gray_of_the_color_frames(town) -> None:
    renderer = Renderer(town, 80, 60, 8)
    color, gray = renderer.render(**views(8), mode="bgra"), renderer.render(**views(8), mode="gray")
    assert (color[..., 3] == 255).all()
    for k in range(8):
        np.testing.assert_array_equal(cv2.cvtColor(color[k], cv2.COLOR_BGRA2GRAY), gray[k])


def test_frames_land_in_the_callers_memory(town) -> None:
    renderer = Renderer(town, 64, 64, 4)
    expected = renderer.render(**views(4))
    store = torch.zeros((3, 4, 1, 64, 64), dtype=torch.uint8)
    returned = renderer.render(**views(4), out=store[1])
    assert returned.data_ptr() == store[1].data_ptr()
    np.testing.assert_array_equal(store[1, :, 0].numpy(), expected)
    assert not store[0].any()
    assert not store[2].any()


def test_supersampled_frames_are_means_of_finer_ones(town) -> None:
    coarse = Renderer(town, 40, 30, 3, supersample=3).render(**views(3), mode="bgra")
    fine = Renderer(town, 120, 90, 3).render(**views(3), mode="bgra")
    mean = fine.reshape(3, 30, 3, 40, 3, 4).mean(axis=(2, 4))
    assert np.abs(coarse - mean).max() <= 0.5


def test_each_view_shows_its_own_track() -> None:
    tracks = [mesh(quad((400, 400), (600, 600), 10.0), int(look)) for look in (Look.ROAD, Look.TURBO)]
    renderer = Renderer(tracks, 32, 32, 2, appearance=FLAT)
    down = np.repeat(looking(0.0, -1.4)[None], 2, 0)
    frame = renderer.render(np.full((2, 3), [500.0, 20.0, 500.0]), down, 60.0, track=np.array([1, 0]), mode="bgra")
    np.testing.assert_array_equal(frame[0, 16, 16, :3], np.round(FLAT.colors[Look.TURBO]))
    np.testing.assert_array_equal(frame[1, 16, 16, :3], np.round(FLAT.colors[Look.ROAD]))


def test_surfaces_sky_and_grass_differ_clearly_at_64_pixels() -> None:
    """What a driver must tell apart keeps its distance in grey or in colour after texture, light and haze."""
    means = {}
    for look in (Look.ROAD, Look.PLATFORM, Look.DIRT, Look.TURBO, Look.CHECKPOINT, Look.KERB):
        renderer = Renderer(mesh(quad((400, 400), (600, 600), 9.345), int(look)), 64, 64, 1)
        frame = renderer.render(np.array([[500.0, 12.0, 480.0]]), looking(0.1, -0.1)[None], 75.0, mode="bgra")[0]
        means[look.name] = frame[45:, :, :3].reshape(-1, 3).mean(axis=0)
        means["SKY"], horizon = frame[:20, :, :3].reshape(-1, 3).mean(axis=0), frame[26, 32, :3].astype(int)
        assert np.abs(horizon - renderer.appearance.fog_color).max() < 40, "distance must fade into the haze"
    empty = Renderer(mesh(quad((0, 0), (1, 1), 9.0), int(Look.GRASS)), 64, 64, 1)
    frame = empty.render(np.array([[500.0, 12.0, 480.0]]), looking(0.1, -0.1)[None], 75.0, mode="bgra")[0]
    means["GRASS"] = frame[45:, :, :3].reshape(-1, 3).mean(axis=0)
    grey = {name: means[name] @ [0.114, 0.587, 0.299] for name in ("ROAD", "GRASS", "DIRT", "PLATFORM")}
    assert np.diff(sorted(grey.values())).min() > 15, f"agents see grey: {grey}"
    names = list(means)
    for i, one in enumerate(names):
        for other in names[i + 1 :]:
            assert np.abs(means[one] - means[other]).max() > 24, f"{one} {means[one]} looks like {other} {means[other]}"


def test_car_shadow_and_hood_view() -> None:
    road = mesh(quad((400, 400), (600, 600), 9.345), int(Look.ROAD))
    renderer = Renderer(road, 96, 96, 1)
    car, level = np.array([[500.0, 9.37, 500.0]]), np.eye(3)[None]
    eye, down = car + np.array([0, 12, 0]), looking(0.0, -np.pi / 2 + 1e-6)[None]
    empty = renderer.render(eye, down, 40.0).astype(int)
    shadow = renderer.render(eye, down, 40.0, car, level, draw_car=False).astype(int)
    whole = renderer.render(eye, down, 40.0, car, level).astype(int)
    assert (shadow <= empty).all()
    assert shadow[0, 48, 48] < 0.6 * empty[0, 48, 48]
    np.testing.assert_array_equal(shadow[0, :8], empty[0, :8])
    assert (np.abs(whole - shadow) > 20).mean() > 0.05
    high = renderer.render(eye, down, 40.0, car + np.array([0, 6, 0]), level, draw_car=False).astype(int)
    assert shadow[0, 48, 48] < high[0, 48, 48] < empty[0, 48, 48], "the shadow fades with the height of the car"


def test_front_wheels_turn_with_the_steering(town) -> None:
    view = some(views(1), slice(0, 1))
    renderer = Renderer(town, 160, 120, 1)
    frames = [renderer.render(**{**view, "car_steer_rad": np.array([angle])}).tobytes() for angle in (-0.3, 0.0, 0.3)]
    assert len(set(frames)) == 3


def test_car_model_is_closed_small_and_stands_on_its_wheels() -> None:
    car = build_car()
    assert len(car.corners) < 300
    assert np.allclose(np.linalg.norm(car.normals, axis=1), 1, atol=1e-5)
    assert car.corners[..., 1].min() == pytest.approx(-0.024, abs=0.01)
    # Of a closed surface the area vectors cancel.
    area = np.cross(car.corners[:, 1] - car.corners[:, 0], car.corners[:, 2] - car.corners[:, 0])
    assert np.abs(area.sum(axis=0)).max() < 1e-3


def test_far_and_hidden_cells_are_left_out_without_a_trace(town) -> None:
    """Culling is only a saving: with haze complete at the draw distance nothing beyond it can change a pixel."""
    batch = views(8)
    near = Renderer(town, 64, 64, 8, draw_distance_m=120)
    corners = town.vertices.reshape(-1, 3, 3)
    closest = np.linalg.norm(corners.mean(axis=1)[:, None] - batch["eye_m"], axis=2).min(axis=1) < 250
    cut = Renderer(mesh(corners[closest], town.look[closest]), 64, 64, 8, draw_distance_m=120)
    np.testing.assert_array_equal(near.render(**batch), cut.render(**batch))


def test_misuse_is_answered_with_a_sentence(town) -> None:
    renderer = Renderer(town, 16, 16, 2)
    view = some(views(3), slice(0, 2))
    with pytest.raises(RenderError, match=r"n in 1\.\.2"):
        renderer.render(**views(3))
    with pytest.raises(RenderError, match="uint8"):
        renderer.render(**view, out=np.zeros((2, 16, 16), np.float32))
    with pytest.raises(RenderError, match="contiguous"):
        renderer.render(**view, out=np.zeros((2, 16, 32), np.uint8)[:, :, ::2])
    with pytest.raises(RenderError, match="both or neither"):
        renderer.render(view["eye_m"], view["rotation"], 75.0, view["car_position_m"])
    with pytest.raises(RenderError, match="angle of view"):
        renderer.render(view["eye_m"], view["rotation"], 180.0)
    with pytest.raises(RenderError, match="1 tracks"):
        renderer.render(**view, track=np.array([0, 1]))
    with pytest.raises(RenderError, match="do not fit together"):
        renderer.render(**{**view, "rotation": np.eye(3)})
    with pytest.raises(RenderError, match="0 x 16"):
        Renderer(town, 0, 16)
    with pytest.raises(SimError, match="no device 'gpu'"):
        Renderer(town, 16, 16, device="gpu")
    with pytest.raises(RenderError, match="no track"):
        Renderer([], 16, 16)
    with pytest.raises(RenderError, match="frame mode"):
        renderer.render(**view, mode="rgb")  # type: ignore[arg-type]


def test_randomised_appearance_changes_pixels_and_repeats_exactly(town) -> None:
    batch = views(2)
    plain = Renderer(town, 64, 64, 2).render(**batch)
    other = Appearance(sun=(-0.5, 0.4, 0.2), ambient=0.4, texture_seed=9, fog_color=(120, 120, 120))
    first = Renderer(town, 64, 64, 2, appearance=other).render(**batch)
    again = Renderer(town, 64, 64, 2, appearance=other).render(**batch)
    assert first.tobytes() == again.tobytes()
    assert np.abs(first.astype(int) - plain).mean() > 10

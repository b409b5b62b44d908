"""What things look like: colours, textures, light and fog of the drawn world.

Every :class:`~trackmaster.track.surface.Look` owns one page of the texture atlas: 32 x 32 m (one block cell), 256 x 256
texels, with all halved levels behind it so that far surfaces show their mean instead of noise. Patterns are symmetric
under quarter turns, because a page does not know which way its block is turned.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trackmaster.sim.kernels_shade import ATLAS_PAGE, ATLAS_PAGES, ATLAS_SIZE, ATLAS_TEXELS_PER_M, SKY_SIZE
from trackmaster.track.surface import Look

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
Color = tuple[float, float, float]


# Road, grass, dirt and platform also differ in grey: that is all an agent sees.
_COLORS: dict[Look, Color] = {
    Look.ROAD: (122, 120, 118),
    Look.KERB: (226, 226, 226),
    Look.GRASS: (40, 94, 46),
    Look.PLATFORM: (176, 168, 158),
    Look.DIRT: (48, 82, 134),
    Look.WALL: (128, 108, 96),
    Look.TURBO: (30, 190, 250),
    Look.CHECKPOINT: (232, 150, 40),
    Look.FINISH: (48, 44, 226),
    Look.START: (96, 216, 92),
    Look.MARKING: (240, 240, 240),
    Look.SCENERY: (112, 116, 120),
    Look.WATER: (150, 110, 50),
    Look.FREE_WHEELING: (60, 110, 240),
    Look.UNDERSIDE: (74, 72, 72),
}


@dataclass(frozen=True)
class Appearance:
    """Colours (blue, green, red; 0..255), light and reach of the drawn world; vary it to randomise pictures.

    Attributes:
        colors: base colour of each look, in the order of :class:`~trackmaster.track.surface.Look`.
        contrast: strength of the texture patterns; 0 paints flat colours.
        sun: direction towards the sun, any length.
        ambient: light in full shade, 1 = colours as given.
        diffuse: light added where the sun stands straight above a surface.
        fog_color: colour of the horizon, into which distance fades.
        zenith_color: colour of the sky straight up.
        fog_start: distance where haze begins, as a share of the draw distance.
        texture_seed: seed of the grain in the textures.
    """

    colors: tuple[Color, ...] = tuple(_COLORS[look] for look in Look)
    contrast: float = 1.0
    sun: tuple[float, float, float] = (0.45, 0.8, -0.4)
    ambient: float = 0.55
    diffuse: float = 0.55
    fog_color: Color = (236, 214, 196)
    zenith_color: Color = (230, 172, 108)
    fog_start: float = 0.35
    texture_seed: int = 0

    def sun_direction(self) -> F32:
        """Return the unit vector towards the sun, float32 (3,)."""
        sun = np.asarray(self.sun, np.float64)
        unit: F32 = (sun / np.sqrt((sun * sun).sum())).astype(np.float32)
        return unit

    def light(self, normals: F32) -> F32:
        """Return the brightness (F,) of surfaces with these unit normals (F, 3)."""
        sun = self.sun_direction()
        cosine = normals[:, 0] * sun[0] + normals[:, 1] * sun[1] + normals[:, 2] * sun[2]
        light: F32 = (self.ambient + self.diffuse * np.maximum(cosine, 0)).astype(np.float32)
        return light

    @lru_cache(maxsize=4)  # noqa: B019 (frozen, and worth keeping: every picture size makes a renderer)
    def sky(self) -> NDArray[np.uint32]:
        """Return the upper half of the sky, stereographic, packed 0x00RRGGBB, uint32 (SKY_SIZE * SKY_SIZE,).

        The middle looks straight up, the inscribed circle is the horizon: a gradient with a layer of clouds that
        thins out towards it.
        """
        at = (np.arange(SKY_SIZE) + 0.5) / (SKY_SIZE / 2) - 1
        z, x = np.meshgrid(at, at, indexing="ij")
        r2 = np.minimum(x * x + z * z, 1.0)
        sine = (1 - r2) / (1 + r2)  # of the elevation
        share = np.minimum(sine * (3.2 - 2.2 * sine), 1.0)[..., None]
        color = np.asarray(self.fog_color) * (1 - share) + np.asarray(self.zenith_color) * share
        flat = 2 / (1 + r2) / np.maximum(sine, 0.01)
        cover = _clouds(np.random.default_rng(self.texture_seed + 1), x * flat, z * flat)
        cover = (self.contrast * cover * np.minimum(sine * 3, 1.0))[..., None]
        return _pack(color + (255 - color) * np.clip(cover, 0, 1)).reshape(-1)

    @lru_cache(maxsize=4)  # noqa: B019
    def atlas(self) -> NDArray[np.uint32]:
        """Return all texture pages with their levels, packed 0x00RRGGBB, uint32 (ATLAS_PAGES * ATLAS_PAGE,)."""
        rng = np.random.default_rng(self.texture_seed)
        pages = np.zeros((ATLAS_PAGES, ATLAS_SIZE, ATLAS_SIZE, 3), np.float32)
        for look in Look:
            shade = 1.0 + self.contrast * (_pattern(look, rng) - 1.0)
            pages[look] = np.asarray(self.colors[look], np.float32) * shade
        return np.concatenate([_levels(page) for page in pages])


def _grid() -> tuple[F32, F32]:
    """Return the texel centres in metres along u and v, each (ATLAS_SIZE, ATLAS_SIZE)."""
    at = (np.arange(ATLAS_SIZE, dtype=np.float32) + 0.5) / ATLAS_TEXELS_PER_M
    v, u = np.meshgrid(at, at, indexing="ij")
    return u, v


def _smooth(knots: F32, u: NDArray[Any], v: NDArray[Any]) -> NDArray[Any]:
    """Return noise between the knots (n, n) of a lattice that repeats, at ``u`` and ``v`` in knots."""
    cells = len(knots)
    left, top = np.floor(u), np.floor(v)
    s, t = u - left, v - top
    s, t = s * s * (3 - 2 * s), t * t * (3 - 2 * t)
    i, j = left.astype(np.int64) % cells, top.astype(np.int64) % cells
    i1, j1 = (i + 1) % cells, (j + 1) % cells
    low = knots[j, i] * (1 - s) + knots[j, i1] * s
    high = knots[j1, i] * (1 - s) + knots[j1, i1] * s
    return np.asarray(low * (1 - t) + high * t)


def _noise(rng: np.random.Generator, cells: int) -> F32:
    """Return a page of smooth noise in [0, 1] that tiles, with ``cells`` bumps along each side."""
    at = np.arange(ATLAS_SIZE, dtype=np.float32) * (cells / ATLAS_SIZE)
    v, u = np.meshgrid(at, at, indexing="ij")
    return _smooth(rng.random((cells, cells), dtype=np.float32), u, v).astype(np.float32)


def _checker(size_m: float) -> F32:
    """Return +1 and -1 squares of ``size_m``."""
    u, v = _grid()
    return (1 - 2 * (((u // size_m) + (v // size_m)) % 2)).astype(np.float32)


def _seams(period_m: float, width_m: float) -> F32:
    """Return 1 on lines of ``width_m`` around multiples of ``period_m``, else 0."""
    u, v = _grid()
    to_line = np.minimum(
        np.abs((u + period_m / 2) % period_m - period_m / 2), np.abs((v + period_m / 2) % period_m - period_m / 2)
    )
    lines: F32 = (to_line < width_m / 2).astype(np.float32)
    return lines


def _rings(count: float) -> F32:
    """Return diamonds around the cell centre as a wave in [-1, 1]."""
    u, v = _grid()
    away = (np.abs(u - 16) + np.abs(v - 16)) / 32
    return np.sign(np.sin(away * count * 2 * np.pi)).astype(np.float32)


def _pattern(look: Look, rng: np.random.Generator) -> F32:
    """Return the brightness of a look's page around 1, (S, S, 1) or (S, S, 3) where colour changes too."""
    grain = _noise(rng, 128) - 0.5
    patches = _noise(rng, 16) - 0.5
    white = np.ones(3, np.float32)
    shade: NDArray[Any]
    if look == Look.GRASS:
        shade = 1 + 0.07 * _checker(16) + 0.22 * grain + 0.16 * patches
    elif look == Look.ROAD:
        shade = 1 + 0.14 * grain + 0.10 * patches - 0.22 * _seams(32, 0.5) - 0.08 * _seams(8, 0.25)
    elif look == Look.PLATFORM:
        shade = 1 + 0.05 * grain + 0.05 * _checker(8) - 0.30 * _seams(16, 0.5) - 0.14 * _seams(4, 0.25)
    elif look == Look.DIRT:
        shade = 1 + 0.30 * grain + 0.30 * patches
    elif look == Look.KERB:
        red = np.array([0.22, 0.22, 0.95], np.float32)
        shade = np.where(_checker(4)[..., None] > 0, white, red) * (1 + 0.06 * grain[..., None])
    elif look == Look.FINISH:
        black = np.array([0.1, 0.1, 0.1], np.float32)
        bright = np.array([240 / 48, 240 / 44, 240 / 226], np.float32)
        shade = np.where(_checker(2)[..., None] > 0, bright, black)
    elif look == Look.TURBO:
        red = np.array([1.0, 0.35, 0.95], np.float32)
        shade = np.where(_rings(4)[..., None] > 0, white, red)
    elif look == Look.FREE_WHEELING:
        shade = np.where(_rings(4)[..., None] > 0, white, 0.45 * white)
    elif look in (Look.CHECKPOINT, Look.START):
        shade = 1 + 0.16 * _checker(4)
    elif look == Look.WALL:
        shade = 1 + 0.05 * grain - 0.25 * _seams(8, 0.5) + 0.06 * _checker(8)
    elif look == Look.WATER:
        shade = 1 + 0.25 * patches
    elif look == Look.MARKING:
        shade = 1 + 0.05 * grain
    else:
        shade = 1 + 0.10 * grain - 0.20 * _seams(8, 0.25)
    return np.asarray(shade, np.float32).reshape(ATLAS_SIZE, ATLAS_SIZE, -1)


def _clouds(rng: np.random.Generator, u: F64, v: F64) -> F64:
    """Return cloud cover 0..0.8 at points of the cloud layer, in units of its height."""
    cover = np.zeros_like(u)
    for fineness, weight in ((1.1, 0.42), (2.3, 0.28), (4.9, 0.18), (10.3, 0.12)):
        cover += weight * _smooth(rng.random((64, 64), dtype=np.float32), u * fineness, v * fineness)
    return np.clip((cover - 0.53) * 3.4, 0, 1) * 0.8


def _pack(color: NDArray[Any]) -> NDArray[np.uint32]:
    """Return colours (..., 3) blue, green, red as 0x00RRGGBB."""
    byte = np.clip(color + 0.5, 0, 255).astype(np.uint32)
    packed: NDArray[np.uint32] = byte @ np.array([1, 1 << 8, 1 << 16], np.uint32)
    return packed


def _levels(page: F32) -> NDArray[np.uint32]:
    """Return a page and its halved levels down to one texel, packed and joined, (ATLAS_PAGE,)."""
    parts = []
    level: F32 = page
    while True:
        parts.append(_pack(level).reshape(-1))
        if len(level) == 1:
            break
        level = (level[0::2, 0::2] + level[1::2, 0::2] + level[0::2, 1::2] + level[1::2, 1::2]) * np.float32(0.25)
    joined = np.concatenate(parts)
    if len(joined) != ATLAS_PAGE:
        raise AssertionError(f"a page has {len(joined)} texels, the kernel reads {ATLAS_PAGE}")
    return joined

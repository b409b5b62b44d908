"""How simulated pictures vary on purpose: colours, light, textures and a camera that is never quite in its place.

A policy that has seen one shade of grass only may fail on another. Everything here is drawn from a seed, and the
shaking of a camera depends on its car and its time alone, so that pictures are the same whatever else is drawn.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trackmaster.sim import Appearance
from trackmaster.sim.camera import CameraPose

_MIX: Final = np.uint64(0x9E3779B97F4A7C15)
_FIRST: Final = np.uint64(0xBF58476D1CE4E5B9)
_SECOND: Final = np.uint64(0x94D049BB133111EB)


@dataclass(frozen=True)
class Looks:
    """The drawn world of one environment."""

    appearance: Appearance | None = None
    """Colours, light and textures; the usual ones without it."""
    jitter_m: float = 0.0
    """Largest distance of a camera from its place, along each axis."""
    jitter_deg: float = 0.0
    """Largest turn of a camera about each axis."""
    seed: int = 0

    @property
    def shakes(self) -> bool:
        """Whether cameras are moved at all."""
        return self.jitter_m > 0 or self.jitter_deg > 0


def varied_appearance(seed: int, *, colors: float, light: float, textures: bool) -> Appearance:
    """Draw an appearance.

    Args:
        seed: of the draw.
        colors: 0 keeps every colour, 1 lets its brightness and tint vary by up to half of the scale.
        light: 0 keeps the light, 1 lets the sun stand anywhere above 20 degrees and its strength vary by a half.
        textures: whether grain and strength of the textures are drawn anew.
    """
    chance, usual = np.random.default_rng(seed), Appearance()

    def tinted(color: tuple[float, float, float]) -> tuple[float, float, float]:
        shift = 127.5 * colors * (chance.uniform(-0.7, 0.7) + chance.uniform(-0.3, 0.3, 3))
        blue, green, red = np.clip(np.asarray(color) + shift, 0, 255).tolist()
        return blue, green, red

    height, turn = np.radians(chance.uniform(20, 80)), chance.uniform(0, 2 * np.pi)
    anywhere = np.array([np.cos(height) * np.sin(turn), np.sin(height), np.cos(height) * np.cos(turn)])
    sun = (1 - light) * np.asarray(usual.sun, np.float64) + light * anywhere
    return Appearance(
        colors=tuple(tinted(color) for color in usual.colors),
        contrast=float(chance.uniform(0.4, 1.6)) if textures else usual.contrast,
        sun=(float(sun[0]), float(sun[1]), float(sun[2])),
        ambient=usual.ambient * (1 + light * chance.uniform(-0.5, 0.5)),
        diffuse=usual.diffuse * (1 + light * chance.uniform(-0.5, 0.5)),
        fog_color=tinted(usual.fog_color),
        zenith_color=tinted(usual.zenith_color),
        fog_start=usual.fog_start,
        texture_seed=int(chance.integers(1, 2**31)) if textures else usual.texture_seed,
    )


def shaken(pose: CameraPose, looks: Looks, cars: NDArray[np.integer], time_ms: NDArray[np.integer]) -> CameraPose:
    """Return cameras moved a little, each by numbers that only its car and its time decide.

    Args:
        pose: (N,) cameras.
        looks: how far.
        cars: (N,) numbers of the cars.
        time_ms: (N,) callback times.
    """
    drawn = _uniform(looks.seed, cars, time_ms)
    eye = pose.eye_m + looks.jitter_m * drawn[:, :3]
    angle = np.radians(looks.jitter_deg) * drawn[:, 3:]
    cos, sin, zero, one = np.cos(angle), np.sin(angle), np.zeros(len(angle)), np.ones(len(angle))
    about_left = np.array([[one, zero, zero], [zero, cos[:, 0], -sin[:, 0]], [zero, sin[:, 0], cos[:, 0]]])
    about_up = np.array([[cos[:, 1], zero, sin[:, 1]], [zero, one, zero], [-sin[:, 1], zero, cos[:, 1]]])
    about_forward = np.array([[cos[:, 2], -sin[:, 2], zero], [sin[:, 2], cos[:, 2], zero], [zero, zero, one]])
    turn = np.einsum("ijn,jkn,kln->nil", about_left, about_up, about_forward)
    return CameraPose(eye, np.einsum("nij,njk->nik", pose.rotation, turn), pose.fov_deg)


def _uniform(seed: int, cars: NDArray[np.integer], time_ms: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return (N, 6) numbers from -1 to 1 by a counter-based generator (splitmix64)."""
    with np.errstate(over="ignore"):
        key = np.multiply(np.uint64(seed), _FIRST) + cars.astype(np.uint64) * _SECOND + time_ms.astype(np.uint64)
        bits: NDArray[np.uint64] = key[:, None] * np.uint64(8) + np.arange(6, dtype=np.uint64)
        bits = (bits + _MIX) * _MIX
        bits = (bits ^ np.right_shift(bits, np.uint64(30))) * _FIRST
        bits = (bits ^ np.right_shift(bits, np.uint64(27))) * _SECOND
        bits = bits ^ np.right_shift(bits, np.uint64(31))
    shares: NDArray[np.float64] = np.right_shift(bits, np.uint64(11)).astype(np.float64)
    return shares * 2.0**-52 - 1.0

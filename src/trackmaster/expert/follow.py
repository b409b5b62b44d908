"""Drivers of random skill who follow a line in space: what an exploration tries from each place."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trackmaster.expert.driver import Keys
from trackmaster.sim import CarView
from trackmaster.track import ZoneMap

F64 = NDArray[np.float64]

_NO_LIMIT_MPS = 1e9
_ZONE_M = 0.5
_WANDER = 0.5


@dataclass(frozen=True, eq=False)
class Followers:
    """N drivers, one per row: how far ahead each looks, how fast it wants to be, how often its hand slips."""

    look_base_m: F64
    look_s: F64
    dead: F64
    """Sine of the angle to the aim below which it does not steer."""
    speed_mps: F64
    brake_margin_mps: F64
    aside_m: F64
    """Offset of the aim to the car's left."""
    slips: F64
    """Chance per decision of steering at random instead."""
    brakes: F64
    """Chance per decision of braking for no reason: it stops a nose that drops in a flight."""
    reverses: NDArray[np.bool_]
    wanders: NDArray[np.bool_]
    """These do not look at the line: one steering for long, full throttle mostly."""
    wandering: F64
    """How they steer."""

    @classmethod
    def draw(cls, random: np.random.Generator, n: int, wanderers: int = 0) -> "Followers":
        """Return n drivers, of which the last ones only wander about."""
        cautious = random.random(n) < 0.45
        return cls(
            look_base_m=random.uniform(2.0, 15.0, n),
            look_s=random.uniform(0.05, 0.8, n),
            dead=random.uniform(0.005, 0.12, n),
            speed_mps=np.where(cautious, random.uniform(6.0, 75.0, n), _NO_LIMIT_MPS),
            brake_margin_mps=random.uniform(0.5, 10.0, n),
            aside_m=np.where(random.random(n) < 0.5, random.uniform(-8.0, 8.0, n), 0.0),
            slips=random.choice([0.0, 0.1, 0.4, 0.8], n, p=[0.45, 0.3, 0.15, 0.1]),
            brakes=random.choice([0.0, 0.2, 0.9], n, p=[0.8, 0.1, 0.1]),
            reverses=random.random(n) < 0.02,
            wanders=(np.arange(n) >= n - wanderers) & (random.random(n) < _WANDER),
            wandering=random.integers(-1, 2, n).astype(np.float64),
        )

    def decide(self, view: CarView, zones: ZoneMap, zone: NDArray[np.int32], random: np.random.Generator) -> Keys:
        """Return the keys of one decision."""
        n = len(zone)
        speed = np.linalg.norm(view.velocity_mps, axis=1)
        ahead = ((self.look_base_m + self.look_s * speed) / _ZONE_M).astype(np.int64)
        aim = zones.centers[np.minimum(zone + ahead, len(zones.centers) - 1)]
        local = np.einsum("nij,ni->nj", view.rotation, aim - view.position_m)
        left = local[:, 0] + self.aside_m
        sine = left / np.maximum(np.hypot(left, local[:, 2]), 1e-6)
        steer = np.where(np.abs(sine) > self.dead, -np.sign(sine), 0.0)
        steer = np.where(local[:, 2] < 0, -np.sign(left), steer)
        steer = np.where(self.wanders, self.wandering, steer)
        steer = np.where(random.random(n) < self.slips, random.integers(-1, 2, n), steer)
        brake = (speed > self.speed_mps + self.brake_margin_mps) | (random.random(n) < self.brakes)
        gas = (speed < self.speed_mps) & ~brake
        steer = np.where(self.reverses, -steer, steer)
        return Keys(
            steer.astype(np.float32),
            (gas & ~self.reverses).astype(np.float32),
            (brake | self.reverses).astype(np.float32),
        )

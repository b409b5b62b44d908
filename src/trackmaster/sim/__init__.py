"""The embedded simulator: the Stadium car, batched worlds, cameras and pictures; one kernel source for CPU and GPU."""

import trackmaster.sim.warp_start  # noqa: F401  isort: split
from trackmaster.sim.errors import SimError
from trackmaster.sim.state import CarView, WorldState
from trackmaster.sim.world import World

__all__ = ["CarView", "SimError", "World", "WorldState"]

"""The embedded simulator: the Stadium car, batched worlds, cameras and pictures; one kernel source for CPU and GPU."""

import trackmaster.sim.warp_start  # noqa: F401  isort: split
from trackmaster.sim.appearance import Appearance
from trackmaster.sim.camera import CAMERA_1, CAMERA_2, CameraPose, CameraState, ChaseCamera, HoodCamera
from trackmaster.sim.errors import SimError
from trackmaster.sim.renderer import Renderer, RenderError
from trackmaster.sim.state import CarView, WorldState, view_of
from trackmaster.sim.world import World

__all__ = [
    "CAMERA_1",
    "CAMERA_2",
    "Appearance",
    "CameraPose",
    "CameraState",
    "CarView",
    "ChaseCamera",
    "HoodCamera",
    "RenderError",
    "Renderer",
    "SimError",
    "World",
    "WorldState",
    "view_of",
]

"""Replays become verified, labelled frames, by placing the car on the ghost or by driving its inputs."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from trackmaster.capture.config import CaptureConfig
from trackmaster.capture.errors import CaptureError, ReplayRejectedError
from trackmaster.capture.plan import planned_ticks

if TYPE_CHECKING:
    from trackmaster.capture.run import CaptureSummary, capture, run_capture

_ON_FIRST_USE = ("CaptureSummary", "capture", "run_capture")


def __getattr__(name: str) -> Any:
    """Import what needs the simulator when it is asked for, so that ``--help`` stays quick."""
    if name not in _ON_FIRST_USE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("trackmaster.capture.run"), name)


__all__ = [
    "CaptureConfig",
    "CaptureError",
    "CaptureSummary",
    "ReplayRejectedError",
    "capture",
    "planned_ticks",
    "run_capture",
]

"""What a map *is* for a driver: surfaces, start, gates, coverage, reference line and progress."""

from trackmaster.track.coverage import Coverage
from trackmaster.track.errors import TrackError
from trackmaster.track.mesh import TriangleMesh
from trackmaster.track.pose import Pose, Trigger, TriggerKind
from trackmaster.track.reference_line import (
    LineInfo,
    ReferenceLine,
    build_reference_line,
    line_from_path,
    line_of_ghost,
    vcp_name,
)
from trackmaster.track.surface import Look, Material
from trackmaster.track.track import Track
from trackmaster.track.zones import ZoneMap, gate_points

__all__ = [
    "Coverage",
    "LineInfo",
    "Look",
    "Material",
    "Pose",
    "ReferenceLine",
    "Track",
    "TrackError",
    "TriangleMesh",
    "Trigger",
    "TriggerKind",
    "ZoneMap",
    "build_reference_line",
    "gate_points",
    "line_from_path",
    "line_of_ghost",
    "vcp_name",
]

"""The arches over checkpoints and finishes: drawn, never touched."""

from trackmaster.track.catalogue import Waypoint
from trackmaster.track.mesh import Patch
from trackmaster.track.pose import TriggerKind
from trackmaster.track.shapes import Finish, box
from trackmaster.track.surface import Look, Material

_HALF_WIDTH_M, _POST_M, _CLEARANCE_M, _BEAM_M = 13.2, 0.5, 6.0, 1.2
_LOOKS = {TriggerKind.CHECKPOINT: Look.CHECKPOINT, TriggerKind.FINISH: Look.FINISH}


def arch(gate: Waypoint) -> list[Patch]:
    """Return two posts and a beam across the middle of the block, in the block's frame (our own design)."""
    finish = Finish(Material.NOT_COLLIDABLE, _LOOKS[gate.kind])
    low, high = gate.surface_m, gate.surface_m + _CLEARANCE_M
    left, right, front, back = 16 + _HALF_WIDTH_M, 16 - _HALF_WIDTH_M, 16 - _POST_M, 16 + _POST_M
    boxes = (
        ((left - _POST_M, low, front), (left + _POST_M, high, back)),
        ((right - _POST_M, low, front), (right + _POST_M, high, back)),
        ((right - _POST_M, high, front), (left + _POST_M, high + _BEAM_M, back)),
    )
    return [patch for lower, upper in boxes for patch in box(lower, upper, finish, collidable=False)]

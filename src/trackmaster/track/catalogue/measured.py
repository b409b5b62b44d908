"""Heights, widths and gate planes of Stadium blocks, each with the way we know it."""

GRASS_M = 9.0
"""World height of the grass (measured: car origin rests at 8y + 1.05 on it; one plane for the whole map)."""

ROAD_SURFACE_M = 1.345
"""Road surface over the floor of its block (measured, 36 ghosts)."""

PLATFORM_TOP_M = 8.0
"""Platform surface over the floor of its block (measured, exact)."""

START_PAD_M = 2.0
"""Surface of the pad under the start line (measured: the wheels of a spawned car just touch it)."""

START_BEHIND_M, START_HEIGHT_M = 4.80, 2.21
"""Spawn of ``RoadMainStartLine``: behind the centre, origin over the floor (measured, 36 ghosts)."""

START_FINISH_BEHIND_M, START_FINISH_HEIGHT_M = 12.30, 1.57
"""Spawn of ``RoadMainStartFinishLine`` (measured, one ghost)."""

CHECKPOINT_PLANE_M = 2.43
"""Car origin before the block centre when a road or platform checkpoint counts (measured, 83 passes, +-0.02)."""

DIRT_CHECKPOINT_PLANE_M = 2.33
"""The same on dirt (measured, 17 passes, +-0.05)."""

FINISH_PLANE_M = 6.41
"""Car origin before the block centre when the finish counts (measured, 20 passes, +-0.02)."""

ROAD_RESPAWN_OVER_SURFACE_M = 0.225
"""Origin over a road surface after a respawn (measured); on platforms it is zero."""

ASPHALT_HALF_WIDTH_M = 12.0
"""Half width of the flat asphalt of RoadMain (assumed)."""

KERB_TOP_OFFSET_M, KERB_HEIGHT_M = 13.5, 0.5
"""Where the rubber kerb ends and how high it has risen there (assumed)."""

ROAD_OUTER_OFFSET_M = 15.0
"""Half width of the whole road body (assumed)."""

ROAD_BODY_BOTTOM_M = 0.0
"""Underside of the road body over the floor of its block (assumed)."""

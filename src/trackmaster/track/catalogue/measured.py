"""Heights, widths and gate planes of Stadium blocks, each with the way we know it.

"Measured" means: read off the wheel contacts of real ghosts (hub rest point, damper, wheel radius, material under the
wheel) in the frame of the block; single points scatter by about 1 cm. "Assumed" means that no ghost told us.
"""

GRASS_M = 9.0
"""World height of the grass (measured; one plane for the whole map)."""

ROAD_SURFACE_M = 1.345
"""Road surface over the floor of its block (measured, 20 000 contacts)."""

ASPHALT_HALF_WIDTH_M = 10.48
"""Half width of the asphalt of RoadMain: beyond it runs the kerb (measured, +-0.03)."""

KERB_FLANK_M, KERB_TOP_M, KERB_HEIGHT_M = 0.04, 0.24, 0.028
"""Rubber kerb: width of a flank, width of its top, height (measured, 71 contacts, +-0.01 in height)."""

WALL_OFFSET_M = 12.6
"""Inner face of the barrier (measured: no wheel centre was ever further out than 12.41, wheels are 0.182 half wide)."""

WALL_HEIGHT_M = 0.8
"""Barrier over the road surface (assumed: no ghost touched its top)."""

ROAD_OUTER_OFFSET_M = 13.6
"""Half width of the whole road body (assumed)."""

ROAD_BODY_BOTTOM_M = 0.0
"""Underside of the road body over the floor of its block (assumed)."""

START_ROAD_BEGINS_M = 4.0
"""Where the road of a start block begins, from its back side (measured: after 3.0, before 5.7)."""

START_PAD_M = 2.0
"""Top of the pad under the start line (measured)."""

START_PAD_HALF_WIDTH_M = 2.2
"""Half width of that pad (measured: more than 1.97, less than 2.36)."""

START_PAD_BEGIN_M, START_PAD_FALL_M, START_PAD_END_M = 7.4, 16.0, 28.0
"""The pad begins, starts to fall and reaches the road at these distances from the back side (measured, +-0.3)."""

FINISH_ROAD_ENDS_M, FINISH_METAL_M = 19.9, 17.0
"""Road of a finish block: where it ends and where its asphalt turns to metal (measured, +-0.3)."""

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

PLATFORM_TOP_M = 8.0
"""Platform surface over the floor of its block (measured, exact)."""

PLATFORM_THICKNESS_M = 2.0
"""Depth of a platform that stands free (assumed)."""

DIRT_SURFACE_M = -0.3
"""Dirt road surface over the floor of its block, on average (measured: -0.6 in the middle, rising to the sides)."""

DEAD_END_RAMP = ((0.0, 0.98), (13.0, 1.0), (14.5, 1.065), (17.0, 1.178), (19.0, 1.237), (21.5, 1.297), (24.0, 1.345))
"""Height of the ramp with which a dead end of RoadMain leaves the ground (measured, 92 contacts)."""

BI_SLOPE_RISE = tuple((z, 8.0 * (z / 64) ** 2) for z in range(0, 65, 4))
"""BiSlopeStart over 64 m: a parabola (measured, 150 contacts, residual below 0.13)."""

SLOPE_2_RISE = (
    (0, 0.0), (2, 0.18), (4, 0.65), (6, 1.3), (8, 2.3), (10, 3.85), (12, 5.0), (14, 6.2), (16, 7.95), (18, 9.8),
    (20, 11.3), (22, 12.6), (24, 13.7), (26, 14.7), (28, 15.4), (30, 15.85), (32, 16.0),
)
"""RoadMainSlopeBase2 over 32 m (measured, 171 contacts, +-0.2)."""

SLOPE_BASE_RISE = tuple((z, 8.0 * (3 - 2 * z / 32) * (z / 32) ** 2) for z in range(0, 33, 2))
"""RoadMainSlopeBase over 32 m: smooth at both ends (assumed; two contacts agree within 0.2)."""

SLOPE_STRAIGHT_RISE = ((0, 0.0), (32, 8.0))
"""RoadMainSlopeStraight and the checkpoints and boosters of its kind (measured, 229 contacts, +-0.15)."""

SLOPE_U_RISE = tuple((z, 1.985 * (1 - ((z - 16) / 16) ** 2)) for z in range(0, 33, 2))
"""RoadMainSlopeUTop over its ends; UBottom is the same downwards (measured, 61 contacts, +-0.08)."""

CIRCUIT_SLOPE_RISE = (
    (0, 0.0), (3, 0.015), (5, 0.07), (7, 0.19), (9, 0.36), (11, 0.69), (13, 1.05), (15, 1.52), (17, 1.97), (19, 2.5),
    (21, 3.13), (23, 3.93), (25, 4.72), (27, 5.6), (29, 6.42), (31, 7.45), (32, 8.0),
)
"""CircuitSlopeStart over 32 m, and CircuitSlopeEnd turned around (measured, 270 contacts, +-0.2)."""

CIRCUIT_SLOPE_STRAIGHT_RISE = ((0, 0.0), (32, 16.0))
"""CircuitSlopeStraight over 32 m (measured, two contacts within 0.4, and its neighbours' end slopes)."""

PLATFORM_TO_ROAD_RISE = (
    (0, 0.0), (3, 0.012), (5, 0.04), (7, 0.1), (9, 0.18), (11, 0.31), (13, 0.44), (15, 0.6), (17, 0.75), (19, 0.92),
    (21, 1.06), (23, 1.19), (25, 1.265), (27, 1.315), (29, 1.337), (31, 1.345), (32, 1.345),
)
"""PlatformToRoadMain: from the platform to the road one level higher (measured, 78 contacts, +-0.03)."""

BORDER_RUBBER_M = 4.7
"""Width of the rubber between a circuit border's barrier and the platform (measured on CircuitBorderCornerIn, 105
contacts on rubber between 27.51 and 31.99 m from the corner, asphalt beyond; +-0.02)."""

BORDER_WALL_THICKNESS_M = 1.0
"""Thickness of that barrier (assumed)."""

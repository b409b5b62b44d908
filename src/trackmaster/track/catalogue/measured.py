"""Heights, widths and gate planes of Stadium blocks, each with the way we know it.

"Measured" means: read off the wheel contacts of real ghosts (hub rest point, damper, wheel radius, material under the
wheel) in the frame of the block; single points scatter by about 1 cm. "Assumed" means that no ghost told us.
"""

GRASS_M = 9.0
"""World height of the grass (measured; one plane for the whole map)."""

ROAD_SURFACE_M = 1.3448
"""Road surface over the floor of its block (measured on 18 race starts: with 1.345 all cars drive 0.2 mm too high)."""

ASPHALT_HALF_WIDTH_M = 10.4573
"""Half width of the asphalt of RoadMain: beyond it runs the kerb (driven, +-0.002; a wheel meets the steep foot of the
kerb while its middle is still 0.04 m inside of it)."""

KERB_M = ((0.0, 0.0), (0.0267, 0.014), (0.1613, 0.0242), (0.3139, 0.0319), (0.3772, 0.0))
"""Section of the rubber kerb: distance from the asphalt's edge, height (driven on 16 crossings at once: +-0.002 and
+-0.0003 at the foot, +-0.005 and +-0.0003 at the top, +-0.01 at the outer edge)."""

CURVE_KERB_M = ((0.0, 0.0), (0.0331, 0.0167), (0.1854, 0.0244), (0.2329, 0.028), (0.3122, 0.0319), (0.4107, 0.0))
"""The same of curves (driven on 13 crossings of curves of 3 and 5 cells at once; on 28 windows over straights that had
no part in it, it is no better than the other one)."""

WALL_OFFSET_M = 12.64
"""Inner face of the barrier (measured: a wheel's outside passed at 12.614 without a hit, in a hit it was at 12.667)."""

WALL_HEIGHT_M = 0.8
"""Barrier over the road surface (assumed: no ghost touched its top)."""

ROAD_OUTER_OFFSET_M = 13.6
"""Half width of the whole road body (assumed)."""

ROAD_BODY_BOTTOM_M = 0.0
"""Underside of the road body over the floor of its block (assumed)."""

BANK = 0.25
"""Slope of the plane that tilted curves climb (8 m per 32 m)."""

CROSS_SLOPE = 0.2512
"""Sideways slope of tilted roads (measured by driving on them: +-0.0004)."""

TILTED_FLOOR_M = 4.0 - 0.019
"""Floor under the middle of a tilted road (measured by driving on it: surface at 5.3258, +-0.001)."""

END_LIP_M = 1.85
"""How far the metal lip of a road that ends in the air reaches beyond the block (measured on three cars that take off
from it, known to 0.1 mm: 0.4 s later they are 0.2 mm from their ghosts, with 1.845 and 1.855 m 0.5 mm, with 1.83 m 15
mm; level)."""

END_LIP_THICKNESS_M = 0.3
"""Thickness of that lip (assumed)."""

START_ROAD_BEGINS_M = 4.0
"""Where the road of a start block begins, from its back side (measured: after 3.0, before 5.7)."""

START_PAD_M = 2.0
"""Top of the pad under the start line (measured)."""

START_PAD_HALF_WIDTH_M = 2.0
"""Half width of that pad (measured: three starts that leave it sideways, +-0.05)."""

START_PAD_BEGIN_M, START_PAD_FALL_M, START_PAD_END_M = 7.4, 16.0, 27.817
"""The pad begins, starts to fall and reaches the road at these distances from the back side (the last two measured on
17 race starts: with them the cars are 0.2 mm from the ghosts behind the pad, +-0.005; the first +-0.3)."""

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

RESPAWN_OVER_SURFACE_M = 0.2252
"""Origin over a road surface after a respawn (measured); on platforms it is zero."""

PLATFORM_TOP_M = 8.0
"""Platform surface over the floor of its block (measured, exact)."""

PLATFORM_THICKNESS_M = 2.0
"""Depth of a platform that stands free (assumed)."""

DIRT_SURFACE_M = -0.605
"""Middle of a dirt road over the floor of its block (measured, 750 contacts, +-0.02: the game shakes wheels there)."""

DIRT_BANK_M = 1.05
"""A road along the side of a hill, halfway between the two columns it fills (measured, +-0.2)."""

BORDER_RUBBER_M = 4.7
"""Width of the rubber between a circuit border's barrier and the platform (measured on CircuitBorderCornerIn, 105
contacts on rubber between 27.51 and 31.99 m from the corner, asphalt beyond; +-0.02)."""

BORDER_WALL_THICKNESS_M = 1.0
"""Thickness of that barrier (assumed)."""

DIRT_PLANE_M = 9.0
"""Flat dirt over the floor of its block (measured, 333 contacts, +-0.01); roads of dirt stand one level higher."""

GRASS_OVER_FLOOR_M = 1.0
"""Grass over the floor of a block on ground level 1."""

WATER_SURFACE_M, POOL_FLOOR_M = 8.0, 2.0
"""World heights of water and of the floor under it (measured)."""

BRIDGE_DECK_M = 15.795
"""Deck of ``SculptBridgeStraightSmall`` over the floor of its block (measured, 9 contacts, +-0.01)."""

"""Names of blocks that nobody drives on: decoration, supports and invisible fillers.

A name stands here only if no ghost at hand has a wheel on it that no other block explains. Everything else that the
catalogue does not know counts as drivable and is named when a map is refused.
"""

# A wheel in the cell of a clip stands on the lip of the road that ends in front of it (placement.lips_of).
_CLIPS = ("DirtClip", "GrassClip", "WaterClip")
_TUBES = (
    "Tube",
    "TubePillar",
    "TubePillarBranch",
    "TubePillarCap",
    "TubeV1",
    "TubeV4",
    "TubeV8",
    "TubeRoad",
    "TubeRoadCross",
    "TubeRoadDown",
    "TubeRoadLightSystem",
    "TubeRoadSoundSystem",
    "TubeRoadUp",
)
_INFLATABLES = (
    "InflatableAdvert",
    "InflatableCactus",
    "InflatableCastle",
    "InflatableCastleBig",
    "InflatableCastleDoor",
    "InflatablePalmTree",
    "InflatablePillar",
    "InflatableSnowTree",
    "InflatableSupport",
    "InflatableTube",
)
_FABRICS = (
    "FabricCornerIn",
    "FabricCornerOut",
    "FabricCross1x1",
    "FabricCross3x3Screen",
    "FabricPillarAir",
    "FabricPillarAirScreen",
    "FabricPillarCornerInAir",
    "FabricPillarCornerOut",
    "FabricStraight1x1",
)
_SCULPTURES = (
    "SculptA",
    "SculptArchRingEnd",
    "SculptArchRingEndMirror",
    "SculptArchRingStart",
    "SculptArchRingStartMirror",
    "SculptB",
    "SculptC",
    "SculptBridgePillar",
    "SculptBridgePillarMirror",
    "SculptBridgeSlopeEnd",
    "SculptBridgeSlopeEndMirror",
    "SculptBridgeSlopeStart",
    "SculptBridgeSlopeStartMirror",
    "SculptBridgeStraight",
    "SculptBridgeSuspendSlope2",
    "SculptBridgeSuspendSlope2Mirror",
    "SculptBridgeSuspendSlopeEnd",
    "SculptBridgeSuspendSlopeEndMirror",
)
_STADIUM = (
    "Airship",
    "ControlCameraPub",
    "ControlLight",
    "ControlLightBase",
    "DirtDeadendDoor",
    "DirtDeadendSpot",
    "DirtDeadendTent1",
)

SCENERY = frozenset(f"Stadium{name}" for name in _CLIPS + _TUBES + _INFLATABLES + _FABRICS + _SCULPTURES + _STADIUM)
"""Block names without collision."""

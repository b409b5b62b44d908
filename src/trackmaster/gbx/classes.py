"""Class ids: the TMU-era numbers and the ones of later games that name the same classes.

Source: the class id table of the GBX community documentation; only the classes a map, replay or ghost can hold.
"""

CHALLENGE = 0x03043000
REPLAY = 0x03093000
GHOST = 0x03092000
MOTION_GHOST = 0x0303F000
PARAMETERS = 0x0305B000
COLLECTOR_LIST = 0x0301B000
BLOCK_SKIN = 0x03059000
CLIP = 0x03079000
CLIP_GROUP = 0x0307A000
MEDIA_TRACK = 0x03078000
EVENTS = 0x2407F000
EFFECT = 0x07010000
UNLIMITER = 0x3F001000

CLASS_MASK = 0xFFFFF000

_OLD_TO_NEW = {
    0x24003000: CHALLENGE,
    0x2407E000: REPLAY,
    0x2403F000: REPLAY,
    0x2401B000: GHOST,
    0x2400C000: PARAMETERS,
    0x2403C000: COLLECTOR_LIST,
    0x2403A000: BLOCK_SKIN,
    0x24076000: CLIP,
    0x24077000: CLIP_GROUP,
    0x24061000: MEDIA_TRACK,
    0x24062000: MEDIA_TRACK,
    0x24067000: 0x030A2000,
    0x2407A000: 0x030A1000,
    0x24070000: 0x030A0000,
    0x2406D000: 0x03084000,
    0x24068000: 0x030A8000,
    0x24081000: 0x030A5000,
    0x2406F000: 0x030A7000,
    0x24089000: 0x030A6000,
    0x24083000: 0x030AB000,
    0x24088000: 0x030A4000,
    0x24066000: 0x03085000,
    0x24075000: 0x030A9000,
    0x2405A000: 0x03080000,
    0x2405F000: 0x03081000,
    0x2406B000: 0x03082000,
    0x240CF000: 0x03083000,
    0x24091000: 0x0307D000,
    0x24095000: 0x03095000,
}

NAMES = {
    CHALLENGE: "map",
    REPLAY: "replay",
    GHOST: "ghost",
    CLIP: "MediaTracker clip",
    CLIP_GROUP: "MediaTracker clip group",
    COLLECTOR_LIST: "block collection",
}


def modern_id(raw_id: int) -> int:
    """Return the class or chunk id under the number that TMF and later games use for it."""
    new = _OLD_TO_NEW.get(raw_id & CLASS_MASK)
    return raw_id if new is None else new | (raw_id & 0xFFF)


def class_name(class_id: int) -> str:
    """Return a readable name of a class, or its number."""
    return NAMES.get(modern_id(class_id), f"node of class {class_id:#010x}")

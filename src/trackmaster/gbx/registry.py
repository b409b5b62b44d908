"""Which class of node is read how."""

from trackmaster.gbx.classes import CHALLENGE, EVENTS, GHOST, REPLAY
from trackmaster.gbx.nodes import NodeType
from trackmaster.gbx.nodes_challenge import CHALLENGE_PART_TYPES, CHALLENGE_TYPE
from trackmaster.gbx.nodes_ghost import GHOST_TYPE
from trackmaster.gbx.nodes_media import MEDIA_TYPES
from trackmaster.gbx.nodes_replay import EVENTS_TYPE, REPLAY_TYPE

REGISTRY: dict[int, NodeType] = {
    CHALLENGE: CHALLENGE_TYPE,
    REPLAY: REPLAY_TYPE,
    GHOST: GHOST_TYPE,
    EVENTS: EVENTS_TYPE,
    **CHALLENGE_PART_TYPES,
    **MEDIA_TYPES,
}

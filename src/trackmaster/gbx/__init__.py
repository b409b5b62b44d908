"""Reading and writing .Gbx files of the TMF era, and the inputs inside them as events, ticks and scripts."""

from trackmaster.gbx.block import Block
from trackmaster.gbx.commands import Command, Control, commands_from_events, events_from_commands
from trackmaster.gbx.errors import GbxError, ScriptError
from trackmaster.gbx.events import ControlEvents
from trackmaster.gbx.models import (
    Challenge,
    ChallengeHeader,
    Ghost,
    MediaBlock,
    MediaClip,
    MediaClipGroup,
    MediaTrack,
    MediaTrigger,
    Medals,
    Replay,
    ReplayHeader,
)
from trackmaster.gbx.reading import read, read_challenge, read_header, read_replay
from trackmaster.gbx.reader import FileReference, Ident
from trackmaster.gbx.samples import GhostSamples
from trackmaster.gbx.script import from_script, script_commands, to_script
from trackmaster.gbx.timeline import ACTION_BITS, ACTION_KEYS, InputTimeline

__all__ = [
    "ACTION_BITS",
    "ACTION_KEYS",
    "Block",
    "Challenge",
    "ChallengeHeader",
    "Command",
    "Control",
    "ControlEvents",
    "FileReference",
    "GbxError",
    "Ghost",
    "GhostSamples",
    "Ident",
    "InputTimeline",
    "MediaBlock",
    "MediaClip",
    "MediaClipGroup",
    "MediaTrack",
    "MediaTrigger",
    "Medals",
    "Replay",
    "ReplayHeader",
    "ScriptError",
    "commands_from_events",
    "events_from_commands",
    "from_script",
    "read",
    "read_challenge",
    "read_header",
    "read_replay",
    "script_commands",
    "to_script",
]

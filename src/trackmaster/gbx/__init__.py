"""Reading and writing .Gbx files of the TMF era, and the inputs inside them as events, ticks and scripts."""

from trackmaster.gbx.block import Block, BlockSkin
from trackmaster.gbx.commands import Command, Control, commands_from_events, events_from_commands
from trackmaster.gbx.encode import make_samples
from trackmaster.gbx.errors import GbxError, ScriptError, TimelineError, WriteError
from trackmaster.gbx.events import ControlEvents
from trackmaster.gbx.find import find_gbx_files, find_maps
from trackmaster.gbx.models import (
    Challenge,
    ChallengeHeader,
    Ghost,
    Medals,
    MediaBlock,
    MediaClip,
    MediaClipGroup,
    MediaTrack,
    MediaTrigger,
    Replay,
    ReplayHeader,
)
from trackmaster.gbx.reader import FileReference, Ident
from trackmaster.gbx.reading import read, read_challenge, read_header, read_replay
from trackmaster.gbx.samples import GhostSamples
from trackmaster.gbx.script import from_script, script_commands, to_script
from trackmaster.gbx.strip import strip_intro_clips
from trackmaster.gbx.text import plain_text, printable
from trackmaster.gbx.timeline import ACTION_BITS, ACTION_KEYS, ControlState, InputTimeline
from trackmaster.gbx.write_challenge import make_uid, write_challenge
from trackmaster.gbx.write_ghost import write_ghost, write_replay

__all__ = [
    "ACTION_BITS",
    "ACTION_KEYS",
    "Block",
    "BlockSkin",
    "Challenge",
    "ChallengeHeader",
    "Command",
    "Control",
    "ControlEvents",
    "ControlState",
    "FileReference",
    "GbxError",
    "Ghost",
    "GhostSamples",
    "Ident",
    "InputTimeline",
    "Medals",
    "MediaBlock",
    "MediaClip",
    "MediaClipGroup",
    "MediaTrack",
    "MediaTrigger",
    "Replay",
    "ReplayHeader",
    "ScriptError",
    "TimelineError",
    "WriteError",
    "commands_from_events",
    "events_from_commands",
    "find_gbx_files",
    "find_maps",
    "from_script",
    "make_samples",
    "make_uid",
    "plain_text",
    "printable",
    "read",
    "read_challenge",
    "read_header",
    "read_replay",
    "script_commands",
    "strip_intro_clips",
    "to_script",
    "write_challenge",
    "write_ghost",
    "write_replay",
]

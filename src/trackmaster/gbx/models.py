"""What reading a file returns: frozen records of maps, replays, ghosts and MediaTracker clips."""

from dataclasses import dataclass
from pathlib import Path

from trackmaster.gbx.block import Block
from trackmaster.gbx.events import ControlEvents
from trackmaster.gbx.reader import NO_IDENT, FileReference, Ident
from trackmaster.gbx.samples import GhostSamples

MODES = ("race", "platform", "puzzle", "crazy", "shortcut", "stunts")
"""Names of ``Challenge.mode``."""

STADIUM_CAR = Ident("StadiumCar", "Vehicles", "Nadeo")
NO_TIPS = ("", "", "", "")
NO_SKIN_FILES = (FileReference(""), FileReference(""))


@dataclass(frozen=True, slots=True)
class Medals:
    """Times to beat, in ms; None where the author left one out."""

    bronze_ms: int | None = None
    silver_ms: int | None = None
    gold_ms: int | None = None
    author_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Ghost:
    """One recorded drive.

    Attributes:
        race_time_ms: finish time; None if the run was not finished.
        respawns: how often the driver went back to a checkpoint; -1 if unknown.
        cp_times_ms: time at each checkpoint in driving order, the finish last; laps repeat. (-1,) if unfinished.
        nickname: with its $-codes.
        login: account of the driver.
        car: model, e.g. ``StadiumCar``.
        uid: of the ghost.
        samples: the car's state every 100 ms, or None.
        events: the driver's inputs, or None (unfinished runs and decor ghosts have none).
        cp_stunt_scores: stunt score at each entry of ``cp_times_ms``.
        stunt_score: of the whole run.
        light_trail_colour: red, green, blue from 0 to 1.
        vehicle: car with collection and author.
        skin_files: car skin and horn; empty references stand for the standard ones.
        avatar: path of the driver's picture.
        inputs_duration_ms: time over which inputs were recorded; 0 without inputs.
        game_version: of the program that recorded it.
        game_checksum: of that program.
        race_settings: XML fragment with the mode's settings.
    """

    race_time_ms: int | None = None
    respawns: int = 0
    cp_times_ms: tuple[int, ...] = ()
    nickname: str = ""
    login: str = ""
    car: str = "StadiumCar"
    uid: str = ""
    samples: GhostSamples | None = None
    events: ControlEvents | None = None
    cp_stunt_scores: tuple[int, ...] = ()
    stunt_score: int = 0
    light_trail_colour: tuple[float, ...] = (1.0, 0.0, 0.0)
    vehicle: Ident = STADIUM_CAR
    skin_files: tuple[FileReference, ...] = NO_SKIN_FILES
    avatar: str = ""
    inputs_duration_ms: int = 0
    game_version: str = ""
    game_checksum: int = 0
    race_settings: str = ""

    @property
    def has_respawn(self) -> bool:
        """Whether the driver respawned, by the counter or by a Respawn press during the race."""
        return self.respawns > 0 or (self.events is not None and self.events.respawn_presses(self.race_time_ms) > 0)


@dataclass(frozen=True, slots=True)
class MediaBlock:
    """One MediaTracker block: a camera, a fade, a text, a ghost ...

    Attributes:
        class_id: which kind of block it is.
        start_s, end_s: when it shows; None if it has no times of its own.
        text: of a text block.
        ghost: of a ghost block.
    """

    class_id: int
    start_s: float | None
    end_s: float | None
    text: str = ""
    ghost: Ghost | None = None


@dataclass(frozen=True, slots=True)
class MediaTrack:
    """A row of MediaTracker blocks."""

    name: str
    blocks: tuple[MediaBlock, ...]
    is_keep_playing: bool = False


@dataclass(frozen=True, slots=True)
class MediaClip:
    """A MediaTracker clip."""

    name: str
    tracks: tuple[MediaTrack, ...]

    @property
    def duration_s(self) -> float:
        """Latest end of any block of any track; 0 for an empty clip."""
        return max((b.end_s for t in self.tracks for b in t.blocks if b.end_s is not None), default=0.0)

    @property
    def ghosts(self) -> tuple[Ghost, ...]:
        """Ghosts of the clip's ghost blocks, in order, each once."""
        found = {id(b.ghost): b.ghost for t in self.tracks for b in t.blocks if b.ghost is not None}
        return tuple(found.values())


@dataclass(frozen=True, slots=True)
class MediaTrigger:
    """When a clip of a group plays: where the car is, and under which condition."""

    cells: tuple[tuple[int, int, int], ...]
    condition: int = 0
    value: float = 0.0


@dataclass(frozen=True, slots=True)
class MediaClipGroup:
    """Clips that play when the car meets their triggers (one trigger per clip)."""

    clips: tuple[MediaClip, ...]
    triggers: tuple[MediaTrigger, ...]


@dataclass(frozen=True, slots=True)
class ChallengeHeader:
    """What a map says about itself in front of its body.

    Attributes:
        uid, name, author, environment: of the map; the author as login.
        mood: Sunrise, Day, Sunset or Night.
        medals: times to beat.
        is_multilap: whether the race has several laps.
        laps: how many, if the header's XML says so.
        mode: index into ``MODES``.
        cost: in coppers.
        author_score: stunt or platform score of the author.
        kind: how the map came to be (8 = made by a player).
        is_locked: whether a password protects it.
        comments: by the author.
        thumbnail_jpeg: picture, stored upside down; None if there is none.
        game_version: of the program that saved it, e.g. ``2.11.26``.
        xml: the header's XML text.
    """

    uid: str = ""
    name: str = ""
    author: str = ""
    environment: str = ""
    mood: str = ""
    medals: Medals = Medals()
    is_multilap: bool = False
    laps: int | None = None
    mode: int = 0
    cost: int = 0
    author_score: int = 0
    kind: int = 8
    is_locked: bool = False
    comments: str = ""
    thumbnail_jpeg: bytes | None = None
    game_version: str = ""
    xml: str = ""


@dataclass(frozen=True, slots=True)
class ReplayHeader:
    """What a replay says about itself in front of its body.

    Attributes:
        map_uid, environment, map_author: of the map driven.
        race_time_ms: best time; None if unfinished.
        nickname, login: of the driver; empty if unfinished.
        respawns: None if not stated.
        stunt_score: None if not stated.
        is_validable: whether the game would validate the run; None if not stated.
        game_version: of the program that saved it.
        xml: the header's XML text.
    """

    map_uid: str = ""
    environment: str = ""
    map_author: str = ""
    race_time_ms: int | None = None
    nickname: str = ""
    login: str = ""
    respawns: int | None = None
    stunt_score: int | None = None
    is_validable: bool | None = None
    game_version: str = ""
    xml: str = ""


@dataclass(frozen=True, slots=True)
class Challenge:
    """A map.

    Attributes:
        uid, name, author, environment: of the map; the author as login, the name with its $-codes.
        mood: Sunrise, Day, Sunset or Night.
        size: cells along x, y, z.
        blocks: in file order.
        medals: times to beat.
        laps: number of laps; the game stores 3 even where ``is_multilap`` is false.
        is_multilap: whether ``laps`` counts.
        mode: index into ``MODES``.
        intro_clip: plays before the start; None on most maps.
        ingame_clips, endrace_clips, ambient_clip: other MediaTracker clips.
        is_unlimiter: the map needs the TMUnlimiter mod: blocks may stand off the grid.
        has_password: whether editing is protected.
        cp_cells: cells of the checkpoints as stored.
        vehicle: car other than the environment's, usually empty.
        time_limit_ms: of platform and stunt maps.
        mod, music: files the map asks for.
        comments: by the author.
        header: the header's own statements (thumbnail, cost, game version ...); None if the file has none.
        tips: four texts for the driver; empty on most maps.
        inventory: blocks that a puzzle map offers the driver to build with, and how many of each.
        kind: how the map came to be, as the body says (8 = made by a player).
        picture_camera: 61 bytes, as stored: where the map's picture was taken from; None for the standard view.
        is_simple_editor: whether it was made in the editor for beginners.
    """

    uid: str
    name: str
    author: str = ""
    environment: str = "Stadium"
    mood: str = "Day"
    size: tuple[int, int, int] = (32, 32, 32)
    blocks: tuple[Block, ...] = ()
    medals: Medals = Medals()
    laps: int = 3
    is_multilap: bool = False
    mode: int = 0
    intro_clip: MediaClip | None = None
    ingame_clips: MediaClipGroup | None = None
    endrace_clips: MediaClipGroup | None = None
    ambient_clip: MediaClip | None = None
    is_unlimiter: bool = False
    has_password: bool = False
    cp_cells: tuple[tuple[int, int, int], ...] = ()
    vehicle: Ident = NO_IDENT
    time_limit_ms: int = 60_000
    author_score: int = 0
    mod: FileReference | None = None
    music: FileReference | None = None
    comments: str = ""
    header: ChallengeHeader | None = None
    tips: tuple[str, ...] = NO_TIPS
    inventory: tuple[tuple[Ident, int], ...] = ()
    kind: int = 8
    picture_camera: bytes | None = None
    is_simple_editor: bool = False

    @property
    def intro_duration_s(self) -> float:
        """How long the intro holds the game before the countdown; 0 without one."""
        return 0.0 if self.intro_clip is None else self.intro_clip.duration_s

    @property
    def clips(self) -> tuple[MediaClip, ...]:
        """All clips of the map: intro, in-game, end of race, ambient."""
        groups = [g.clips for g in (self.ingame_clips, self.endrace_clips) if g is not None]
        ends = [(c,) if c is not None else () for c in (self.intro_clip, self.ambient_clip)]
        return ends[0] + tuple(c for group in groups for c in group) + ends[1]

    @property
    def clip_ghosts(self) -> tuple[Ghost, ...]:
        """Ghosts inside the map's clips; they may have been driven on an earlier version of the map."""
        return tuple({id(g): g for clip in self.clips for g in clip.ghosts}.values())


@dataclass(frozen=True, slots=True)
class Replay:
    """A replay file.

    Attributes:
        race_time_ms: finish time; None if the run was not finished.
        map_uid: of the map driven.
        nickname, login: of the driver.
        respawns: of the main ghost, or what the header says; -1 if unknown.
        ghosts: main ghosts first, then those of the replay's own clip.
        challenge: the embedded map; always the version that was driven.
        challenge_bytes: the embedded map as a complete file.
        clip: the replay's MediaTracker clip.
        header: what the file says about itself in front of its body.
        path: where it was read from; None for bytes.
    """

    race_time_ms: int | None
    map_uid: str
    nickname: str
    login: str
    respawns: int
    ghosts: tuple[Ghost, ...]
    challenge: Challenge | None
    challenge_bytes: bytes | None
    clip: MediaClip | None
    header: ReplayHeader
    path: Path | None = None

    @property
    def ghost(self) -> Ghost | None:
        """The run the replay was saved for."""
        return self.ghosts[0] if self.ghosts else None

    @property
    def has_respawn(self) -> bool:
        """Whether the driver respawned, by header, counter or a Respawn press during the race."""
        return self.respawns > 0 or (self.header.respawns or 0) > 0 or any(g.has_respawn for g in self.ghosts[:1])

"""From nodes as read to the records that are handed out."""

from pathlib import Path

from trackmaster.gbx.headers import optional_ms
from trackmaster.gbx.models import (
    NO_TIPS,
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
from trackmaster.gbx.nodes_challenge import ChallengeNode, ParametersNode
from trackmaster.gbx.nodes_ghost import GhostNode
from trackmaster.gbx.nodes_media import BlockNode, ClipGroupNode, ClipNode
from trackmaster.gbx.nodes_replay import ReplayNode


class Builder:
    """Turns nodes into records; a node that is referred to twice becomes one record."""

    def __init__(self) -> None:
        self._ghosts: dict[int, Ghost] = {}
        self._clips: dict[int, MediaClip] = {}

    def ghost(self, node: GhostNode) -> Ghost:
        """Return the record of a ghost."""
        found = self._ghosts.get(id(node))
        if found is None:
            found = self._ghosts[id(node)] = _ghost(node)
        return found

    def clip(self, node: ClipNode | None) -> MediaClip | None:
        """Return the record of a clip, if there is one."""
        return None if node is None else self._clip(node)

    def _clip(self, node: ClipNode) -> MediaClip:
        found = self._clips.get(id(node))
        if found is None:
            tracks = (
                MediaTrack(t.name, tuple(self._block(b) for b in t.blocks), t.is_keep_playing) for t in node.tracks
            )
            found = self._clips[id(node)] = MediaClip(node.name, tuple(tracks))
        return found

    def _block(self, node: BlockNode) -> MediaBlock:
        start_s, end_s = node.start_s, node.end_s
        if end_s is None and node.effect is not None:
            start_s, end_s = node.effect.start_s, node.effect.end_s
        ghost = None if node.ghost is None else self.ghost(node.ghost)
        return MediaBlock(node.class_id, start_s, end_s, node.text, ghost)

    def _group(self, node: ClipGroupNode | None) -> MediaClipGroup | None:
        if node is None:
            return None
        triggers = tuple(MediaTrigger(t.cells, t.condition, t.value) for t in node.triggers)
        return MediaClipGroup(tuple(self._clip(c) for c in node.clips), triggers)

    def challenge(self, node: ChallengeNode, header: ChallengeHeader | None) -> Challenge:
        """Return the record of a map."""
        ident = node.ident
        parameters = node.parameters if node.parameters is not None else ParametersNode(0)
        medals = Medals(*(optional_ms(value) for value in parameters.medals_ms))
        if header is not None and medals == Medals():
            medals = header.medals
        return Challenge(
            uid=ident.id if ident else "",
            name=node.name,
            author=ident.author if ident else "",
            environment=ident.collection if ident else "",
            mood=node.decoration.id,
            size=node.size,
            blocks=node.blocks,
            medals=medals,
            laps=node.laps,
            is_multilap=node.is_multilap,
            mode=node.mode,
            intro_clip=self.clip(node.intro),
            ingame_clips=self._group(node.ingame),
            endrace_clips=self._group(node.endrace),
            ambient_clip=self.clip(node.ambient),
            is_unlimiter=node.is_unlimiter,
            has_password=any(node.password_hash),
            cp_cells=node.cp_cells,
            vehicle=node.vehicle,
            time_limit_ms=parameters.time_limit_ms,
            author_score=parameters.author_score,
            mod=node.mod,
            music=node.music,
            comments=node.comments,
            header=header,
            tips=parameters.tips or NO_TIPS,
            inventory=node.collectors.blocks if node.collectors is not None else (),
            kind=node.kind,
            picture_camera=node.picture_camera,
            is_simple_editor=node.is_simple_editor,
        )

    def replay(self, node: ReplayNode, header: ReplayHeader, challenge: Challenge | None, path: Path | None) -> Replay:
        """Return the record of a replay."""
        clip = self.clip(node.clip)
        main = [self.ghost(ghost) for ghost in node.ghosts]
        ghosts = tuple({id(g): g for g in (*main, *(clip.ghosts if clip else ()))}.values())
        first = main[0] if main else Ghost(respawns=-1)
        has_summary = bool(header.map_uid)  # a file without header chunks leaves it to the ghost
        return Replay(
            race_time_ms=header.race_time_ms if has_summary else first.race_time_ms,
            map_uid=header.map_uid or (challenge.uid if challenge else ""),
            nickname=header.nickname or first.nickname,
            login=header.login or first.login,
            respawns=first.respawns if main or header.respawns is None else header.respawns,
            ghosts=ghosts,
            challenge=challenge,
            challenge_bytes=node.map_bytes or None,
            clip=clip,
            header=header,
            path=path,
        )


def _ghost(node: GhostNode) -> Ghost:
    return Ghost(
        race_time_ms=optional_ms(node.race_time_ms),
        respawns=node.respawns,
        cp_times_ms=node.cp_times_ms,
        nickname=node.nickname,
        login=node.login,
        car=node.vehicle.id,
        uid=node.uid,
        samples=node.samples,
        events=node.events,
        cp_stunt_scores=node.cp_stunt_scores,
        stunt_score=node.stunt_score,
        light_trail_colour=node.light_trail_colour,
        vehicle=node.vehicle,
        skin_files=node.skin_files,
        avatar=node.avatar,
        inputs_duration_ms=node.inputs_duration_ms,
        game_version=node.game_version,
        game_checksum=node.game_checksum,
        race_settings=node.race_settings,
    )

"""``trackmaster gbx show``: what is in a .Gbx file, one line or one page per file."""

from pathlib import Path

from pydantic_settings import CliPositionalArg, SettingsConfigDict

from trackmaster.config import Settings
from trackmaster.gbx.errors import GbxError
from trackmaster.gbx.find import find_gbx_files
from trackmaster.gbx.models import MODES, Challenge, Ghost, Replay
from trackmaster.gbx.reading import read
from trackmaster.gbx.text import plain_text, printable
from trackmaster.units import format_race_time


class ShowConfig(Settings):
    """Which files to describe."""

    model_config = SettingsConfigDict(env_prefix="GBX_SHOW_")

    paths: CliPositionalArg[list[Path]]
    """Files or folders; folders are searched for .Gbx files."""
    long: bool = False
    """Print every ghost and the most frequent blocks too."""


def show(config: ShowConfig) -> int:
    """Print what each file holds; the exit code is 1 when a file could not be read."""
    files = find_gbx_files(config.paths)
    failed = 0
    for path in files:
        try:
            lines = describe(read(path), path, is_long=config.long)
        except GbxError as error:
            failed += 1
            lines = [f"{path}: NOT READ: {error}"]
        print("\n".join(map(printable, lines)))
    print(f"{len(files)} files, {failed} not read")
    return 1 if failed else 0


def describe(content: Replay | Challenge | Ghost, path: Path, *, is_long: bool) -> list[str]:
    """Return the lines that describe a file; the first one stands on its own. They may hold control characters."""
    if isinstance(content, Replay):
        return _describe_replay(content, path, is_long)
    if isinstance(content, Challenge):
        return [f"{path}: {_map_line(content)}", *(_block_lines(content) if is_long else [])]
    return [f"{path}: ghost, {_ghost_line(content)}"]


def _describe_replay(replay: Replay, path: Path, is_long: bool) -> list[str]:
    driver = plain_text(replay.nickname) or replay.login or "unknown driver"
    lines = [f"{path}: replay, {format_race_time(replay.race_time_ms)} by {driver}, {len(replay.ghosts)} ghosts"]
    if is_long:
        lines.append(f"  {_map_line(replay.challenge)}" if replay.challenge else "  no embedded map")
        lines.extend(f"  ghost {number}: {_ghost_line(ghost)}" for number, ghost in enumerate(replay.ghosts, 1))
    return lines


def _map_line(challenge: Challenge) -> str:
    laps = f", {challenge.laps} laps" if challenge.is_multilap else ""
    mod = ", needs TMUnlimiter" if challenge.is_unlimiter else ""
    mode = MODES[challenge.mode] if 0 <= challenge.mode < len(MODES) else f"mode {challenge.mode}"
    return (
        f"map '{plain_text(challenge.name)}' by {challenge.author}, {challenge.environment} {challenge.mood}, "
        f"{mode}{laps}, {len(challenge.blocks)} blocks, author {format_race_time(challenge.medals.author_ms)}{mod}, "
        f"uid {challenge.uid}"
    )


def _block_lines(challenge: Challenge) -> list[str]:
    counts: dict[str, int] = {}
    for block in challenge.blocks:
        counts[block.name] = counts.get(block.name, 0) + 1
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [f"  {count:5d} x {name}" for name, count in ranked]


def _ghost_line(ghost: Ghost) -> str:
    samples = len(ghost.samples.time_ms) if ghost.samples is not None else 0
    events = len(ghost.events.time_ms) if ghost.events is not None else 0
    device = f" on {ghost.events.device}" if ghost.events is not None else ""
    gates = ", ".join(format_race_time(time_ms) for time_ms in ghost.cp_times_ms)
    return (
        f"{format_race_time(ghost.race_time_ms)} by {plain_text(ghost.nickname) or ghost.login}, {samples} samples, "
        f"{events} inputs{device}, {ghost.respawns} respawns, gates {gates or '-'}"
    )

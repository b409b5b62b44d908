"""``trackmaster replays filter``: a list of tracks in, the list of the fit ones out, and a reason for every other."""

import contextlib
import logging
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from trackmaster.errors import TrackmasterError
from trackmaster.files import atomic_dir, atomic_write_text
from trackmaster.gbx import printable
from trackmaster.progress import progress
from trackmaster.replays.catalogue import Catalogue, catalogue_path
from trackmaster.replays.config import read_track_names
from trackmaster.replays.facts import Fact, MapFacts, ReplayFacts, map_facts, replay_facts, spread
from trackmaster.replays.filter_config import FilterConfig
from trackmaster.replays.known import KnownTrack, known_track, listed_tracks
from trackmaster.replays.names import MAP_SUFFIX, REPLAY_SUFFIX
from trackmaster.replays.rules import Verdict, judge

BATCH_TRACKS = 5_000
LAID_OUT_MARK = ".chosen_runs"
"""Lies in a folder that a filter has made, which the next one may replace."""
MAP_COST, BODY_COST = 16, 16
"""Reading a whole map or replay costs about as much as this many headers."""


@dataclass
class FilterSummary:
    """What a filter did.

    Attributes:
        verdicts: by track, in the order of the list.
        damaged: replays that could not be read, with the reason.
        without_replays, without_map: tracks that were kept although there was nothing to judge.
    """

    verdicts: dict[str, Verdict] = field(default_factory=dict)
    damaged: list[ReplayFacts] = field(default_factory=list)
    without_replays: int = 0
    without_map: int = 0

    @property
    def kept(self) -> list[str]:
        """Tracks that passed."""
        return [name for name, verdict in self.verdicts.items() if not verdict.reason]

    @property
    def reasons(self) -> Counter[str]:
        """Dropped tracks by reason."""
        return Counter(verdict.reason for verdict in self.verdicts.values() if verdict.reason)


def run_filter(config: FilterConfig) -> int:
    """Filter, write the lists, say what was dropped; return 0."""
    if config.copy_to is not None:
        _refuse_foreign(config.copy_to)
    summary = filter_tracks(config)
    atomic_write_text(config.output, "".join(f"{name}\n" for name in summary.kept))
    if config.replays_output is not None:
        lines = (f"{name}/{run.path.name}\n" for name in summary.kept for run in summary.verdicts[name].runs)
        atomic_write_text(config.replays_output, "".join(lines))
    if config.copy_to is not None:
        _lay_out(summary, config.copy_to)
    for line in _lines(summary, config):
        print(printable(line))
    return 0


def filter_tracks(config: FilterConfig) -> FilterSummary:
    """Judge the tracks of a list, or all of the catalogue, some thousands at a time.

    Raises:
        TrackmasterError: a list, a folder or a catalogue that is needed is not there.
    """
    path = config.catalogue or catalogue_path(config.replays_dir)
    if config.from_catalogue and not path.is_file():
        raise TrackmasterError(f"{path}: there is no catalogue. Download first, or leave --from-catalogue out.")
    if config.needs_replays and not config.from_catalogue and not config.replays_dir.is_dir():
        raise TrackmasterError(f"{config.replays_dir}: there is no such folder. Give that of the replays (-r).")
    if config.judges_maps and not config.tracks_dir.is_dir() and not path.is_file():
        raise TrackmasterError(f"{config.tracks_dir}: there is no such folder. Give that of the maps (-t).")
    summary = FilterSummary()
    with contextlib.ExitStack() as stack:
        catalogue = stack.enter_context(Catalogue(path, writable=False)) if path.is_file() else None
        if config.from_catalogue and catalogue is not None:
            names = list(listed_tracks(catalogue))
        else:
            names = read_track_names(config.input)
        for start in range(0, len(names), BATCH_TRACKS):
            _judge_batch(names[start : start + BATCH_TRACKS], config, catalogue, summary)
    return summary


def _judge_batch(
    names: Sequence[str], config: FilterConfig, catalogue: Catalogue | None, summary: FilterSummary
) -> None:
    known = {name: known_track(catalogue, name, config.replays_dir / name) for name in names}
    maps = {name: _map_of(config.tracks_dir, name) for name in names}
    runs = _runs(names, known, config)
    map_paths = [path for path in maps.values() if path is not None] if config.judges_maps else []
    judged = spread(map_facts, map_paths, min(config.jobs, os.cpu_count() or 1), cost=MAP_COST)
    facts = dict(zip(map_paths, _shown(judged, "maps", len(map_paths), config), strict=True))
    for name in names:
        track, path = known[name], maps[name]
        own = runs[name]
        summary.damaged += [run for run in own if run.error]
        listed = None if config.only_with_maps else track.map_facts
        facts_of_map = listed if path is None else facts.get(path, MapFacts())
        uid = track.uid or (facts_of_map.uid if facts_of_map is not None else "")
        verdict = judge(own, facts_of_map, path is not None, uid, track.validated, config)
        summary.verdicts[name] = verdict
        if not verdict.reason:
            summary.without_replays += config.needs_replays and not own
            summary.without_map += config.judges_maps and facts_of_map is None


def _runs(names: Sequence[str], known: dict[str, KnownTrack], config: FilterConfig) -> dict[str, list[ReplayFacts]]:
    """Return the runs of each track: from the catalogue where it tells enough, else from the files."""
    if not config.needs_replays:
        return {name: [] for name in names}
    if config.from_catalogue:
        return {name: list(known[name].listed) for name in names}
    paths = {name: _replays_of(config.replays_dir / name) for name in names}
    # A body is read only where the download has not read it already.
    done = {run.path: run for track in known.values() for run in track.verified.values()} if config.needs_body else {}
    if config.teacher == "author" or config.validated:
        done = {}  # the catalogue does not keep the map's author, nor what the game would validate
    unread = [path for own in paths.values() for path in own if path not in done]
    read = partial(replay_facts, needs_body=config.needs_body)
    jobs = min(config.workers, os.cpu_count() or 1)
    found = spread(read, unread, jobs, cost=BODY_COST if config.needs_body else 1)
    fresh = {facts.path: facts for facts in _shown(found, "replays", len(unread), config)}
    return {name: [done.get(path) or fresh[path] for path in own] for name, own in paths.items()}


def _shown(facts: Iterator[Fact], name: str, total: int, config: FilterConfig) -> Iterator[Fact]:
    return progress(facts, desc=name, total=total, enabled=config.use_tqdm) if total else facts


def _replays_of(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if entry.name.lower().endswith(REPLAY_SUFFIX))
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [folder / name for name in names]


def _map_of(tracks_dir: Path, name: str) -> Path | None:
    direct = tracks_dir / f"{name}{MAP_SUFFIX}"
    if direct.is_file():
        return direct
    inside = tracks_dir / name
    if not inside.is_dir():
        return None
    return min((p for p in inside.iterdir() if p.name.lower().endswith(MAP_SUFFIX.lower())), default=None)


def _refuse_foreign(folder: Path) -> None:
    """Keep other things than earlier results from being replaced.

    Raises:
        TrackmasterError: the folder holds something that no filter has put there.
    """
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise TrackmasterError(f"{folder} is no folder. Give a new one (--copy-to).")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / LAID_OUT_MARK).is_file():
        raise TrackmasterError(
            f"{folder} holds files that did not come from a filter, and would be replaced as a whole. Give a new "
            "folder (--copy-to), or move this one aside."
        )


def _lay_out(summary: FilterSummary, folder: Path) -> None:
    """Put the runs to use into a folder of their own; it replaces an earlier result."""
    with atomic_dir(folder) as target:
        (target / LAID_OUT_MARK).touch()
        for name in summary.kept:
            for run in summary.verdicts[name].runs:
                place = target / name / run.path.name
                place.parent.mkdir(parents=True, exist_ok=True)
                try:
                    os.link(run.path, place)
                except OSError:  # another disk, or one without links
                    shutil.copyfile(run.path, place)


def _lines(summary: FilterSummary, config: FilterConfig) -> Iterator[str]:
    if config.told <= logging.WARNING:
        for run in summary.damaged:
            yield f"not read: {run.path}: {run.error}"
    if config.told <= logging.DEBUG:
        for name, verdict in summary.verdicts.items():
            if verdict.reason:
                yield f"dropped {name}: {verdict.detail.rstrip('.')}."
    if config.told > logging.INFO:
        return
    for reason, count in summary.reasons.most_common():
        yield f"  {count:6d} dropped: {reason}"
    if summary.without_replays:
        yield f"  {summary.without_replays:6d} kept without a replay in {config.replays_dir}"
    if summary.without_map:
        yield f"  {summary.without_map:6d} kept without a map in {config.tracks_dir} (--only-with-maps drops them)"
    yield f"{len(summary.kept)} of {len(summary.verdicts)} tracks kept, written to {config.output}."

"""``trackmaster drive``: a trained agent drives its track; a video, a 3-D page, a script and a replay show it."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from trackmaster import gbx
from trackmaster.distributed.racing.environments import BUNDLED, load_track, track_names
from trackmaster.distributed.racing.trained import chosen_weights, open_run, trained_actor
from trackmaster.env import evaluation_starts
from trackmaster.errors import ConfigError, TrackmasterError
from trackmaster.experiments.drive_config import DriveConfig
from trackmaster.experiments.lap import Lap, describe, drive_lap, lap_timeline, look_colors
from trackmaster.experiments.lap_video import write_video
from trackmaster.experiments.live_drive import drive_live
from trackmaster.files import atomic_write_bytes, atomic_write_text, safe_name
from trackmaster.game import SimulatorGame
from trackmaster.game.recording import record_ghost
from trackmaster.progress import progress
from trackmaster.rl.config.world import MapEntry
from trackmaster.track import Track
from trackmaster.track.bundled import bundled_folder
from trackmaster.view.drive_figure import OtherLine, drive_figure
from trackmaster.view.page import write_figure_page

SCRIPT_FILE = "inputs.txt"
SUMMARY_FILE = "drive.json"
REPLAYS_FOLDER = "replays"
"""Laid out as capture expects it: <map uid>/pos1_<driver>_<ms>ms.replay.gbx."""


def run_drive(config: DriveConfig) -> None:
    """Drive the episodes, tell how each went, and write what shows the chosen one.

    Raises:
        TrackmasterError: no such run, weights, track or episode.
    """
    if config.show >= config.episodes:
        raise ConfigError(f"--show {config.show}: the episodes are 0 to {config.episodes - 1}; raise --episodes.")
    run = open_run(config.run_dir, seed=config.seed)
    entry = chosen_entry(track_names(run), run.map_cycle.entries, config.track, config.run_dir)
    weights = chosen_weights(config.run_dir, config.weights)
    actor = trained_actor(run, weights)
    track = load_track(entry)
    env_config = run.to_env_config(evaluation=True, uids={entry.short_name: track.uid})
    starts = evaluation_starts(config.seed, config.episodes)
    torch.set_num_threads(1)  # a picture at a time: more threads wait for each other, ten times as long
    if config.live:
        title = f"{config.nickname}, {entry.short_name}"
        laps = drive_live(actor, track, env_config, starts, title=title, port=config.port, speed=config.live_speed)
    else:
        drives = progress(starts, desc="episodes", enabled=config.use_tqdm)
        laps = [drive_lap(actor, track, env_config, start) for start in drives]
    print(f"{weights} on {entry.short_name}:")
    for number, lap in enumerate(laps):
        print(f"  episode {number}: {describe(lap)}{' (undisturbed start)' if not number else ''}")
    output = config.output or config.run_dir / "drive" / safe_name(entry.short_name)
    lap = laps[config.show]
    caption = f"{config.nickname}, {entry.short_name}"
    if config.page:
        text = f"Episode {config.show} of {len(laps)}, driven by {weights.name}: {describe(lap)}."
        others = [OtherLine(str(k), other.states.position_m) for k, other in enumerate(laps) if k != config.show]
        print(f"Page:   {write_lap_page(output / 'lap.html', lap, track, others, title=caption, text=text)}")
    if config.video:
        size = config.width, config.height
        write_video(output / "lap.mp4", lap, track, caption=caption, size_px=size, use_tqdm=config.use_tqdm)
        print(f"Video:  {output / 'lap.mp4'}")
    replay = export(lap, track, entry, output, nickname=config.nickname)
    summary = {
        "weights": str(weights),
        "track": entry.short_name,
        "map_uid": track.uid,
        "seed": config.seed,
        "shown": config.show,
        "script": SCRIPT_FILE if lap.start.is_undisturbed else None,
        "replay": replay.relative_to(output).as_posix() if replay else None,
        "race_time_ms": [lap.race_time_ms for lap in laps],
        "progress_m": [round(float(lap.progress_m[-1]), 3) for lap in laps],
    }
    atomic_write_text(output / SUMMARY_FILE, json.dumps(summary, indent=1))


def chosen_entry(names: Sequence[str], entries: Sequence[MapEntry], wanted: str, run_dir: Path) -> MapEntry:
    """Return the entry of the wanted track, the first one without a wish.

    Raises:
        ConfigError: the agent was not trained on it.
    """
    name = wanted or names[0]
    if name not in names:
        raise ConfigError(
            f"--track {name}: the agent in {run_dir} was not trained on it. Its tracks: {', '.join(names)}."
        )
    return next(entry for entry in entries if entry.short_name == name)


def write_lap_page(path: Path, lap: Lap, track: Track, others: Sequence[OtherLine], *, title: str, text: str) -> Path:
    """Write the page with the track, the driven lines and the moving car."""
    figure = drive_figure(
        lap.states.position_m,
        np.linalg.norm(lap.states.velocity_mps, axis=1),
        lap.states.time_ms,
        others=others,
        vertices=track.mesh.vertices,
        triangles=track.mesh.triangles,
        look_colors=look_colors(track.mesh.look),
    )
    return write_figure_page(path, title, text, [("The drive in 3-D", figure)])


def export(lap: Lap, track: Track, entry: MapEntry, output: Path, *, nickname: str) -> Path | None:
    """Write the inputs as a script and, of a finished run, a replay; return the replay's path.

    What an earlier drive exported stays unless it has the same name: its inputs are as good as before.

    Raises:
        TrackmasterError: the exported inputs do not repeat the lap.
    """
    folder = output / REPLAYS_FOLDER / safe_name(track.uid)
    if not lap.start.is_undisturbed:
        print("No script and no replay: this episode began beside the official start. Show episode 0 to export it.")
        return None
    timeline = lap_timeline(lap)
    atomic_write_text(output / SCRIPT_FILE, gbx.to_script(timeline))
    print(f"Script: {output / SCRIPT_FILE}")
    if lap.race_time_ms is None:
        print("No replay: the run did not reach the finish, and a replay needs a race time. Train longer.")
        return None
    game = SimulatorGame()
    try:
        ghost = record_ghost(game, track, timeline, nickname=nickname, login=nickname)
    finally:
        game.close()
    if ghost.race_time_ms != lap.race_time_ms:
        raise TrackmasterError(
            f"The exported inputs take {ghost.race_time_ms} ms and the lap took {lap.race_time_ms} ms: the simulator "
            "did not repeat itself. This is a bug of the simulator."
        )
    name = f"pos1_{safe_name(nickname)}_{ghost.race_time_ms}ms.replay.gbx"
    uid = gbx.make_uid(f"{nickname}/{track.uid}/{ghost.race_time_ms}")
    atomic_write_bytes(folder / name, gbx.write_replay(_map_bytes(entry), replace(ghost, uid=uid)))
    print(f"Replay: {folder / name}")
    return folder / name


def _map_bytes(entry: MapEntry) -> bytes:
    """Return the map file that a track was made of."""
    if entry.map_path.startswith(BUNDLED):
        slug = entry.map_path.removeprefix(BUNDLED)
        return (bundled_folder() / "tracks" / f"{slug}.Challenge.Gbx").read_bytes()
    return Path(entry.map_path).read_bytes()

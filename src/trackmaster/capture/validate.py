"""One replay, end to end: run, pictured, checked, and every check printed."""

import contextlib
import json
import logging
from pathlib import Path
from typing import Any

from trackmaster.capture.config import CaptureConfig
from trackmaster.capture.discover import REPLAY_SUFFIX, ReplayFile
from trackmaster.capture.errors import CaptureError, ReplayRejectedError
from trackmaster.capture.games import choose_game, ready_games
from trackmaster.capture.maker import CaptureMaker
from trackmaster.capture.plan import parse_frame
from trackmaster.capture.scripts import run_script
from trackmaster.capture.source import read_source
from trackmaster.capture.staging import staged_name, without_intros
from trackmaster.capture.validate_config import ValidateConfig
from trackmaster.capture.writer import UtcClock, utc_now, write_json
from trackmaster.files import atomic_write_bytes, atomic_write_text, sha256_of
from trackmaster.interrupts import ended_like_ctrl_c

log = logging.getLogger(__name__)


def run_validate(config: ValidateConfig, *, clock: UtcClock = utc_now) -> int:
    """Validate one replay and print the verdict.

    Returns:
        0 when every check passed, 2 when one failed or the replay cannot be run.

    Raises:
        CaptureError: there is no such replay, or nothing can run it.
    """
    logging.basicConfig(level="INFO", format="%(message)s")
    path = config.replay_path
    if not path.is_file() or not path.name.lower().endswith(REPLAY_SUFFIX):
        raise CaptureError(f"{path} is no replay. Give a file that ends in {REPLAY_SUFFIX} as --replay-path.")
    for note in _notes(config):
        log.warning("%s", note)
    file = ReplayFile(path, config.track_id or path.absolute().parent.name)
    flags = choose_game(_capture_flags(config))
    try:
        if config.prepare_only:
            _prepare(flags, file)
            return 0
        with ended_like_ctrl_c():
            return _validate(config, flags, file, clock)
    except ReplayRejectedError as reject:
        print(f"{path.name}: rejected: {reject.reason}: {reject.detail}")
        return 2


def _capture_flags(config: ValidateConfig) -> CaptureConfig:
    """Return the same wishes as capture's flags: nothing is rejected for a failed check, and nothing is kept back."""
    same = ("tracks_dir", "output_dir", "width", "height", "fps", "step_ms", "running_speed", "base_tmi_port",
            "rl_config_path", "game", "mode", "use_tqdm")  # fmt: skip
    values = {name: getattr(config, name) for name in same}
    return CaptureConfig(
        replays_dir=config.replay_path.absolute().parent.parent,
        vcp_dir=config.output_dir / "vcp",
        verify=False,
        overwrite=True,
        **values,
    )


def _notes(config: ValidateConfig) -> list[str]:
    notes = []
    if config.use_startup_validatepath:
        notes.append("--use-startup-validatepath: the inputs are played as a script, so the game need not validate.")
    if not config.replay_command:
        notes.append("--no-replay-command: the game's replay command is never used here.")
    if config.replay_speed != 1.0:
        notes.append("--replay-speed: the inputs are played as a script; --running-speed sets the speed.")
    return notes


def _prepare(flags: CaptureConfig, file: ReplayFile) -> None:
    source = read_source(file, flags)
    folder = flags.output_dir / source.track_id / file.name
    script = run_script(source.timeline)
    atomic_write_text(folder / script.name, script.text)
    atomic_write_bytes(folder / staged_name(source.map), without_intros(source.map))
    print(f"{folder / script.name}: inputs of {source.race_time_ms} ms ({source.device})")
    print(f"{folder / staged_name(source.map)}: map {source.map.challenge.uid} without its clips")


def _validate(config: ValidateConfig, flags: CaptureConfig, file: ReplayFile, clock: UtcClock) -> int:
    with ready_games(flags, None, (file,)) if flags.game == "tminterface" else contextlib.nullcontext() as ready:
        work = CaptureMaker((file,), clock, ready)(flags, 0)
        try:
            work.run(file, sha256_of(file.path))
        finally:
            work.close()
    folder = flags.output_dir / (file.track_id or "") / file.name
    verdict = json.loads((folder / "verify.json").read_text(encoding="utf-8"))
    _rewrite(folder, config, verdict)
    _print_table(file, verdict)
    return 0 if verdict["ok"] else 2


def _rewrite(folder: Path, config: ValidateConfig, verdict: dict[str, Any]) -> None:
    """Give the folder the form of validated runs: frames with six digits, a plain list as manifest."""
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    metadata = json.loads((folder / "metadata.json").read_text(encoding="utf-8"))
    entries = []
    for entry in manifest["entries"]:
        step, time_ms = parse_frame(entry["file"])
        name = f"frame_{step:06d}_{time_ms}ms.jpeg"
        (folder / entry["file"]).rename(folder / name)
        captured = entry["capture_timestamp_utc"]
        entries.append({"file": name, "index": step, "time_ms": time_ms, "captured_at_utc": captured})
    write_json(folder / "manifest.json", entries)
    extra = {
        "mode": "validate_replay",
        "run_mode": metadata["mode"],
        "map_name": metadata["challenge_name"],
        "replay_speed": config.replay_speed,
        "sent_replay_command": False,
        "used_startup_validatepath": False,
        "final_time_ms": verdict["finish_ms"],
    }
    write_json(folder / "metadata.json", metadata | extra)


def _print_table(file: ReplayFile, verdict: dict[str, Any]) -> None:
    words = {True: "passed", False: "FAILED", None: "-"}
    width = max(len(name) for name in verdict["checks"])
    for name, check in verdict["checks"].items():
        shown = check["value"] if not isinstance(check["value"], list) else ", ".join(map(str, check["value"]))
        print(f"{name:<{width}}  {words[check['ok']]:<6}  {'' if shown is None else shown}".rstrip())
    failed = sum(check["ok"] is False for check in verdict["checks"].values())
    judged = sum(check["ok"] is not None for check in verdict["checks"].values())
    end = "every one of them passed." if not failed else f"{failed} failed: this replay does not count."
    print(f"{file.path.name}: {judged} checks apply, {end}")

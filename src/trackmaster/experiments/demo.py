"""The main road in one command: replays become frames, an encoder, a driving agent, a video and a report."""

import hashlib
import json
import platform
import shlex
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

import trackmaster
from trackmaster.capture import CaptureConfig
from trackmaster.distributed.racing.environments import load_tracks
from trackmaster.distributed.racing.train import train
from trackmaster.distributed.racing.trained import trained_actor
from trackmaster.env import evaluation_starts
from trackmaster.errors import ConfigError, InterruptedRunError
from trackmaster.experiments import stages
from trackmaster.experiments.collect import FoundReplay, lay_out, read_replays
from trackmaster.experiments.demo_config import DemoConfig
from trackmaster.experiments.demo_folder import MARK_NAME, claim, refuse_foreign_folder
from trackmaster.experiments.demo_report import DemoResult, demo_report, training_run
from trackmaster.experiments.fetch import fetch_replays
from trackmaster.experiments.lap import Lap, drive_lap
from trackmaster.experiments.lap_video import write_video
from trackmaster.experiments.report import write_report
from trackmaster.experiments.report_data import Evaluation, TrainingRun
from trackmaster.files import atomic_write_text
from trackmaster.gbx import plain_text
from trackmaster.pretrain.config import PretrainConfig
from trackmaster.progress import progress
from trackmaster.rl.config.training import TrainConfig
from trackmaster.rl.files.checkpoint import BEST
from trackmaster.rl.files.names import ONLINE_FILE
from trackmaster.track import Track
from trackmaster.units import format_race_time

PACKAGE_DIR = Path(trackmaster.__file__).parent
BUNDLED_DIR = PACKAGE_DIR / "bundled"
QUICK_PRESET = Path("config_files/rl/config_quick.yaml")
N_STAGES = 6


def run_demo(config: DemoConfig) -> int:
    """Run all stages and write ``report.html`` and ``lap.mp4`` into the output folder.

    Raises:
        InterruptedRunError: Ctrl+C; the text says how to go on.
    """
    try:
        _run(config, config.model_copy(update={"output": config.output.resolve()}))
    except (InterruptedRunError, KeyboardInterrupt):
        raise InterruptedRunError(
            f"stopped; whatever was finished before is kept. Continue with: {command_line(config)}"
        ) from None
    return 0


def _run(given: DemoConfig, config: DemoConfig) -> None:
    """Run the stages in ``config``, whose folder is absolute: the one of ``given`` may be moved aside on the way."""
    out = config.output
    refuse_foreign_folder(out)
    clock = StageClock()
    with clock.stage("replays"):
        collection = read_replays(config.replays or BUNDLED_DIR, use_tqdm=config.use_tqdm)
        _say_replays(collection.found)
        claim(out, given.model_copy(update={"use_tqdm": True}).to_yaml(), collection.fingerprint)
        clock.keep_in(out / "stages.json")
        collection = fetch_replays(collection, out / "exchange", use_tqdm=config.use_tqdm)
        lay_out(collection, out / "maps")
    preset = TrainConfig.load(config=_preset_path())
    with clock.stage("frames"):
        summary = stages.capture_frames(_capture_config(config, preset))
        print(summary.sentence())
    runs = stages.captured_runs(out / "img")
    place = stages.choose_place(runs, out / "maps", config.track)
    train_config = stages.training_config(
        preset, place, out, minutes=config.train_minutes, episodes=config.episodes, seed=config.seed,
        use_tqdm=config.use_tqdm,
    )  # fmt: skip
    config_path = out / "train_config.yaml"
    atomic_write_text(config_path, train_config.to_yaml())
    with clock.stage("encoder"):
        encoder = stages.train_encoder(_pretrain_config(config, config_path))
        stages.inject_encoder(encoder, train_config, config_path)
    with clock.stage("agent"):
        best = format_race_time(place.best_ms)
        print(f"Training on '{place.name}' for {config.train_minutes:g} minutes; best replay {best}.")
        train(train_config)
        training = training_run(stages.evaluations_of(train_config))
    with clock.stage("lap"):
        track = load_tracks(train_config)[0]
        lap = best_lap(train_config, track, training.best)
        write_video(out / "lap.mp4", lap, track, caption=f"IQN, {place.name}", use_tqdm=config.use_tqdm)
    with clock.stage("report"):
        for write_page in progress([write_report], desc="report", enabled=config.use_tqdm):
            facts, command = _facts(given), command_line(given)
            result = DemoResult(
                collection.found, runs, place, encoder, training, lap, track, out, facts, clock.seconds, command
            )
            write_page(out / "report.html", demo_report(result))
    print(_verdict(training, lap))
    print(f"Report: {given.output / 'report.html'}\nVideo:  {given.output / 'lap.mp4'}")


class StageClock:
    """Says which stage runs and adds up how long each took, over several calls that continue each other."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._number = 0
        self.seconds: dict[str, float] = {}

    def keep_in(self, path: Path) -> None:
        """Add to the times of earlier calls in a file, from now on."""
        self._path = path
        self.seconds = _read_seconds(path) | self.seconds

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Announce a stage and add its wall time when it ends, interrupted or not."""
        self._number += 1
        print(f"\n[{self._number}/{N_STAGES}] {name}", flush=True)
        started = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = round(self.seconds.get(name, 0.0) + time.monotonic() - started, 2)
            if self._path is not None:
                atomic_write_text(self._path, json.dumps(self.seconds, indent=1))


def _read_seconds(path: Path) -> dict[str, float]:
    """Return the times of earlier calls; a damaged file only costs the times."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    times = found.items() if isinstance(found, dict) else ()
    return {str(name): float(value) for name, value in times if isinstance(value, int | float)}


def best_lap(config: TrainConfig, track: Track, best: Evaluation) -> Lap:
    """Drive again the best attempt of the best weights: the fastest finish, else the longest way.

    Args:
        config: of the training.
        track: where to drive.
        best: evaluation of the weights in ``best_eval/``.
    """
    weights = config.run_dir / BEST / ONLINE_FILE
    actor = trained_actor(config, weights)
    starts = evaluation_starts(config.evaluation.seed, config.evaluation.attempts)
    attempts = range(len(best.progress_m))
    attempt = min(attempts, key=lambda i: (best.race_time_ms[i] or float("inf"), -best.progress_m[i]))
    return drive_lap(actor, track, config.to_env_config(evaluation=True), starts[attempt])


def _preset_path() -> Path:
    for root in (Path(), PACKAGE_DIR.parents[1]):
        if (root / QUICK_PRESET).is_file():
            return root / QUICK_PRESET
    raise ConfigError(f"{QUICK_PRESET} is missing: run the demo from a checkout of trackmaster.")


def _capture_config(config: DemoConfig, preset: TrainConfig) -> CaptureConfig:
    maps = config.output / "maps"
    return CaptureConfig(
        replays_dir=maps / "replays", tracks_dir=maps / "tracks", vcp_dir=maps / "vcp",
        output_dir=config.output / "img",
        width=preset.neural_network.w_downsized, height=preset.neural_network.h_downsized, fps=config.fps,
        vcp_source="best", use_tqdm=config.use_tqdm, log_level="WARNING",
    )  # fmt: skip


def _pretrain_config(config: DemoConfig, rl_config_path: Path) -> PretrainConfig:
    return PretrainConfig(
        data_dir=config.output / "img", output_dir=config.output / "encoder", run_name=stages.RUN_NAME,
        preprocess_cache_dir=config.output / "cache", rl_config_path=rl_config_path, task="ae",
        image_normalization="01", epochs=config.encoder_epochs, batch_size=64, workers=1, seed=config.seed,
        use_tqdm=config.use_tqdm,
    )  # fmt: skip


def command_line(config: DemoConfig) -> str:
    """Return the command that makes the same demo again."""
    words = ["trackmaster", "demo"]
    for name in DemoConfig.model_fields:
        value = getattr(config, name)
        if name != "use_tqdm" and value != getattr(DemoConfig(), name):
            words += [f"--{name.replace('_', '-')}", str(value)]
    return shlex.join(words)


def _say_replays(found: Sequence[FoundReplay]) -> None:
    used = [row for row in found if row.is_used]
    maps = sorted({plain_text(row.map_name) for row in used})
    print(f"{len(used)} of {len(found)} replays can be used, on {len(maps)} maps: {', '.join(maps)}.")
    for row in found:
        if not row.is_used:
            print(f"  left out {row.source.name}: {row.reason}")


def _facts(config: DemoConfig) -> dict[str, object]:
    digest = hashlib.sha256(config.to_yaml().encode()).hexdigest()[:12]
    return {
        "trackmaster": trackmaster.__version__,
        "seed": config.seed,
        "settings": f"{config.output / MARK_NAME} ({digest})",
        "Python": platform.python_version(),
        "PyTorch": torch.__version__,
        "processor": platform.processor() or platform.machine(),
        "repeatable": "frames, encoder data and every evaluated lap are exact; the training itself is limited by wall "
        "time and runs worker and learner side by side, so its course differs from call to call",
    }


def _verdict(training: TrainingRun, lap: Lap) -> str:
    shown = f"finishes in {format_race_time(lap.race_time_ms)}" if lap.race_time_ms else "does not finish yet"
    rows = [f"  {name + ':':<24}{found.result}" for name, found in training.standing]
    rows[-1] += f", after {training.best.wall_s / 60:.1f} minutes; kept in save/{stages.RUN_NAME}/{BEST}"
    head = f"\nMean progress over {len(training.best.progress_m)} deterministic episodes:"
    return "\n".join((head, *rows, f"The lap shown is driven by the best evaluated weights and {shown}."))

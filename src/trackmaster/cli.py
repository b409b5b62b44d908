"""The command line: a verb names a configuration and a function, and both are imported only when it is called."""

import difflib
import importlib
import io
import os
import select
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from trackmaster import __version__
from trackmaster.errors import InterruptedRunError, TrackmasterError


@dataclass(frozen=True)
class Verb:
    """One thing the program does: its configuration class and its function, both as ``module:name``."""

    help: str
    config: str
    function: str


VERBS: dict[str, Verb] = {
    "demo": Verb(
        "replays to frames to an encoder to a driving agent, with a report at the end",
        "trackmaster.experiments.demo_config:DemoConfig",
        "trackmaster.experiments.demo:run_demo",
    ),
    "gbx show": Verb(
        "say what is in .Gbx files: map, times, ghosts, inputs",
        "trackmaster.gbx.show:ShowConfig",
        "trackmaster.gbx.show:show",
    ),
    "replays list": Verb(
        "write the ids of the exchange's tracks into a file, the most popular first",
        "trackmaster.replays.config:ListConfig",
        "trackmaster.replays.command:run_list",
    ),
    "replays download": Verb(
        "list tracks, or download the replays of a list or of one track, politely and resumably",
        "trackmaster.replays.config:DownloadConfig",
        "trackmaster.replays.command:run_download",
    ),
    "replays track": Verb(
        "download the replays of one track, by id or name",
        "trackmaster.replays.config:TrackConfig",
        "trackmaster.replays.command:run_track",
    ),
    "replays status": Verb(
        "say how far a folder of replays is, what failed and why, and how long it still takes",
        "trackmaster.replays.config:StatusConfig",
        "trackmaster.replays.status:run_status",
    ),
    "replays filter": Verb(
        "keep the tracks of a list that are fit to learn from, and say why the others are not",
        "trackmaster.replays.filter_config:FilterConfig",
        "trackmaster.replays.filter:run_filter",
    ),
    "replays rename": Verb(
        "make the names of replays loadable for TMInterface",
        "trackmaster.replays.rename:RenameConfig",
        "trackmaster.replays.rename:run_rename",
    ),
    "exchange standin": Verb(
        "run a stand-in of the exchange on this machine",
        "trackmaster.replays.standin.config:StandInConfig",
        "trackmaster.replays.standin.command:run_standin",
    ),
    "track coverage": Verb(
        "list which blocks of maps have geometry and which do not",
        "trackmaster.track.command:CoverageConfig",
        "trackmaster.track.command:show_coverage",
    ),
    "track fit": Verb(
        "compare the block catalogue with the wheels of real drives",
        "trackmaster.track.fit_command:FitConfig",
        "trackmaster.track.fit_command:show_fit",
    ),
    "track drive": Verb(
        "find a way to the finish of maps that nobody drove, and write it as a replay",
        "trackmaster.expert.drive_config:DriveConfig",
        "trackmaster.expert.drive_command:run_drive",
    ),
    "track bundle": Verb(
        "make the bundled tracks and their expert replays again",
        "trackmaster.expert.bundle:BundleConfig",
        "trackmaster.expert.bundle:run_bundle",
    ),
    "capture": Verb(
        "turn replays into verified, labelled frames",
        "trackmaster.capture:CaptureConfig",
        "trackmaster.capture:run_capture",
    ),
    "validate": Verb(
        "capture one replay end to end and print every check",
        "trackmaster.capture.validate_config:ValidateConfig",
        "trackmaster.capture.validate:run_validate",
    ),
    "doctor": Verb(
        "check what the program and the real game need, and say what to do",
        "trackmaster.game.setup.config:DoctorConfig",
        "trackmaster.capture.doctor:run_doctor",
    ),
    "standin": Verb(
        "serve the simulator over a socket as if it were the game with its plugin",
        "trackmaster.game.standin.config:StandinConfig",
        "trackmaster.game.standin.command:run_standin",
    ),
    "record reward": Verb(
        "drive a track of TrackMania 2020 once and keep the way, against which rewards are measured",
        "trackmaster.env.demo.command:RecordRewardConfig",
        "trackmaster.env.demo.command:run_record_reward",
    ),
    "fidelity": Verb(
        "drive real inputs open loop and compare with the ghosts",
        "trackmaster.capture.fidelity.config:FidelityConfig",
        "trackmaster.capture.fidelity.command:run_fidelity",
    ),
    "data prepare": Verb(
        "decode captured frames once into a cache for pre-training",
        "trackmaster.data.command:PrepareConfig",
        "trackmaster.data.command:run_prepare",
    ),
    "data export": Verb(
        "write captured frames as Parquet shards with a dataset card",
        "trackmaster.data.export_command:ExportConfig",
        "trackmaster.data.export_command:run_export",
    ),
    "data toy": Verb(
        "take a small captured tree out of a large one",
        "trackmaster.data.export_command:ToyConfig",
        "trackmaster.data.export_command:run_toy",
    ),
    "data clean": Verb(
        "take frames with invalid floats out of a captured tree",
        "trackmaster.capture.clean_command:CleanConfig",
        "trackmaster.capture.clean_command:run_clean",
    ),
    "pretrain": Verb(
        "train a visual encoder on captured frames",
        "trackmaster.pretrain:PretrainConfig",
        "trackmaster.pretrain:run_pretrain",
    ),
    "pretrain probe": Verb(
        "score the encoder of a run: what a linear read-out of its features knows about the car",
        "trackmaster.pretrain.probe_command:ProbeConfig",
        "trackmaster.pretrain.probe_command:run_probe",
    ),
    "inject": Verb(
        "start an agent from a pre-trained encoder",
        "trackmaster.pretrain.inject_command:InjectConfig",
        "trackmaster.pretrain.inject_command:run_inject",
    ),
    "server": Verb(
        "join workers and a trainer on other machines: prepare keys, show join strings, relay",
        "trackmaster.distributed.relay.config:ServerConfig",
        "trackmaster.distributed.relay.command:run_server",
    ),
    "trainer": Verb(
        "learn from what workers on other machines send, as TmrlData/config/config.json says",
        "trackmaster.distributed.config_json.verbs:TrainerVerbConfig",
        "trackmaster.distributed.config_json.verbs:run_trainer",
    ),
    "worker": Verb(
        "drive one environment for a trainer on another machine, or alone to test a policy",
        "trackmaster.distributed.config_json.verbs:WorkerVerbConfig",
        "trackmaster.distributed.config_json.verbs:run_worker",
    ),
    "train": Verb(
        "train a driving agent",
        "trackmaster.distributed:TrainConfig",
        "trackmaster.distributed:run_train",
    ),
    "train worker": Verb(
        "drive for a trainer on another machine: takes the run's settings and weights from its server",
        "trackmaster.distributed.racing.network_worker_config:TrainWorkerConfig",
        "trackmaster.distributed.racing.network_run:run_train_worker",
    ),
    "evaluate": Verb(
        "drive a trained agent over deterministic episodes and count its finishes",
        "trackmaster.distributed:EvaluateConfig",
        "trackmaster.distributed:run_evaluate",
    ),
    "drive": Verb(
        "show a trained agent: video, 3-D page, TMInterface script and replay of its run",
        "trackmaster.experiments.drive_config:DriveConfig",
        "trackmaster.experiments.drive:run_drive",
    ),
    "compare": Verb(
        "set training runs side by side at equal wall time and at equal steps",
        "trackmaster.experiments.compare_config:CompareConfig",
        "trackmaster.experiments.compare:run_compare",
    ),
    "experiment run": Verb(
        "train every setting of an experiment with every seed, and write the table",
        "trackmaster.experiments.plan_config:ExperimentConfig",
        "trackmaster.experiments.matrix_command:run_experiment",
    ),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit code: 0 done, 1 refused with a sentence, 2 no such verb, 130 interrupted.

    A verb may return a code of its own (capture: 2 when some replays were rejected).
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # names from files hold letters that not every terminal has
    words = list(sys.argv[1:] if argv is None else argv)
    return _until_reader_leaves(lambda: _answer(words))


def _answer(words: Sequence[str]) -> int:
    if not words or words[0] in {"-h", "--help", "help"}:
        print(_overview())
        return 0 if words else 2
    if words[0] in {"-V", "--version"}:
        print(f"trackmaster {__version__}")
        return 0
    name = _verb_of(words)
    if name is None:
        print(_unknown(words), file=sys.stderr)
        return 2
    return run_verb(name, words[len(name.split()) :])


def run_verb(name: str, argv: Sequence[str], *, prog: str | None = None, config: str | None = None) -> int:
    """Resolve the configuration of a verb and call its function.

    Scripts with names of their own pass ``prog``, and as ``config`` (``module:name``) a subclass with their defaults.
    """
    verb = VERBS[name] if config is None else replace(VERBS[name], config=config)
    return _until_reader_leaves(lambda: _call(verb, argv, prog or f"trackmaster {name}"))


def _call(verb: Verb, argv: Sequence[str], label: str) -> int:
    try:
        config = _load(verb.config).load(argv, prog=label)
        return int(_load(verb.function)(config) or 0)
    except InterruptedRunError as stop:
        print(f"{label}: {stop}", file=sys.stderr)
        return 130
    except TrackmasterError as error:
        print(f"{label}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{label}: interrupted; whatever was finished before is kept.", file=sys.stderr)
        return 130
    except OSError as error:
        if isinstance(error, BrokenPipeError) and _reader_is_gone():
            raise
        print(f"{label}: {_about_file(error)}", file=sys.stderr)
        return 1


def _until_reader_leaves(action: Callable[[], int]) -> int:
    """Return the action's exit code; if whoever read its output (head, less) has left, nothing is wrong: 0."""
    try:
        try:
            return action()
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except BrokenPipeError:
        if not _reader_is_gone():
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _reader_is_gone() -> bool:
    """Whether the broken pipe is that of our output, and not one to a process of ours."""
    try:
        descriptor = sys.stdout.fileno()
        sys.stdout.flush()
    except BrokenPipeError:
        return True
    except (AttributeError, OSError, ValueError):  # no output at all, or one that is no file
        return False
    if not hasattr(select, "poll"):
        return False
    poll = select.poll()  # an unbuffered output holds nothing that a flush could fail on
    poll.register(descriptor, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _about_file(error: OSError) -> str:
    """Return what the system refused as a sentence."""
    place = f"{error.filename}: " if error.filename else ""
    reason = (error.strerror or str(error) or type(error).__name__).rstrip(".")
    return f"{place}{reason[:1].lower()}{reason[1:]}. Check that the path exists, may be used and has room."


def _load(target: str) -> Any:
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)


def _verb_of(words: Sequence[str]) -> str | None:
    two = " ".join(words[:2])
    return two if two in VERBS else words[0] if words[0] in VERBS else None


def _overview() -> str:
    width = max(len(name) for name in VERBS)
    lines = [f"  {name:<{width}}  {verb.help}" for name, verb in VERBS.items()]
    return "\n".join(
        [
            "usage: trackmaster VERB [flags]",
            "",
            "Leaderboard replays go in, a driving agent and an honest report come out.",
            "",
            "verbs:",
            *lines,
            "",
            "'trackmaster VERB --help' lists the flags of a verb; every verb takes --config FILE (YAML).",
        ]
    )


def _unknown(words: Sequence[str]) -> str:
    group = [name for name in VERBS if name.startswith(f"{words[0]} ")]
    if group:
        return f"trackmaster {words[0]}: expected one of: {', '.join(group)}."
    close = difflib.get_close_matches(words[0], VERBS, n=1)
    hint = f"Did you mean '{close[0]}'?" if close else "'trackmaster --help' lists the verbs."
    return f"trackmaster: '{words[0]}' is not a verb. {hint}"

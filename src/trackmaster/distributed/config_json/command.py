"""The command lines of the TMRL seed: ``trackmaster_training.py --server``, ``--trainer``, ``--worker`` and the others.

Each flag calls what the verb of the same name calls; ``--config`` takes another ``config.json``, or a JSON object whose
keys go over those of the file, and has this one meaning only.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trackmaster.distributed.config_json.folder import RunFolder, default_root
from trackmaster.distributed.config_json.verbs import (
    RunSettings,
    TrainerVerbConfig,
    WorkerVerbConfig,
    install,
    prepared,
    run_trainer,
    run_worker,
)
from trackmaster.errors import InterruptedRunError, TrackmasterError

RunVerb = Callable[[str, Sequence[str]], int]
PROG = "trackmaster_training.py"
INTERRUPTED = 130
CHECKED_STEPS = 10
SHOWN_NUMBERS = 4


def main(argv: Sequence[str], *, run_verb: RunVerb, say: Callable[[str], None] = print) -> int:
    """Run one command and return the exit code: 0 done, 1 refused with a sentence, 130 interrupted.

    Args:
        argv: the words behind the script's name.
        run_verb: runs a verb of ``trackmaster`` with flags and returns its exit code.
        say: where lines for people go.
    """
    arguments = parser().parse_args(list(argv))
    try:
        if arguments.record_reward:
            output = RunFolder(arguments.data_dir).reward_file
            if arguments.use_keyboard:
                say("--use-keyboard is accepted and not needed: driving to the finish ends the recording.")
            return run_verb("record reward", ["--output", str(output)])
        _run(arguments, say)
    except InterruptedRunError as stop:
        print(f"{PROG}: {stop}", file=sys.stderr)
        return INTERRUPTED
    except KeyboardInterrupt:
        print(f"{PROG}: interrupted.", file=sys.stderr)
        return INTERRUPTED
    except (TrackmasterError, OSError) as error:
        print(f"{PROG}: {error}", file=sys.stderr)
        return 1
    return 0


def _run(arguments: argparse.Namespace, say: Callable[[str], None]) -> None:
    where = {"data_dir": arguments.data_dir, "config_json": arguments.config}
    if arguments.install:
        install(RunSettings(**where), say=say)
    elif arguments.server:
        _serve(RunSettings(**where), say)
    elif arguments.trainer:
        run_trainer(TrainerVerbConfig(**where, wandb=arguments.wandb), say=say)
    elif arguments.check_environment:
        _check_environment(RunSettings(**where), say)
    else:
        run_worker(
            WorkerVerbConfig(
                **where, expert=arguments.expert, test=arguments.test, benchmark=arguments.benchmark,
                test_episode_interval=arguments.test_episode_interval, episodes=arguments.episodes,
            ),
            say=say,
        )  # fmt: skip


def _serve(settings: RunSettings, say: Callable[[str], None]) -> None:
    from trackmaster.distributed.config_json.roles import make_server

    config, _ = prepared(settings, say=say)
    with make_server(config, say=say) as server:
        say(f"The server listens on port {server.port}; Ctrl+C ends it.")
        server.run()


def _check_environment(settings: RunSettings, say: Callable[[str], None]) -> None:
    """Drive a few steps without a policy and tell what is observed."""
    from trackmaster.distributed.config_json.roles import make_env
    from trackmaster.rl.samples.nested import leaves

    config, folder = prepared(settings, say=say)
    env = make_env(config, folder)
    try:
        obs, _ = env.reset()
        for _ in range(CHECKED_STEPS):
            obs, reward, terminated, truncated, _ = env.step(env.unwrapped.default_action)
            shown = ", ".join(f"{name} {_shown(np.asarray(leaf))}" for name, leaf in leaves(obs))
            say(f"{shown}; reward {float(reward):.4g}")
            if terminated or truncated:
                break
    finally:
        env.close()


def _shown(leaf: NDArray[Any]) -> str:
    if leaf.size <= SHOWN_NUMBERS:
        return str([round(float(value), 3) for value in leaf.reshape(-1)])
    return f"{leaf.dtype}{leaf.shape} from {leaf.min():g} to {leaf.max():g}"


def parser() -> argparse.ArgumentParser:
    """Return what takes the words of a command line."""
    made = argparse.ArgumentParser(prog=PROG, description=__doc__)
    roles = made.add_mutually_exclusive_group(required=True)
    for flag, text in (
        ("--install", "make the folders and a config.json with the defaults"),
        ("--server", "relay between workers and trainer"),
        ("--trainer", "learn from what the workers send"),
        ("--worker", "drive and send what was lived through; start it once per environment"),
        ("--expert", "a worker whose policy is better than the one being trained: it never takes over weights"),
        ("--test", "drive with the policy at hand, without a server"),
        ("--benchmark", "measure the durations of the real-time environment"),
        ("--record-reward", "drive a demonstration that the reward is measured along"),
        ("--check-environment", "drive a few steps and show what the environment observes"),
    ):
        roles.add_argument(flag, action="store_true", help=text)
    made.add_argument("--wandb", action="store_true", help="with --trainer: send the numbers there too")
    made.add_argument("--use-keyboard", action="store_true", help="with --record-reward: E starts, Q ends it")
    made.add_argument("-d", "--config", metavar="JSON", help="another config.json, or an object over that of the file")
    made.add_argument("--data-dir", type=Path, default=default_root(), help="folder of weights, checkpoints, logs …")
    made.add_argument("--test-episode-interval", type=_count, default=0, help="with --worker: a test before every n-th")
    made.add_argument("--episodes", type=_count, default=0, help="with --worker, --expert, --test: how many; 0: no end")
    return made


def _count(word: str) -> int:
    """Return a number of episodes; argparse makes a sentence of what it raises."""
    if not word.isdecimal():
        raise argparse.ArgumentTypeError(f"{word!r} is no number of episodes: give 0, 1, 2 …")
    return int(word)

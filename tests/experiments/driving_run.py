"""A run of an agent that does one thing only."""

from pathlib import Path

import torch

from trackmaster.distributed.racing.algorithms import algorithm_of
from trackmaster.distributed.racing.beginning import CONFIG_SNAPSHOT
from trackmaster.rl.config.training import TrainConfig
from trackmaster.rl.files.names import ONLINE_FILE
from trackmaster.rl.files.torch_files import save_torch

FLAT_OUT, NOTHING = 0, 3


def make_run(folder: Path, action: int) -> Path:
    """A run whose network always prefers one action."""
    entries = '[{"short_name": "first", "map_path": "bundled:first_steps"}]'
    config = TrainConfig.load(
        [
            "--run-name", "flat", "--neural-network.w-downsized", "36", "--neural-network.h-downsized", "36",
            "--neural-network.dense-hidden-dimension", "32", "--neural-network.iqn-k", "4",
            "--environment.cutoff-rollout-if-race-not-finished-within-duration-ms", "40000",
            "--map-cycle.entries", entries,
        ],
        environment={},
    )  # fmt: skip
    actor = algorithm_of(config).actor(0)
    head = actor.network.A_head[-1]
    with torch.no_grad():
        head.weight.zero_()
        head.bias.zero_()
        head.bias[action] = 1.0
    folder.mkdir(parents=True)
    (folder / CONFIG_SNAPSHOT).write_text(config.to_yaml(), encoding="utf-8")
    save_torch(actor.network.state_dict(), folder / ONLINE_FILE)
    return folder

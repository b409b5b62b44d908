"""What an agent sees, does and gets: observations, actions, rewards, ends of episodes, Gymnasium environments.

The environments pull in the simulator and are imported on first use; constants, rewards and builders are light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from trackmaster.env.actions import ACTION_BACKWARD, ACTION_FORWARD, MIRROR_ACTION, N_ACTIONS, controls
from trackmaster.env.config import EnvConfig, RewardConfig
from trackmaster.env.errors import EnvError
from trackmaster.env.layout import FLOAT_LAYOUT_VERSION, N_FLOATS, OBS_MEAN, OBS_STD
from trackmaster.env.mirror import mirror_floats
from trackmaster.env.observation import ObservationBuilder, floats_from_snapshots, previous_actions_at
from trackmaster.env.reward import potential, step_reward
from trackmaster.game.start import UNDISTURBED, Start

if TYPE_CHECKING:
    from trackmaster.env.episode import EndReason, EpisodeBook
    from trackmaster.env.racing import RacingEnv
    from trackmaster.env.starts import evaluation_starts
    from trackmaster.env.vector import RacingVectorEnv

_ON_FIRST_USE = {
    "EndReason": "trackmaster.env.episode",
    "EpisodeBook": "trackmaster.env.episode",
    "RacingEnv": "trackmaster.env.racing",
    "RacingVectorEnv": "trackmaster.env.vector",
    "evaluation_starts": "trackmaster.env.starts",
}


def __getattr__(name: str) -> Any:
    """Import the environments when they are asked for."""
    if name not in _ON_FIRST_USE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_ON_FIRST_USE[name]), name)


__all__ = [
    "ACTION_BACKWARD",
    "ACTION_FORWARD",
    "FLOAT_LAYOUT_VERSION",
    "MIRROR_ACTION",
    "N_ACTIONS",
    "N_FLOATS",
    "OBS_MEAN",
    "OBS_STD",
    "UNDISTURBED",
    "EndReason",
    "EnvConfig",
    "EnvError",
    "EpisodeBook",
    "ObservationBuilder",
    "RacingEnv",
    "RacingVectorEnv",
    "RewardConfig",
    "Start",
    "controls",
    "evaluation_starts",
    "floats_from_snapshots",
    "mirror_floats",
    "potential",
    "previous_actions_at",
    "step_reward",
]

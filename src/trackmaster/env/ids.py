"""Gymnasium ids of the environments, and the interfaces by the names of a config.json (``RTGYM_INTERFACE``).

``gymnasium.make("trackmaster/SimulatorLidar-v1")`` after importing this module, or without it
``gymnasium.make("trackmaster.env.ids:trackmaster/SimulatorLidar-v1")``. Every real-time id takes ``config``, a whole
dictionary as rtgym knows it, or single entries of one: ``interface_kwargs``, ``act_buf_len``, ``ep_max_length`` …
"""

import difflib
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Final

import gymnasium as gym
from rtgym import DEFAULT_CONFIG_DICT

from trackmaster.env.errors import EnvError
from trackmaster.env.realtime.clock import Clock
from trackmaster.env.realtime.config import realtime_config
from trackmaster.env.realtime.environment import RealTimeEnv

INTERFACES: Final[Mapping[str, str]] = {
    "SIMULATOR": "trackmaster.env.realtime.game:GameInterface",
    "SIMULATORLIDAR": "trackmaster.env.realtime.game:GameLidarInterface",
    "SIMULATORLIDARPROGRESS": "trackmaster.env.realtime.game:GameLidarProgressInterface",
    "SIMULATOREXACTLIDAR": "trackmaster.env.realtime.game:GameExactLidarInterface",
    "TM20FULL": "trackmaster.env.realtime.tm2020:Tm2020Interface",
    "TM20IMAGES": "trackmaster.env.realtime.tm2020:Tm2020Interface",
    "TM20LIDAR": "trackmaster.env.realtime.tm2020:Tm2020LidarInterface",
    "TM20LIDARPROGRESS": "trackmaster.env.realtime.tm2020:Tm2020LidarProgressInterface",
    "TMNF": "trackmaster.env.realtime.tmnf:TmnfInterface",
    "TMNFEXACTLIDAR": "trackmaster.env.realtime.tmnf:TmnfExactLidarInterface",
}
"""Where each interface stands; imported when it is asked for."""

IDS: Final[Mapping[str, str]] = {
    "trackmaster/SimulatorFull-v1": "SIMULATOR",
    "trackmaster/SimulatorLidar-v1": "SIMULATORLIDAR",
    "trackmaster/SimulatorLidarProgress-v1": "SIMULATORLIDARPROGRESS",
    "trackmaster/SimulatorExactLidar-v1": "SIMULATOREXACTLIDAR",
    "trackmaster/TM20Full-v1": "TM20FULL",
    "trackmaster/TM20Lidar-v1": "TM20LIDAR",
    "trackmaster/TM20LidarProgress-v1": "TM20LIDARPROGRESS",
    "trackmaster/TMNF-v1": "TMNF",
    "trackmaster/TMNFExactLidar-v1": "TMNFEXACTLIDAR",
}
REALTIME_ID: Final = "trackmaster/RealTime-v1"
"""Takes a ``config`` with any interface, in the place of rtgym's own ids."""


def interface_named(name: str) -> Callable[..., Any]:
    """Return the class of an interface.

    Raises:
        EnvError: there is none of that name; nothing is guessed from how it ends.
    """
    if name not in INTERFACES:
        near = difflib.get_close_matches(name, INTERFACES, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(INTERFACES)}."
        raise EnvError(f"RTGYM_INTERFACE {name!r} does not exist: {hint}")
    module, _, attribute = INTERFACES[name].partition(":")
    interface: Callable[..., Any] = getattr(import_module(module), attribute)
    return interface


def make_realtime(
    interface_name: str, config: Mapping[str, Any] | None = None, clock: Clock | None = None, **entries: Any
) -> RealTimeEnv:
    """Return the real-time environment of an interface, with the seed's values where nothing else is said.

    Args:
        interface_name: see ``INTERFACES``.
        config: entries, or a whole dictionary of rtgym's; its ``interface`` may be left at rtgym's default.
        clock: as for ``RealTimeEnv``.
        entries: single entries, which win over those of ``config``.

    Raises:
        EnvError: an entry is wrong, or names another interface.
    """
    interface, changes = interface_named(interface_name), {**(config or {}), **entries}
    asked = changes.pop("interface", interface)
    if asked not in (interface, DEFAULT_CONFIG_DICT["interface"]):
        raise EnvError(
            f"the configuration has the interface {getattr(asked, '__name__', asked)!r}, but this id drives "
            f"{interface_name}: leave the entry out, or make {REALTIME_ID!r}."
        )
    return RealTimeEnv(realtime_config(interface, **changes), clock=clock)


def register_ids() -> None:
    """Make the ids known to Gymnasium; ids that are known stay as they are."""
    if REALTIME_ID not in gym.registry:
        gym.register(REALTIME_ID, entry_point="trackmaster.env.realtime.environment:RealTimeEnv")
    for env_id, name in IDS.items():
        if env_id not in gym.registry:
            gym.register(env_id, entry_point="trackmaster.env.ids:make_realtime", kwargs={"interface_name": name})


register_ids()

"""Gymnasium ids and the names of interfaces."""

import gymnasium as gym
import numpy as np
import pytest
from rtgym import DEFAULT_CONFIG_DICT
from tests.env.realtime_dummies import Recorder

from trackmaster.env import EnvError
from trackmaster.env.ids import IDS, INTERFACES, REALTIME_ID, interface_named, make_realtime, register_ids
from trackmaster.env.realtime.clock import VirtualClock
from trackmaster.env.realtime.config import realtime_config


@pytest.mark.parametrize("env_id", [env_id for env_id in IDS if "Simulator" in env_id])
def test_every_id_makes_an_environment_that_drives(env_id: str) -> None:
    env = gym.make(env_id, ep_max_length=3, interface_kwargs={"track": "first_steps"})
    observation, _ = env.reset(seed=0)
    assert observation in env.observation_space
    for _ in range(3):
        *_, truncated, _ = env.step(np.array([1, -1, 0], dtype=np.float32))
    assert truncated
    assert env.unwrapped.benchmarks
    env.close()


def test_the_general_id_takes_the_place_of_those_of_rtgym() -> None:
    env = gym.make(REALTIME_ID, config=realtime_config(Recorder, act_buf_len=2), clock=VirtualClock())
    observation, _ = env.reset()
    assert len(observation) == 3
    register_ids()


def test_an_id_takes_a_whole_dictionary_of_rtgym_but_no_other_interface() -> None:
    config = DEFAULT_CONFIG_DICT.copy()
    config.update(act_buf_len=2, interface_kwargs={"track": "first_steps"})
    env = gym.make("trackmaster/SimulatorExactLidar-v1", config=config)
    assert [part.shape for part in env.reset()[0]] == [(1,), (4, 19), (3,), (3,)]
    env.close()
    with pytest.raises(EnvError, match=r"'Recorder'.*make 'trackmaster/RealTime-v1'"):
        make_realtime("SIMULATOR", {**config, "interface": Recorder})


def test_names_of_interfaces_are_looked_up_and_not_guessed() -> None:
    assert interface_named("SIMULATORLIDAR").__name__ == "GameLidarInterface"
    for name in INTERFACES:
        assert callable(interface_named(name))
    with pytest.raises(EnvError, match="did you mean 'SIMULATORLIDAR'"):
        interface_named("SIMULATOR_LIDAR")
    with pytest.raises(EnvError, match="there are SIMULATOR,"):
        interface_named("WHATEVER")

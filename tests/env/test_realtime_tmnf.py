"""TrackMania Nations Forever in real time, over the socket of its stand-in."""

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest

from trackmaster.env.ids import interface_named
from trackmaster.env.realtime.clock import RealClock, VirtualClock
from trackmaster.env.realtime.config import realtime_config
from trackmaster.env.realtime.environment import RealTimeEnv
from trackmaster.env.realtime.game import GameExactLidarInterface
from trackmaster.env.realtime.tmnf import TmnfExactLidarInterface, TmnfInterface
from trackmaster.game.link.errors import LinkError
from trackmaster.game.standin.faults import Fault
from trackmaster.game.standin.game import GameOptions
from trackmaster.game.standin.server import Standin
from trackmaster.track import Track

GO = np.array([1.0, -1.0, 0.25], dtype=np.float32)
MAP = "straight.Challenge.Gbx"


@pytest.fixture
def standin(straight: Track) -> Iterator[Standin]:
    with Standin(GameOptions(tracks={MAP: straight}, load_frames=3)) as running:
        yield running


def make(interface: type, standin: Standin, track: Track, clock: object) -> RealTimeEnv:
    kwargs = {"track": track, "port": standin.port, "map_name": MAP}
    return RealTimeEnv(realtime_config(interface, interface_kwargs=kwargs), clock=clock, watchdog_steps=600)


def test_the_game_behind_its_link_drives_like_the_simulator(standin: Standin, straight: Track) -> None:
    game = make(TmnfExactLidarInterface, standin, straight, VirtualClock())
    config = realtime_config(GameExactLidarInterface, interface_kwargs={"track": dataclasses.replace(straight)})
    simulator = RealTimeEnv(config)
    seen, expected = game.reset()[0], simulator.reset()[0]
    for _ in range(12):
        assert all(np.array_equal(a, b) for a, b in zip(seen, expected, strict=True))
        seen, reward, *_, info = game.step(GO)
        expected, same_reward, *_, same_info = simulator.step(GO)
        assert reward == same_reward
        assert info["time_ms"] == same_info["time_ms"]
    game.close()


def test_it_keeps_up_with_the_computers_clock(standin: Standin, straight: Track) -> None:
    env = make(TmnfInterface, standin, straight, TmnfInterface.make_clock())
    assert isinstance(env._clock, RealClock)
    observation, _ = env.reset()
    assert observation[3].shape == (4, 64, 64)
    times_ms = [env.step(GO)[4]["time_ms"] for _ in range(8)]
    assert np.diff(times_ms).min() >= 0
    assert times_ms[-1] >= 350
    env.close()


def test_a_session_that_broke_is_opened_anew_by_the_next_reset(straight: Track) -> None:
    options = GameOptions(tracks={MAP: straight}, load_frames=3)
    with Standin(options, faults=[Fault.parse("drop@race:12")]) as standin:
        env = make(TmnfExactLidarInterface, standin, straight, VirtualClock())
        env.reset()
        with pytest.raises(LinkError, match="is gone"):
            for _ in range(20):
                env.step(GO)
        env.reset()
        assert env.step(GO)[4]["time_ms"] == 50
        env.close()


def test_the_name_leads_to_the_game() -> None:
    assert interface_named("TMNF") is TmnfInterface

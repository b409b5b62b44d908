"""The real-time loop: rtgym's rules, the clock, and what happens when an interface fails."""

import threading
import time
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from tests.env.realtime_dummies import Recorder, ThinkingClock

from trackmaster.env import EnvError
from trackmaster.env.realtime.clock import RealClock, VirtualClock
from trackmaster.env.realtime.config import RealTimeConfig, realtime_config
from trackmaster.env.realtime.environment import RealTimeEnv


def virtual(interface: Any = Recorder, **changes: Any) -> RealTimeEnv:
    return RealTimeEnv(realtime_config(interface, **changes), clock=VirtualClock())


def drive(env: Any, episodes: int, steps: int) -> list[tuple[float, ...]]:
    """Send 1, 2, 3, ... and return all observations as flat tuples."""
    seen, action = [], 0
    for _ in range(episodes):
        observation, _ = env.reset()
        seen.append(tuple(float(part[0]) for part in observation))
        for _ in range(steps):
            action += 1
            observation, reward, terminated, truncated, _ = env.step(np.array([action], dtype=np.float32))
            seen.append((*(float(part[0]) for part in observation), reward, terminated, truncated))
            if terminated or truncated:
                break
    return seen


RULES = [
    {"act_buf_len": 4, "reset_act_buf": False},
    {"act_buf_len": 4, "reset_act_buf": True},
    {"act_buf_len": 2, "reset_act_buf": False, "last_act_on_reset": True},
    {"act_buf_len": 1, "reset_act_buf": True, "last_act_on_reset": True},
    {"act_buf_len": 3, "act_in_obs": False},
    {"act_buf_len": 4, "reset_act_buf": True, "wait_on_done": True},
]


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("episode", [{"ep_max_length": 4}, {"ep_max_length": 9, "interface_args": (3,)}])
@pytest.mark.filterwarnings("ignore:Time-step timed out")
def test_observations_and_sent_actions_are_those_of_rtgym(rules: dict[str, Any], episode: dict[str, Any]) -> None:
    from rtgym.envs import RealTimeEnv as Oracle

    settings = {"time_step_duration": 0.002, "start_obs_capture": 0.002, **rules, **episode}
    ours = virtual(**settings)
    oracle = Oracle(realtime_config(Recorder, **settings))
    assert ours.observation_space == oracle.observation_space
    assert drive(ours, 3, 20) == drive(oracle, 3, 20)
    oracle.reset()
    oracle._join_thread()
    ours.reset()
    assert ours.interface.sent == oracle.interface.sent
    assert ours.interface.waits == oracle.interface.waits == (3 if rules.get("wait_on_done") else 0)


def test_the_last_action_is_not_sent_and_the_default_takes_its_place() -> None:
    env = virtual(ep_max_length=3)
    seen = drive(env, 2, 9)
    assert seen[1][:5] == (0, 0, 0, 0, 1), "the picture was taken under the default action"
    assert seen[3] == (2, 0, 1, 2, 3, 1.0, False, True)
    assert seen[4] == (2, 0, 1, 2, 0)
    assert env.interface.sent == [0, 1, 2, 0, 4, 5]


def test_a_mutated_action_does_not_change_the_history() -> None:
    env = virtual()
    env.reset()
    action = np.array([7.0], dtype=np.float32)
    env.step(action)
    action[0] = -1.0
    observation, *_ = env.step(np.array([8.0], dtype=np.float32))
    assert [float(part[0]) for part in observation] == [7, 0, 0, 7, 8]


def test_time_steps_keep_to_the_grid_when_the_agent_is_a_little_late() -> None:
    clock = ThinkingClock()
    captured = []

    class Timed(Recorder):
        def get_obs_rew_terminated_info(self):
            captured.append(clock.now_s())
            return super().get_obs_rew_terminated_info()

    env = RealTimeEnv(realtime_config(Timed, start_obs_capture=0.04), clock=clock)
    env.reset()
    for late_s in (0.0, 0.049, 0.0, 0.08, 0.0):
        clock.think(late_s)
        env.step(np.zeros(1, dtype=np.float32))
    assert env.time_outs == 1, "80 ms late is beyond the elasticity of one step"
    # 49 ms late: captured at once, and the next time step is on the grid again. 80 ms late: the grid begins anew.
    assert captured == pytest.approx([0.04, 0.09, 0.149, 0.19, 0.32, 0.37])


def test_waiting_breaks_the_flow_without_a_time_out() -> None:
    clock = ThinkingClock()
    env = RealTimeEnv(realtime_config(Recorder, wait_on_done=True, reset_act_buf=True, ep_max_length=2), clock=clock)
    for _ in range(3):
        drive(env, 1, 5)
        clock.think(60.0)
    assert env.time_outs == 0
    assert env.interface.waits == 3


@pytest.mark.parametrize("clock", [VirtualClock(), RealClock()], ids=["virtual", "real"])
@pytest.mark.parametrize("where", ["send_control", "get_obs_rew_terminated_info", "reset"])
def test_an_exception_of_the_interface_comes_out_of_the_next_call(clock: Any, where: str) -> None:
    class Broken(Recorder):
        broken = False

    def fail(self: Any, *args: Any, **kwargs: Any) -> Any:
        if self.broken:
            raise ConnectionResetError("the game went away")
        return getattr(Recorder, where)(self, *args, **kwargs)

    setattr(Broken, where, fail)
    env = RealTimeEnv(
        realtime_config(Broken, time_step_duration=0.01, start_obs_capture=0.01), clock=clock, watchdog_steps=3_000
    )
    env.reset()
    env.interface.broken = True
    before = time.monotonic()
    with pytest.raises(ConnectionResetError, match="went away"):
        for _ in range(3):
            env.reset() if where == "reset" else env.step(np.zeros(1, dtype=np.float32))
    assert time.monotonic() - before < 30, "it hung"
    env.interface.broken = False
    with pytest.raises(EnvError, match=r"reset\(\)"):
        env.step(np.zeros(1, dtype=np.float32)) if where != "reset" else virtual().step(np.zeros(1))
    env.reset()
    env.step(np.zeros(1, dtype=np.float32))
    env.close()


def test_an_interface_that_hangs_is_an_error_and_not_a_hang() -> None:
    release = threading.Event()

    class Hanging(Recorder):
        def get_obs_rew_terminated_info(self):
            release.wait(60)
            return super().get_obs_rew_terminated_info()

    env = RealTimeEnv(realtime_config(Hanging, time_step_duration=0.01), clock=RealClock())
    env.reset()
    with pytest.raises(EnvError, match=r"has not answered for 1\.0 s"):
        env.step(np.zeros(1, dtype=np.float32))
    with pytest.raises(EnvError, match="still does not answer"):
        env.reset()
    release.set()
    assert env._hung is not None
    env._hung.result(30)
    env.reset()
    env.step(np.zeros(1, dtype=np.float32))
    env.close()


def test_a_hung_interface_does_not_hold_the_program() -> None:
    release = threading.Event()

    class Hanging(Recorder):
        def reset(self, seed=None, options=None):
            release.wait(60)
            return super().reset(seed, options)

    env = RealTimeEnv(realtime_config(Hanging, time_step_duration=0.01), clock=RealClock())
    env._hung = env._runner.start(env.interface.reset)
    before = time.monotonic()
    env.close()
    assert time.monotonic() - before < 30
    release.set()


def test_a_time_out_inside_the_interface_is_told_apart_from_the_watchdog() -> None:
    class Late(Recorder):
        def get_obs_rew_terminated_info(self):
            raise TimeoutError("no record came")

    env = virtual(Late)
    env.reset()
    with pytest.raises(TimeoutError, match="no record came"):
        env.step(np.zeros(1, dtype=np.float32))


def test_all_calls_of_an_interface_come_from_one_thread() -> None:
    threads = set()

    class Watched(Recorder):
        def __init__(self) -> None:
            super().__init__()
            threads.add(threading.get_ident())

        def send_control(self, control) -> None:
            threads.add(threading.get_ident())
            super().send_control(control)

        def reset(self, seed=None, options=None):
            threads.add(threading.get_ident())
            return super().reset(seed, options)

    env = RealTimeEnv(
        realtime_config(Watched, time_step_duration=0.005, start_obs_capture=0.005),
        clock=RealClock(),
        watchdog_steps=6_000,
    )
    drive(env, 2, 3)
    env.close()
    assert len(threads) == 1
    assert threads != {threading.get_ident()}


def test_an_interface_class_may_bring_its_clock() -> None:
    class Bringing(Recorder):
        clock = None

        @classmethod
        def make_clock(cls) -> VirtualClock:
            return VirtualClock()

        def use_clock(self, clock: VirtualClock) -> None:
            self.clock = clock

    for interface in (Bringing, partial(Bringing, 3)):
        env = RealTimeEnv(realtime_config(interface))
        drive(env, 1, 2)
        assert env.interface.clock.now_s() == pytest.approx(0.15)


def test_benchmarks_have_the_names_of_rtgym_and_the_clock_of_the_environment() -> None:
    from rtgym.envs.utils.benchmark import Benchmark

    for kind in ("polyak", "trace"):
        env = virtual(benchmark=True, benchmark_type=kind)
        drive(env, 1, 5)
        measured = env.benchmarks()
        assert set(measured) == set(Benchmark().get_benchmark_dict())
        assert np.mean(measured["time_step_duration"][0]) == pytest.approx(0.05)
        assert np.mean(measured["get_obs_duration"][0]) == 0
    with pytest.raises(EnvError, match="benchmark"):
        virtual().benchmarks()


def test_durations_and_length_can_be_changed_on_the_way() -> None:
    env = virtual(interface_kwargs={})
    env.reset()
    env.set_time_step_duration(0.1)
    env.set_start_obs_capture(0.1)
    env.set_ep_max_length(2)
    env.step(np.zeros(1, dtype=np.float32))
    *_, truncated, _ = env.step(np.zeros(1, dtype=np.float32))
    assert truncated
    assert env._clock.now_s() == pytest.approx(0.05 + 0.1)
    env.set_default_action(np.array([5.0], dtype=np.float32))
    env.reset()
    assert env.interface.sent[-1] == 5
    assert env.unwrapped.default_action.tolist() == [5]


def test_wrong_use_is_answered_with_a_sentence() -> None:
    with pytest.raises(EnvError, match="did you mean 'time_step_duration'"):
        RealTimeConfig.from_dict({"time_step_durations": 1})
    with pytest.raises(EnvError, match="act_buf_len is 0, expected a whole number"):
        virtual(act_buf_len=0)

    class NoTuple(Recorder):
        def get_observation_space(self):
            return gym.spaces.Box(0, 1)

    with pytest.raises(EnvError, match="expected a Tuple"):
        virtual(NoTuple)
    with pytest.raises(EnvError, match=r"Recorder does not take .*'save_replays'"):
        virtual(interface_kwargs={"save_replays": False})
    env = virtual()
    with pytest.raises(EnvError, match=r"reset\(\)"):
        env.step(np.zeros(1))
    assert env.render() == "drawn"
    env.close()


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"time_step_duration": "0.05"}, "time_step_duration is '0.05', expected a number"),
        ({"ep_max_length": None}, "ep_max_length is None, expected a number"),
        ({"act_buf_len": 2.0}, "act_buf_len is 2.0, expected a whole number"),
        ({"act_buf_len": True}, "act_buf_len is True, expected a whole number"),
        ({"reset_act_buf": "false"}, "reset_act_buf is 'false', expected true or false"),
        ({"interface_args": 5}, "interface_args is 5, expected a list"),
        ({"interface_kwargs": [1]}, r"interface_kwargs is \[1\], expected a dictionary"),
    ],
)
def test_values_of_another_type_are_named(entries: dict[str, Any], message: str) -> None:
    with pytest.raises(EnvError, match=message):
        virtual(**entries)
    virtual(time_step_duration=np.float32(0.05), act_buf_len=np.int64(2)).close()


def test_a_history_that_may_be_false_is_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    virtual(wait_on_done=True)
    assert "reset_act_buf" in caplog.text
    caplog.clear()
    virtual(wait_on_done=True, reset_act_buf=True)
    assert not caplog.text


class Closing(Recorder):
    """Counts how often it was closed."""

    closed = 0

    def close(self) -> None:
        self.closed += 1


def assert_ended(before: set[threading.Thread]) -> None:
    """Every thread that was begun since then has ended."""
    for thread in set(threading.enumerate()) - before:
        thread.join(30)
        assert not thread.is_alive()


@pytest.mark.parametrize("make_clock", [VirtualClock, RealClock])
def test_closing_twice_is_closing_once_and_afterwards_nothing_runs(make_clock: type[VirtualClock]) -> None:
    before = set(threading.enumerate())
    config = realtime_config(Closing, time_step_duration=0.01, start_obs_capture=0.01)
    env = RealTimeEnv(config, clock=make_clock(), watchdog_steps=3_000)
    env.reset()
    env.step(np.zeros(1, dtype=np.float32))
    env.close()
    env.close()
    assert env.interface.closed == 1
    assert_ended(before)
    for call in (env.reset, env.wait):
        with pytest.raises(EnvError, match="is closed: make it anew"):
            call()
    with pytest.raises(EnvError, match="without a running episode"):
        env.step(np.zeros(1, dtype=np.float32))


def test_a_failed_time_step_does_not_keep_the_environment_from_closing() -> None:
    class Broken(Closing):
        def get_obs_rew_terminated_info(self):
            raise ConnectionResetError("the game went away")

    before = set(threading.enumerate())
    env = RealTimeEnv(realtime_config(Broken, time_step_duration=0.01), clock=RealClock(), watchdog_steps=3_000)
    env.reset()
    with pytest.raises(ConnectionResetError):
        env.close()
    assert env.interface.closed == 1
    assert_ended(before)
    env.close()


def test_a_hung_interface_is_closed_when_it_answers_again() -> None:
    release, closed = threading.Event(), threading.Event()

    class Hanging(Recorder):
        def get_obs_rew_terminated_info(self):
            release.wait(60)
            return super().get_obs_rew_terminated_info()

        def close(self) -> None:
            closed.set()

    env = RealTimeEnv(realtime_config(Hanging, time_step_duration=0.01), clock=RealClock())
    env.reset()
    with pytest.raises(EnvError, match="has not answered"):
        env.close()
    assert not closed.is_set()
    release.set()
    assert closed.wait(30)


def test_an_environment_that_cannot_be_made_leaves_no_thread() -> None:
    class NoTuple(Recorder):
        def get_observation_space(self):
            return gym.spaces.Box(0, 1)

    before = set(threading.enumerate())
    with pytest.raises(EnvError, match="expected a Tuple"):
        RealTimeEnv(realtime_config(NoTuple), clock=RealClock())
    assert_ended(before)

"""A Gymnasium environment in real time: rtgym's interface class and dictionary under a loop of our own.

A time step sends an action, captures an observation ``start_obs_capture`` later and lasts ``time_step_duration``; while
it runs, the agent thinks. ``step(a)`` waits for the running time step, returns what it saw, and starts the next one
with ``a``. So an observation was taken under the action before it, and the last actions belong to the observation.

What rtgym does, and this does too (checked against it in the tests): a late agent stretches a time step up to
``time_step_timeout_factor`` steps, beyond that the clock is set anew; the last action of an episode is never sent;
``reset`` sends the default action (or the last one, with ``last_act_on_reset``), which replaces the unsent one in the
buffer. What differs: an exception of the interface comes out of the next call instead of hanging it; an interface that
does not answer is an error after ``watchdog_steps``; on a virtual clock everything runs at once in the caller's thread
and every run is the same.
"""

import gc
import inspect
import logging
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any, Final

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from trackmaster.env.errors import EnvError
from trackmaster.env.realtime.benchmark import Benchmark
from trackmaster.env.realtime.clock import Clock, RealClock
from trackmaster.env.realtime.config import RealTimeConfig
from trackmaster.env.realtime.runner import BackgroundRunner, InlineRunner, Runner, result_within

LOG = logging.getLogger(__name__)
Observation = tuple[Any, ...]
Outcome = tuple[Observation, float, bool, dict[str, Any]]

WATCHDOG_STEPS: Final = 10
SHORTEST_WATCHDOG_S: Final = 1.0
"""A computer that is busy with something else for a moment is no hung interface."""
RESET_TIMEOUT_S: Final = 60.0
"""For building an interface, resetting and waiting, which may load a map or wait for a green light."""
_CLOSE_TIMEOUT_S: Final = 2.0


class RealTimeEnv(gym.Env[Observation, NDArray[np.float32]]):
    """See the module. Ids: ``trackmaster/RealTime-v1`` and those of ``trackmaster.env.ids``."""

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012

    def __init__(
        self, config: Mapping[str, Any], *, clock: Clock | None = None, watchdog_steps: float = WATCHDOG_STEPS
    ) -> None:
        """Build the interface.

        Args:
            config: rtgym's dictionary (``realtime_config`` makes one).
            clock: to live by. Without it the one that the interface's class makes (``make_clock``), else real time. An
                interface that has ``use_clock`` is told which it is.
            watchdog_steps: time steps without an answer after which ``step`` raises; one second at least.

        Raises:
            EnvError: the dictionary is wrong.
        """
        self.config = RealTimeConfig.from_dict(config)
        self._clock = clock if clock is not None else _clock_of(self.config.interface)
        self._watchdog_steps = watchdog_steps
        self._runner: Runner = InlineRunner() if self._clock.is_virtual else BackgroundRunner()
        self._bench = Benchmark(
            self._clock.now_s,
            polyak=self.config.benchmark_polyak,
            keeps_trace=self.config.benchmark_type.lower() == "trace",
        )
        self.time_step_duration, self.start_obs_capture = self.config.time_step_duration, self.config.start_obs_capture
        self.time_step_timeout_factor = self.config.time_step_timeout_factor
        self.ep_max_length = self.config.ep_max_length
        self.time_outs = 0
        """Time steps that began too late for the clock to be kept."""
        self._running: Future[Any] | None = None
        self._is_episode = self._is_waiting = False
        self._hung: Future[Any] | None = None
        self._end_s: float | None = None
        self.current_step = 0
        self._is_closed = False
        try:
            self._meet()
        except BaseException:
            self._runner.close(0.0)  # nobody will get hold of this environment to close it
            raise
        self._actions: deque[NDArray[Any]] = deque(maxlen=int(self.config.act_buf_len))
        self._fill_buffer()
        if self.config.wait_on_done and not self.config.reset_act_buf:
            LOG.warning(
                "wait_on_done is on and reset_act_buf off: after wait() other actions were in force than the buffer "
                "shows. Set reset_act_buf to true."
            )

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode; the default action is in force from here on.

        Raises:
            EnvError: the interface does not answer, or the environment is closed. Exceptions of the interface come
                through.
        """
        super().reset(seed=seed)
        self._join()
        self._is_episode, self.current_step = False, 0
        if self.config.reset_act_buf:
            self._fill_buffer()
        elif not self.config.last_act_on_reset:
            self._actions[-1] = self.default_action
        observation, info = self._call(lambda: self.interface.reset(seed=seed, options=options), "reset")
        if self._end_s is None:
            if not self._clock.is_virtual:
                gc.collect()
                gc.freeze()  # a full collection of everything imported so far would stall a step by 40 to 60 ms
            self._end_s = self._clock.now_s()
        if self.config.obs_prepro_func is not None:
            observation = self.config.obs_prepro_func(observation)
        seen = self._with_actions(tuple(observation))
        self._is_episode = True
        self._start(self._actions[-1])
        return seen, info

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Wait for the running time step, return what it saw, start the next one with ``action``.

        Raises:
            EnvError: no episode runs, or the interface does not answer. Its own exceptions come through.
        """
        if not self._is_episode:
            raise EnvError("step was called without a running episode: call reset() first.")
        self._note("inference_duration", "end_step")
        self._bench.mark("start_step")
        outcome = self._join()
        self._note("join_duration", "start_step")
        if outcome is None:
            raise EnvError("the time step before this one failed: call reset() first.")
        observation, reward, terminated, info = outcome
        self.current_step += 1
        self._actions.append(np.array(action, copy=True))
        truncated = not terminated and self.current_step >= self.ep_max_length
        seen = self._with_actions(observation)
        if terminated or truncated:
            self._is_episode = False
            if self.config.wait_on_done:
                self.wait()
        else:
            self._start(self._actions[-1])
        self._note("step_duration", "start_step")
        self._bench.mark("end_step")
        return seen, reward, terminated, truncated, info

    def wait(self) -> None:
        """Break the real-time flow until the next ``reset``: the interface's ``wait`` is called, the clock may stop."""
        self._join()
        self._is_waiting = True
        self._call(self.interface.wait, "wait")

    def benchmarks(self) -> dict[str, Any]:
        """Return durations in seconds, as (mean, mean deviation) or as arrays.

        Raises:
            EnvError: ``benchmark`` is off in the configuration.
        """
        if not self.config.benchmark:
            raise EnvError("nothing was measured: set benchmark to true in the real-time configuration.")
        return self._bench.result()

    def set_default_action(self, default_action: Any) -> None:
        """Send another default action from the next ``reset`` on."""
        self.default_action = np.asarray(default_action)

    def set_time_step_duration(self, time_step_duration: float, time_step_timeout_factor: float | None = None) -> None:
        """Change seconds per time step, and how many of them one may be late."""
        self._finish()
        self.time_step_duration = time_step_duration
        if time_step_timeout_factor is not None:
            self.time_step_timeout_factor = time_step_timeout_factor

    def set_start_obs_capture(self, start_obs_capture: float) -> None:
        """Change when in a time step observations are captured, in seconds."""
        self._finish()
        self.start_obs_capture = start_obs_capture

    def set_ep_max_length(self, ep_max_length: float) -> None:
        """Change after how many steps episodes are truncated."""
        self.ep_max_length = ep_max_length

    def render(self) -> Any:
        """Return what the interface renders."""
        return self.interface.render()

    def close(self) -> None:
        """Let the running time step end, and the interface with it; a second call does nothing.

        A hung interface is not waited for: it is closed if it ever answers.

        Raises:
            EnvError: the interface does not answer. Its own exceptions come through.
        """
        if self._is_closed:
            return
        self._is_closed, self._is_episode = True, False
        try:
            if not self._is_hung:
                self._join()
        finally:
            try:
                self._close_interface()
            finally:
                self._runner.close(0.0 if self._is_hung else _CLOSE_TIMEOUT_S)

    @property
    def _is_hung(self) -> bool:
        return self._hung is not None and not self._hung.done()

    def _close_interface(self) -> None:
        closing = getattr(self.interface, "close", None)
        if callable(closing) and self._is_hung:
            self._runner.start(closing)
        elif callable(closing):
            self._call(closing, "close")

    def _meet(self) -> None:
        """Build the interface and ask it for what never changes."""
        self.interface = self._call(self._build, "building it")
        self.default_action = np.asarray(self._call(self.interface.get_default_action, "default action"))
        self.action_space = self._call(self.interface.get_action_space, "action space")
        self.observation_space = self._space(self._call(self.interface.get_observation_space, "observation space"))

    def _build(self) -> Any:
        make, args, kwargs = self.config.interface, self.config.interface_args, self.config.interface_kwargs
        try:
            inspect.signature(make).bind(*args, **kwargs)
        except TypeError as error:  # only what stands in the configuration; errors from inside come through
            raise EnvError(
                f"the interface {getattr(make, '__name__', make)} does not take these interface_args and "
                f"interface_kwargs: {error}."
            ) from error
        interface = make(*args, **kwargs)
        if hasattr(interface, "use_clock"):
            interface.use_clock(self._clock)
        return interface

    def _space(self, own: Any) -> gym.spaces.Tuple[Any]:
        if not isinstance(own, gym.spaces.Tuple):
            raise EnvError(f"the interface's observation space is a {type(own).__name__}, expected a Tuple.")
        actions = (self.action_space,) * self.config.act_buf_len if self.config.act_in_obs else ()
        return gym.spaces.Tuple((*own.spaces, *actions))

    def _fill_buffer(self) -> None:
        self._actions.extend([self.default_action] * self.config.act_buf_len)

    def _with_actions(self, observation: Observation) -> Observation:
        return (*observation, *(action.copy() for action in self._actions)) if self.config.act_in_obs else observation

    def _call(self, call: Any, what: str) -> Any:
        """Run something of the interface between two time steps."""
        return self._result(self._runner.start(call), RESET_TIMEOUT_S, what)

    def _result(self, future: "Future[Any]", timeout_s: float, what: str) -> Any:
        if self._is_hung:
            raise EnvError("the interface still does not answer: build the environment anew, or try again later.")
        self._hung = None
        try:
            return result_within(future, timeout_s, what)
        except EnvError:
            self._hung = None if future.done() else future
            raise

    def _start(self, action: NDArray[Any]) -> None:
        self._running = self._runner.start(lambda: self._time_step(action))

    def _finish(self) -> None:
        """Wait for the running time step, and leave its result to whoever asks next."""
        if self._running is not None:
            running = self._running
            self._result(running, self._watchdog_s, "time step")

    def _join(self) -> Outcome | None:
        """Wait for the running time step; its outcome, or None if none ran."""
        running, self._running = self._running, None
        outcome: Outcome | None = None
        if running is not None:
            try:
                outcome = self._result(running, self._watchdog_s, "time step")
            except BaseException:
                self._is_episode = False
                raise
        return outcome

    @property
    def _watchdog_s(self) -> float:
        return max(self._watchdog_steps * self.time_step_duration, SHORTEST_WATCHDOG_S)

    def _time_step(self, action: NDArray[Any]) -> Outcome:
        """Send, wait, capture, wait; runs where the runner says."""
        self._note("time_step_duration", "start_send_control")
        self._bench.mark("start_send_control")
        prepare = self.config.act_prepro_func
        self.interface.send_control(action if prepare is None else prepare(action))
        self._note("send_control_duration", "start_send_control")
        start_s = self._next_start_s()
        self._end_s = start_s + self.time_step_duration
        self._clock.sleep_until(start_s + self.start_obs_capture)
        self._bench.mark("start_get_obs")
        observation, reward, terminated, info = self.interface.get_obs_rew_terminated_info()
        if self.config.obs_prepro_func is not None:
            observation = self.config.obs_prepro_func(observation)
        self._note("get_obs_duration", "start_get_obs")
        self._clock.sleep_until(self._end_s)
        return tuple(observation), reward, bool(terminated), info

    def _next_start_s(self) -> float:
        """Return when this time step counts as begun: at the planned end of the last one, or now if that is past."""
        now_s, planned_s = self._clock.now_s(), self._end_s
        is_waiting, self._is_waiting = self._is_waiting, False
        if planned_s is None:
            return now_s
        if now_s < planned_s + self.time_step_duration * self.time_step_timeout_factor:
            self._is_waiting = is_waiting
            return planned_s
        if not is_waiting:
            self.time_outs += 1
            LOG.warning("time step %d began %.0f ms late; the clock was set anew", self.current_step + 1,
                        1_000 * (now_s - planned_s))  # fmt: skip
        return now_s

    def _note(self, duration: str, since: str) -> None:
        if self.config.benchmark:
            self._bench.note(duration, since)


def _clock_of(interface: Any) -> Clock:
    """Return the clock that an interface's class makes, a real one where it makes none."""
    make = getattr(getattr(interface, "func", interface), "make_clock", None)
    clock: Clock = make() if callable(make) else RealClock()
    return clock

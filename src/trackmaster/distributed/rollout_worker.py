"""Drives one Gymnasium environment with the newest policy and sends what it lived through."""

import functools
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from torch import Tensor

from trackmaster.distributed.collected import CollectedSamples
from trackmaster.distributed.disk_trouble import DiskTrouble
from trackmaster.distributed.judged import part_actors
from trackmaster.distributed.link.server_link import MakeColumns, ServerLink, say_ignored
from trackmaster.distributed.observed import buffered_actions, default_action, in_space
from trackmaster.distributed.policy_files import PolicyFiles
from trackmaster.distributed.security.join_string import DEFAULT_PORT
from trackmaster.distributed.transport.contract import WorkerEnd
from trackmaster.errors import ConfigError
from trackmaster.rl.actor import ActorModule
from trackmaster.rl.samples.buffer import Buffer, Sample

CHUNK_ROWS = 200
"""Samples after which a chunk is sent although the episode goes on."""
WAIT_S = 0.05
"""Between two looks for new weights while waiting for them."""

Step = tuple[Any, float, bool, bool, dict[str, Any]]
MakeEnd = Callable[[Any, Any], WorkerEnd]
"""Makes the link to the trainer from the observation and the action space."""


class RolloutWorker:
    """Collects the samples of one environment.

    Args:
        env_cls: makes the environment.
        actor_module_cls: makes the policy from (observation_space, action_space).
        sample_compressor: (action, obs, reward, terminated, truncated, info) to the same six, smaller.
        device: where the policy runs.
        max_samples_per_episode: longest episode; handed to an environment that can limit itself, because only there
            the truncation takes part in the rules of its action buffer.
        model_path: local copy of the policy; the worker begins with it if it exists.
        obs_preprocessor: applied to every observation before the actor and the compressor see it.
        crc_debug: send checksums of the uncompressed samples and keep those in ``info``.
        model_path_history: where older policies go, without the ending.
        model_history: keep every n-th policy received; 0 keeps none.
        standalone: without a trainer, to test or to use a policy.
        server_ip: of the server, this machine when left out; or a join string.
        server_port: of the server.
        password: of the server.
        security: None, or "TLS".
        max_buf_len: samples that the buffer holds.
        ignored: ``local_port``, ``header_size``, ``keys_dir`` and ``hostname`` of tmrl, which mean nothing here.
        allow_insecure: plain text to another machine.
        drop_when_full: give up the oldest whole episodes when the link cannot keep up, instead of waiting.
        end: another link to the trainer, or what makes it from the two spaces.
        columns: makes the columns of the samples from the two spaces; the server compares them with the trainer's.
        worker_id: number of this worker; the server gives one over the network.
        chunk_rows: samples after which a chunk is sent although the episode goes on.
        say: where lines for people go.
    """

    def __init__(
        self,
        env_cls: Callable[[], Any],
        actor_module_cls: Callable[[Any, Any], ActorModule],
        sample_compressor: Callable[..., Sample] | None = None,
        device: str = "cpu",
        max_samples_per_episode: float = math.inf,
        model_path: str | Path | None = None,
        obs_preprocessor: Callable[[Any], Any] | None = None,
        crc_debug: bool = False,
        model_path_history: str | Path | None = None,
        model_history: int = 0,
        standalone: bool = False,
        server_ip: str | None = None,
        server_port: int = DEFAULT_PORT,
        password: str | None = None,
        security: str | None = None,
        max_buf_len: int = 500_000,
        *,
        allow_insecure: bool = False,
        drop_when_full: bool = False,
        end: WorkerEnd | MakeEnd | None = None,
        columns: MakeColumns | None = None,
        worker_id: int = 0,
        chunk_rows: int = CHUNK_ROWS,
        say: Callable[[str], None] = print,
        **ignored: Any,
    ) -> None:
        say_ignored(**ignored)
        if end is None and not standalone:
            link = ServerLink(server_ip, server_port, password, security, allow_insecure)
            link.address()  # before the environment starts
            end = functools.partial(link.worker_end, columns=columns, drops=drop_when_full, say=say)
        self.env = env_cls()
        self.obs_preprocessor, self.get_local_buffer_sample = obs_preprocessor, sample_compressor
        self.device, self.crc_debug, self.standalone = device, crc_debug, standalone
        self.max_samples_per_episode = max_samples_per_episode
        self.observation_space, self.action_space = self.env.observation_space, self.env.action_space
        self.actor = actor_module_cls(self.observation_space, self.action_space).to_device(device)
        self.files = PolicyFiles(model_path, model_path_history, model_history)
        self.actor = self.files.load(self.actor, device, say)
        self._make_actor = functools.partial(actor_module_cls, self.observation_space, self.action_space)
        self._judged: ActorModule | None = None  # drives test episodes where the trainer has another actor for them
        self.buffer = Buffer(max_buf_len)
        self._say, self._trouble = say, DiskTrouble(say)
        self._end = end(self.observation_space, self.action_space) if callable(end) else end
        self._collected = CollectedSamples(
            self._end, self.buffer, compress=sample_compressor, crc_debug=crc_debug, worker_id=worker_id,
            n_actions=buffered_actions(self.observation_space, self.action_space), chunk_rows=chunk_rows,
        )  # fmt: skip
        self._version, self._seen_version = -1, -1
        self.models_received = 0
        self.env_steps = 0
        """Steps of train episodes."""
        self._limit_episodes()

    def run(
        self,
        test_episode_interval: int = 0,
        nb_episodes: float = math.inf,
        verbose: bool = True,
        expert: bool = False,
    ) -> None:
        """Collect episodes, send each and fetch new weights, until the trainer asks to stop.

        Args:
            test_episode_interval: a deterministic episode, not collected, before every n-th one; 0 makes none.
            nb_episodes: train episodes to drive.
            verbose: a line per episode.
            expert: never load weights and never test, for policies that are better than those being trained.
        """
        episode = 0
        while episode < nb_episodes and not self._should_stop():
            if test_episode_interval and episode % test_episode_interval == 0 and not expert:
                self.run_episode(self.max_samples_per_episode, train=False, verbose=verbose)
                if self._should_stop():
                    break
            self.collect_train_episode(self.max_samples_per_episode, verbose=verbose)
            self.send_and_clear_buffer()
            if expert:
                self.ignore_actor_weights()
            else:
                self.update_actor_weights(verbose=verbose)
            episode += 1

    def run_synchronous(
        self,
        test_episode_interval: int = 0,
        nb_steps: float = math.inf,
        initial_steps: int = 1,
        max_steps_per_update: float = math.inf,
        end_episodes: bool = True,
        verbose: bool = False,
    ) -> None:
        """Collect steps and wait for new weights where they come too slowly, for environments faster than real time.

        Args:
            test_episode_interval: a deterministic episode before every n-th one; 0 makes none.
            nb_steps: steps to drive.
            initial_steps: steps before anything is waited for.
            max_steps_per_update: wait while there were more steps than this per policy received.
            end_episodes: wait between episodes only; otherwise also in the middle of them.
            verbose: a line per episode.
        """
        steps, episode, obs = 0, 0, None
        result, length = 0.0, 0
        while steps < nb_steps and not self._should_stop():
            if obs is None:
                self._catch_up(steps, initial_steps, max_steps_per_update)
                if test_episode_interval and episode % test_episode_interval == 0:
                    self.run_episode(self.max_samples_per_episode, train=False, verbose=verbose)
                episode += 1
                obs, _ = self.reset(collect_samples=True)
                result, length = 0.0, 0
            last_step = length + 1 >= self.max_samples_per_episode
            obs, reward, terminated, truncated, _ = self.step(obs, False, True, last_step=last_step)
            steps, length, result = steps + 1, length + 1, result + reward
            if terminated or truncated:
                self._note_train(result, length, verbose)
                self.send_and_clear_buffer()
                obs = None
            elif not end_episodes and self._is_ahead(steps, initial_steps, max_steps_per_update):
                self.send_and_clear_buffer()
                self._catch_up(steps, initial_steps, max_steps_per_update)
        self.send_and_clear_buffer()

    def collect_train_episode(self, max_samples: float | None = None, *, verbose: bool = False) -> None:
        """Drive one exploring episode into the buffer."""
        limit = self.max_samples_per_episode if max_samples is None else max_samples
        obs, _ = self.reset(collect_samples=True)
        result, steps, done = 0.0, 0, False
        while not done and not self._should_stop():
            obs, reward, terminated, truncated, _ = self.step(obs, False, True, last_step=steps + 1 >= limit)
            result, steps, done = result + reward, steps + 1, terminated or truncated
        self._note_train(result, steps, verbose)

    def run_episodes(
        self, max_samples: float | None = None, nb_episodes: float = math.inf, train: bool = False
    ) -> list[tuple[float, int]]:
        """Drive episodes without collecting them; return the return and length of each."""
        episodes: list[tuple[float, int]] = []
        while len(episodes) < nb_episodes and not self._should_stop():
            episodes.append(self.run_episode(max_samples, train))
        return episodes

    def run_episode(
        self, max_samples: float | None = None, train: bool = False, *, verbose: bool = True
    ) -> tuple[float, int]:
        """Drive one episode without collecting it, deterministic unless ``train``; return its return and length."""
        limit = self.max_samples_per_episode if max_samples is None else max_samples
        obs, _ = self.reset(collect_samples=False)
        result, steps, done = 0.0, 0, False
        while not done and not self._should_stop():
            obs, reward, terminated, truncated, _ = self.step(obs, not train, False, last_step=steps + 1 >= limit)
            result, steps, done = result + reward, steps + 1, terminated or truncated
        if train:
            self.buffer.stat_train_return, self.buffer.stat_train_steps = result, steps
        else:
            self.buffer.stat_test_return, self.buffer.stat_test_steps = result, steps
        if done:
            stats = {"return": result, "steps": float(steps), "test": float(not train)}
            self._collected.add_outcome(stats, (default_action(self.env), obs, 0.0, False, True, {}))
        if verbose:
            self._say(f"{'train' if train else 'test'} episode: return {result:.4g}, {steps} steps")
        return result, steps

    def run_env_benchmark(self, nb_steps: int = 1_000, test: bool = False, *, verbose: bool = True) -> Any:
        """Drive ``nb_steps`` and return the durations that a real-time environment measures of itself.

        Raises:
            ConfigError: the environment measures none.
        """
        benchmarks = getattr(self.env.unwrapped, "benchmarks", None)
        if benchmarks is None:
            raise ConfigError(
                "The environment measures no durations: it must be a real-time one with benchmark set to true in its "
                "configuration (RTGYM_CONFIG)."
            )
        obs, _ = self.reset(collect_samples=False)
        for _ in range(nb_steps):
            obs, _, terminated, truncated, _ = self.step(obs, test, False)
            if terminated or truncated:
                obs, _ = self.reset(collect_samples=False)
        found = benchmarks()
        if verbose:
            self._say(f"Benchmark over {nb_steps} steps: {found}")
        return found

    def act(self, obs: Any, test: bool = False) -> Any:
        """Return the policy's action."""
        return (self._judged_actor if test else self.actor).act_(obs, test=test)

    def reset(self, collect_samples: bool) -> tuple[Any, dict[str, Any]]:
        """Begin an episode; a collected one begins with a sample of the default action."""
        raw, info = self.env.reset()
        seen = in_space(raw, self.observation_space)
        obs = seen if self.obs_preprocessor is None else self.obs_preprocessor(seen)
        if collect_samples:
            sample = (default_action(self.env), obs, 0.0, False, False, info)
            self._collected.begin(sample, seen, self._version)
        return obs, info

    def step(self, obs: Any, test: bool, collect_samples: bool, last_step: bool = False) -> Step:
        """Act once; ``last_step`` truncates the episode here."""
        action = self.act(obs, test=test)
        raw, reward, terminated, truncated, info = self.env.step(action)
        seen = in_space(raw, self.observation_space)
        new_obs = seen if self.obs_preprocessor is None else self.obs_preprocessor(seen)
        reward, terminated = float(reward), bool(terminated)
        truncated = bool(truncated) or (last_step and not terminated)
        if collect_samples:
            self.env_steps += 1
            self._collected.add((action, new_obs, reward, terminated, truncated, info))
        return new_obs, reward, terminated, truncated, info

    def send_and_clear_buffer(self) -> None:
        """Send what was collected and how the test episodes went."""
        self._collected.send(self._version)

    def update_actor_weights(self, verbose: bool = True, blocking: bool = False) -> int:
        """Take over the newest weights; return how many policies were received: 0 or 1.

        Args:
            verbose: a line when there are new ones.
            blocking: wait until there are.
        """
        weights = self._poll()
        while weights is None and blocking and not self._should_stop():
            time.sleep(WAIT_S)
            weights = self._poll()
        if weights is None:
            return 0
        self._take_over(weights.unpack())
        self._version = self._seen_version = weights.version
        self.models_received += 1
        with self._trouble.survived("The local copy of the policy"):
            self.files.keep(self._judged_actor, self.models_received)
        if verbose:
            self._say(f"Weights version {weights.version} received.")
        return 1

    def ignore_actor_weights(self) -> int:
        """Leave the newest weights aside; return how many there were."""
        weights = self._poll()
        if weights is None:
            return 0
        self._seen_version = weights.version
        return 1

    def close(self, *, flush: bool = True) -> None:
        """Send what is left unless ``flush`` is False, say goodbye and close the environment."""
        try:
            if flush:
                self.send_and_clear_buffer()
        finally:
            if self._end is not None:
                self._end.close()
            self.env.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        # Whoever interrupts a worker that waits for a server which was never there does not want to wait once more.
        self.close(flush=kind is None or self._collected.has_sent)

    @property
    def _judged_actor(self) -> ActorModule:
        return self.actor if self._judged is None else self._judged

    def _take_over(self, tensors: dict[str, Tensor]) -> None:
        exploring, judged = part_actors(tensors)
        self.actor.load_tensors(exploring)
        if judged is None:
            self._judged = None
            return
        if self._judged is None:
            self._judged = self._make_actor().to_device(self.device)
        self._judged.load_tensors(judged)

    def _note_train(self, result: float, steps: int, verbose: bool) -> None:
        self.buffer.stat_train_return, self.buffer.stat_train_steps = result, steps
        self._collected.episode_stats = {"return": result, "steps": float(steps), "test": 0.0}
        if verbose:
            self._say(f"train episode: return {result:.4g}, {steps} steps")

    def _catch_up(self, steps: int, initial_steps: int, max_steps_per_update: float) -> None:
        """Fetch weights; wait for as long as there were too many steps for those received."""
        self.update_actor_weights(verbose=False)
        while self._is_ahead(steps, initial_steps, max_steps_per_update) and not self._should_stop():
            self.update_actor_weights(verbose=False, blocking=True)
        self._collected.drive_with(self._version)

    def _is_ahead(self, steps: int, initial_steps: int, max_steps_per_update: float) -> bool:
        return steps >= initial_steps and steps / max(1, self.models_received) > max_steps_per_update

    def _poll(self) -> Any:
        return self._end.poll_weights(self._seen_version) if self._end is not None else None

    def _should_stop(self) -> bool:
        return self._end is not None and self._end.should_stop()

    def _limit_episodes(self) -> None:
        unwrapped = self.env.unwrapped
        limit, set_limit = self.max_samples_per_episode, getattr(unwrapped, "set_ep_max_length", None)
        if set_limit is not None and limit < getattr(unwrapped, "ep_max_length", math.inf):
            set_limit(int(limit))

"""The trainer's loop over any memory and agent: receive, train, publish, in epochs, rounds and steps."""

import cProfile
import io
import math
import pstats
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from trackmaster.distributed.judged import join_actors
from trackmaster.distributed.transport.contract import EvictingTrainerEnd, TrainerEnd, Weights
from trackmaster.distributed.wire.marks import Marks
from trackmaster.rl.agent import TrainingAgent
from trackmaster.rl.device import resolve_device
from trackmaster.rl.files.agent_state import remember_constructed
from trackmaster.rl.samples.buffer import Buffer
from trackmaster.rl.samples.chunk import Chunk, SampleError
from trackmaster.rl.samples.columns import check_samples, samples_of
from trackmaster.rl.samples.layout import SampleLayout

CHECK_S = 1.0
PROFILE_LINES = 25
STARVED_S = 10.0
"""How long samples may stay away from a training that waits for them before it is asked what holds them."""
MAX_EPISODES = 10_000
"""Whose numbers are kept for the means of a round; while training waits there may be any number."""
EPISODE_NUMBERS = {
    "return_test": ("return", 1.0), "return_train": ("return", 0.0),
    "episode_length_test": ("steps", 1.0), "episode_length_train": ("steps", 0.0),
}  # fmt: skip
"""Means of a round: which number of which kind of episode."""
Note = Callable[[dict[str, float]], None]


class TorchTrainingOffline:
    """Trains an agent from the samples that arrive.

    Args:
        env_cls: makes an environment, of which only the spaces are looked at; or the tuple (observation_space,
            action_space), for a trainer on a machine without the game.
        memory_cls: makes the memory from (nb_steps, device).
        training_agent_cls: makes the agent from (observation_space, action_space, device).
        epochs: checkpoints of the whole training.
        rounds: lines of statistics per epoch.
        steps: training steps per round.
        update_buffer_interval: training steps between two looks for samples.
        update_model_interval: training steps between two publications of the policy.
        max_training_steps_per_env_step: pause while there were more training steps than this per sample received.
        start_training: samples that must be there to be drawn before the first training step.
        device: where to train; None takes a GPU if there is one.
        sleep_between_buffer_retrieval_attempts: longest wait for samples at a time while pausing, in seconds.
        profiling: tell after every round where the time went.
        agent_scheduler: called with (agent, epoch) at the beginning of every epoch.
        say: where lines for people go.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        env_cls: Any = None,
        memory_cls: Callable[..., Any] | None = None,
        training_agent_cls: Callable[..., TrainingAgent] | None = None,
        epochs: int = 10,
        rounds: int = 50,
        steps: int = 2_000,
        update_buffer_interval: int = 100,
        update_model_interval: int = 100,
        max_training_steps_per_env_step: float = 1.0,
        sleep_between_buffer_retrieval_attempts: float = 1.0,
        profiling: bool = False,
        agent_scheduler: Callable[[Any, int], None] | None = None,
        start_training: int = 0,
        device: str | None = None,
        *,
        say: Callable[[str], None] = print,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if env_cls is None or memory_cls is None or training_agent_cls is None:
            raise TypeError("TorchTrainingOffline needs env_cls, memory_cls and training_agent_cls")
        self.epochs, self.rounds, self.steps = epochs, rounds, steps
        self.update_buffer_interval, self.update_model_interval = update_buffer_interval, update_model_interval
        self.max_training_steps_per_env_step, self.start_training = max_training_steps_per_env_step, start_training
        self.sleep_between_buffer_retrieval_attempts = sleep_between_buffer_retrieval_attempts
        self.profiling, self.agent_scheduler = profiling, agent_scheduler
        self.device = device or resolve_device("auto")
        self.observation_space, self.action_space = _spaces(env_cls)
        self.memory = memory_cls(nb_steps=steps, device=self.device)
        self.agent = training_agent_cls(
            observation_space=self.observation_space, action_space=self.action_space, device=self.device
        )
        remember_constructed(self.agent)
        self._say, self._clock = say, clock
        self.epoch = self.round = self.step = 0
        self.total_updates = self.total_samples = self.weights_version = 0
        """Training steps, transitions received and policies published, over all lives of the run."""
        self.refused_chunks = self.duplicate_chunks = self.evicted_transitions = 0
        self._layout = SampleLayout()
        self._misfits: list[tuple[Chunk, str]] = []
        self._told: set[int] = set()
        self._newest = Marks[str]()
        self._arrived = 0  # transitions in this life
        self._handed_over: deque[Chunk] = deque()  # by the link, which counts them as ours
        self._episodes: deque[Mapping[str, float]] = deque(maxlen=MAX_EPISODES)
        self._batches: Iterator[Any] | None = None
        self._checked_at = self._fed_at = clock()
        self._starved: Callable[[], bool] | None = None
        self._is_new_here = False  # something has come since the training starved last

    @property
    def is_over(self) -> bool:
        """Whether every epoch has been trained."""
        return self.epoch >= self.epochs

    def run_epoch(
        self,
        end: TrainerEnd,
        note: Callable[[dict[str, float]], None] | None = None,
        starved: Callable[[], bool] | None = None,
    ) -> list[dict[str, float]]:
        """Train the rest of the current epoch; return the statistics of its rounds.

        Args:
            end: link to the workers.
            note: called with the statistics of each round as it ends.
            starved: called when no more samples have come for a while to a training that waits for them; returns
                whether there is nothing left to do about it until something has come.
        """
        self._starved = starved
        if self.round == self.step == 0 and self.agent_scheduler is not None:
            self.agent_scheduler(self.agent, self.epoch)
        found = []
        while self.round < self.rounds:
            stats = self._profiled_round(end) if self.profiling else self._run_round(end)
            self.round, self.step = self.round + 1, 0
            found.append(stats)
            self._say(self.describe(stats))
            if note is not None:
                note(stats)
        self.epoch, self.round = self.epoch + 1, 0
        return found

    def receive(self, end: TrainerEnd, timeout_s: float = 0.0) -> int:
        """Store what has arrived; return the number of transitions."""
        arrived = end.recv_chunks(timeout_s)
        if arrived:
            self._fed_at, self._is_new_here = self._clock(), True
        self._handed_over.extend(arrived)
        added = self.take_rest()
        self._send_away(end)
        return added

    def take_rest(self) -> int:
        """Store what ``receive`` was interrupted in storing; return the number of transitions."""
        before = self.total_samples
        while self._handed_over:
            self._take(self._handed_over[0])
            self._handed_over.popleft()
        self._arrived += self.total_samples - before
        return self.total_samples - before

    def publish(self, end: TrainerEnd) -> None:
        """Send the policy of this moment to the workers."""
        self.weights_version += 1
        tensors = join_actors(self.agent.actor_tensors(), self.agent.judged_tensors())
        end.publish(Weights.pack(self.weights_version, tensors))

    def marks(self) -> dict[str, int]:
        """Return the highest chunk number received, by session of a worker."""
        return dict(self._newest.items())

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint keeps besides agent and memory."""
        return {
            "epoch": self.epoch, "round": self.round, "step": self.step, "total_updates": self.total_updates,
            "total_samples": self.total_samples, "weights_version": self.weights_version,
            "refused_chunks": self.refused_chunks, "duplicate_chunks": self.duplicate_chunks,
            "evicted_transitions": self.evicted_transitions, "newest": self.marks(),
        }  # fmt: skip

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue where ``state`` was taken."""
        self._newest = Marks({str(session): int(seq) for session, seq in state["newest"].items()})
        for name in self.state().keys() - {"newest"}:
            setattr(self, name, int(state.get(name, 0)))

    def describe(self, stats: Mapping[str, float]) -> str:
        """Return the statistics of a round as a line for people."""
        head = f"epoch {self.epoch + 1}/{self.epochs}, round {self.round}/{self.rounds}"
        return f"{head}: " + ", ".join(f"{name} {value:.4g}" for name, value in stats.items() if not math.isnan(value))

    def _run_round(self, end: TrainerEnd) -> dict[str, float]:
        started, idle_s, numbers = self._clock(), 0.0, defaultdict[str, list[float]](list)
        busy = {"sampling_duration": 0.0, "training_step_duration": 0.0}
        trained, samples, evicted = 0, self.total_samples, self.evicted_transitions
        idle_s += self._wait_for_start(end)
        while self.step < self.steps:
            if self.total_updates % self.update_buffer_interval == 0:
                self.receive(end)
            if not len(self.memory):  # everything was from a worker that was sent away
                idle_s += self._wait_for_start(end)
            t0 = self._clock()
            batch = self._next_batch()
            t1 = self._clock()
            for name, value in self.agent.train(batch).items():
                numbers[name].append(float(value))
            t2 = self._clock()
            busy["sampling_duration"] += t1 - t0
            busy["training_step_duration"] += t2 - t1
            self.total_updates, self.step, trained = self.total_updates + 1, self.step + 1, trained + 1
            if self.total_updates % self.update_model_interval == 0:
                self.publish(end)
            idle_s += self._pause(end)
            self._check(end)
        self.receive(end)
        return {
            "memory_len": float(len(self.memory)), "round_time": self._clock() - started, "idle_time": idle_s,
            **self._episode_means(), **{name: s / max(1, trained) for name, s in busy.items()},
            "samples_per_second": (self.total_samples - samples) / max(1e-9, self._clock() - started),
            **{name: sum(values) / len(values) for name, values in numbers.items()},
            **({"evicted_transitions": float(self.evicted_transitions - evicted)} if self.evicted_transitions else {}),
        }  # fmt: skip

    def _profiled_round(self, end: TrainerEnd) -> dict[str, float]:
        profile = cProfile.Profile()
        stats = profile.runcall(self._run_round, end)
        text = io.StringIO()
        pstats.Stats(profile, stream=text).sort_stats("cumulative").print_stats(PROFILE_LINES)
        self._say(text.getvalue())
        return stats

    def _wait_for_start(self, end: TrainerEnd) -> float:
        """Wait until enough can be drawn for the first training step; return the seconds that took."""
        started, told = self._clock(), False
        while not self._has_enough():
            self._wait_for_samples(end)
            if not told and not self._has_enough():
                told = True
                self._say(
                    f"Waiting for samples: {len(self.memory)} of {max(1, self.start_training)} that training starts "
                    "with (start_training, ENVIRONMENT_STEPS_BEFORE_TRAINING) are there."
                )
        return self._clock() - started

    def _has_enough(self) -> bool:
        """Return whether training may start; a memory smaller than ``start_training`` never holds so many at once."""
        drawable = len(self.memory)
        return drawable > 0 and max(drawable, self._arrived) >= self.start_training

    def _pause(self, end: TrainerEnd) -> float:
        """Wait while samples were used more often than they may be; return the seconds that took."""
        started = self._clock()
        while self.total_updates > self.max_training_steps_per_env_step * self.total_samples:
            self._wait_for_samples(end)
        return self._clock() - started

    def _wait_for_samples(self, end: TrainerEnd) -> None:
        self.receive(end, self.sleep_between_buffer_retrieval_attempts)
        self._check(end)
        if self._starved is not None and self._is_new_here and self._clock() - self._fed_at >= STARVED_S:
            self._fed_at = self._clock()
            self._is_new_here = not self._starved()

    def _check(self, end: TrainerEnd) -> None:
        if self._clock() - self._checked_at >= CHECK_S:
            self._checked_at = self._clock()
            end.check_workers()

    def _next_batch(self) -> Any:
        for _ in range(2):
            if self._batches is None:
                self._batches = iter(self.memory)
            batch = next(self._batches, None)
            if batch is not None:
                return batch
            self._batches = None
        raise SampleError(f"{type(self.memory).__name__} yields no batches: its __iter__ must give nb_steps of them.")

    def _take(self, chunk: Chunk) -> None:
        if chunk.seq <= self._newest.of(chunk.session):
            self.duplicate_chunks += 1
            return
        try:
            self._layout.check(chunk)
            self.total_samples += self._store(chunk)
            self._layout.learn(chunk)
        except SampleError as error:
            self.refused_chunks += 1
            self._misfits.append((chunk, str(error)))
        self._newest.note(chunk.session, chunk.seq)
        if chunk.end_of_episode:
            self._episodes.append(chunk.stats)

    def _send_away(self, end: TrainerEnd) -> None:
        """Tell workers whose samples cannot be used, and forget what those sent who are sent away."""
        misfits, self._misfits = self._misfits, []
        for chunk, reason in misfits:
            if isinstance(end, EvictingTrainerEnd):
                end.evict(chunk, reason)
            elif chunk.worker_id not in self._told:
                self._told.add(chunk.worker_id)
                self._say(f"A chunk of worker {chunk.worker_id} is left out, and so are others like it: {reason}")
        if isinstance(end, EvictingTrainerEnd):
            for number in end.evicted():
                self._forget(number)

    def _forget(self, worker_id: int) -> None:
        """Take what a worker sent out of the memory; where nothing is left, the next samples decide on the layout."""
        try:
            dropped = int(self.memory.evict(worker_id))
        except (AttributeError, SampleError):
            name = type(self.memory).__name__
            self._say(f"What worker {worker_id} sent stays in the memory: give {name} an evict(worker_id).")
            return
        self.evicted_transitions += dropped
        self._say(f"{dropped} transitions of worker {worker_id} were taken out of the memory.")
        if not len(self.memory):
            self._layout.forget()

    def _store(self, chunk: Chunk) -> int:
        """Give a chunk to the memory; return the transitions it adds."""
        append = getattr(self.memory, "append", None)
        if append is not None:
            return int(append(chunk))
        if not chunk.fill_buffer:
            return 0
        check_samples(chunk)
        before, buffer = len(self.memory), Buffer()
        buffer.memory = list(samples_of(chunk))
        self.memory.append_buffer(buffer)
        return len(self.memory) - before

    def _episode_means(self) -> dict[str, float]:
        means = {}
        for name, (number, is_test) in EPISODE_NUMBERS.items():
            found = [float(e[number]) for e in self._episodes if number in e and e.get("test", 0.0) == is_test]
            means[name] = sum(found) / len(found) if found else math.nan
        self._episodes.clear()
        return means


TrainingOffline = TorchTrainingOffline
"""The seed's name of the loop without PyTorch's device."""


def _spaces(env_cls: Any) -> tuple[Any, Any]:
    if isinstance(env_cls, (tuple, list)):
        observation_space, action_space = env_cls
        return observation_space, action_space
    env = env_cls()
    try:
        return env.observation_space, env.action_space
    finally:
        env.close()

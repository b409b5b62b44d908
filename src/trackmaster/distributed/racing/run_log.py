"""What a racing trainer measures between two lines of its log: metrics, durations, and one line for people."""

import statistics
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from trackmaster.distributed.disk_trouble import DiskTrouble
from trackmaster.distributed.racing.algorithms import RacingMemory
from trackmaster.distributed.racing.options import TrainerOptions
from trackmaster.distributed.racing.reports import report_of
from trackmaster.distributed.racing.run_stats import RunStats
from trackmaster.rl.agent import TrainingAgent
from trackmaster.rl.evaluation.episodes import Evaluation
from trackmaster.rl.evaluation.log import append_evaluations
from trackmaster.rl.metrics import MetricsLogger


class RunLog:
    """Collects numbers and writes them out now and then.

    Args:
        logger: where numbers go.
        stats: counters of the run.
        agent: its schedules and its test loss are told.
        memory: its size is told.
        trouble: told what cannot be written.
        say: where lines for people go.
        clock: seconds that only grow.
        began_s: when the first interval begins.
    """

    def __init__(
        self,
        logger: MetricsLogger,
        stats: RunStats,
        agent: TrainingAgent,
        memory: RacingMemory,
        trouble: DiskTrouble,
        *,
        say: Callable[[str], None],
        clock: Callable[[], float],
        began_s: float,
    ) -> None:
        self._logger, self._stats, self._agent, self._memory = logger, stats, agent, memory
        self._trouble = trouble
        self._say, self._clock, self._last_s = say, clock, began_s
        self._report = report_of(agent, memory)
        self._learned = 0
        self._frames_before = stats.cumul_number_frames_played
        self._busy_s: dict[str, float] = defaultdict(float)
        self._numbers: dict[str, list[float]] = defaultdict(list)
        self._finished: list[float] = []

    @property
    def wall_s(self) -> float:
        """Seconds of training, earlier lives included."""
        return self._logger.wall_s

    def timed(self, what: str, action: Callable[[], None]) -> None:
        """Do something and note how long it took."""
        started = self._clock()
        action()
        self._busy_s[what] += self._clock() - started

    def note_update(self, metrics: Mapping[str, float], n_used: int) -> None:
        """Note an update of the networks and the transitions it used."""
        for tag, value in metrics.items():
            self._numbers[tag].append(value)
        self._learned += n_used
        self._report.note_update(self._stats)

    def note_episode(self, finished: float) -> None:
        """Note an episode that began at the start of the track."""
        self._finished.append(finished)

    def values(self, values: Mapping[str, float]) -> None:
        """Write numbers of this moment; a disk that refuses costs them, not the run."""
        stats = self._stats
        with self._trouble.survived("The numbers of the run"):
            self._logger.log(
                values, env_steps=stats.cumul_number_frames_played, train_steps=stats.cumul_number_batches_done
            )

    def evaluations(self, evaluations: Mapping[str, Evaluation], path: Path) -> None:
        """Add an evaluation to the file of all of them."""
        stats = self._stats
        with self._trouble.survived("The outcome of an evaluation"):
            append_evaluations(
                path, evaluations, wall_s=self.wall_s, env_steps=stats.cumul_number_frames_played,
                train_steps=stats.cumul_number_batches_done,
            )  # fmt: skip

    def is_due(self, now_s: float, options: TrainerOptions) -> bool:
        """Return whether the interval is over."""
        return now_s - self._last_s >= options.metrics_interval_s

    def write(self, options: TrainerOptions) -> None:
        """Write everything that was noted since the last time, and begin anew."""
        seconds = max(self._clock() - self._last_s, 1e-9)
        self._last_s = self._clock()
        trained, self._learned = self._learned, 0
        values = {tag: statistics.median(found) for tag, found in self._numbers.items() if found}
        for tag in ("Gradients/norm_before_clip", "Gradients/norm"):
            values.update(_spread(tag, self._numbers.get(tag, [])))
        values.update(self._run_values(options))
        values["Buffer/size"], values["Buffer/max_size"] = float(len(self._memory)), float(self._memory.limit)
        values["Performance/transitions_learned_per_second"] = trained / seconds
        played = self._stats.cumul_number_frames_played
        values["Performance/decisions_per_second"] = (played - self._frames_before) / seconds
        self._frames_before = played
        if updates := len(self._numbers.get(self._report.loss, ())):
            values["Training/train_on_batch_duration"] = self._busy_s["training"] / updates
        for what, busy_s in self._busy_s.items():
            name = "waiting_for_workers" if what == "waiting" else what
            values[f"Performance/learner_percentage_{name}"] = busy_s / seconds
        if trained and self._memory.n_test:
            values["Training/loss_test"] = self._agent.test_loss(self._memory.sample(test=True))
        self.values(values)
        self._tell(values)
        self._numbers.clear()
        self._busy_s.clear()
        self._finished.clear()

    def _run_values(self, options: TrainerOptions) -> dict[str, float]:
        stats = self._stats
        counters = {k: float(v) for k, v in stats.to_json().items() if k.startswith("cumul_")}
        best = {f"alltime_min_ms_{track}": value for track, value in stats.alltime_min_ms.items()}
        return {
            "Training/batch_size": float(options.batch_size),
            "Buffer/number_times_single_memory_is_used_before_discard": options.uses_per_transition,
            **self._report.values(), **counters, **best,
        }  # fmt: skip

    def _tell(self, values: Mapping[str, float]) -> None:
        share = statistics.fmean(self._finished) if self._finished else 0.0
        self._say(
            f"[{self.wall_s / 60:.1f} min] {self._stats.cumul_number_frames_played} frames, "
            f"{self._stats.cumul_number_batches_done} updates, loss {values.get(self._report.loss, float('nan')):.3g}, "
            f"{self._report.words()}, "
            f"{100 * share:.0f} % of {len(self._finished)} episodes from the start finished, "
            f"{values['Performance/transitions_learned_per_second']:.0f} transitions/s learned"
        )


def _spread(tag: str, numbers: list[float]) -> dict[str, float]:
    """Return quartiles, tails and maximum of what was measured since the last line, under Linesight's names."""
    if not numbers:
        return {}
    shares = {"q1": 0.25, "median": 0.5, "q3": 0.75, "d9": 0.9, "d98": 0.98, "max": 1.0}
    return {f"{tag}_{name}": float(np.quantile(numbers, share)) for name, share in shares.items()}

"""Counters and best times of a run: the content of ``accumulated_stats.json``, under Linesight's names."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from trackmaster.rl.evaluation.episodes import Evaluation
from trackmaster.rl.samples.chunk import Chunk
from trackmaster.units import format_race_time

ROLLING_SHARE = 0.1
NEVER_MS = -1e12
"""Stands in a rank for the median of a track on which nothing finished."""
ROBUST_FACTOR = 1.02
"""An evaluated time counts as robust below the rolling mean times this."""


@dataclass
class RunStats:
    """Everything that accumulates over the lives of a run; a did-not-finish is never a time."""

    alltime_min_ms: dict[str, float] = field(default_factory=dict)
    rolling_mean_ms: dict[str, float] = field(default_factory=dict)
    eval_min_ms: dict[str, float] = field(default_factory=dict)
    first_finish_s: dict[str, float] = field(default_factory=dict)
    """Wall time of the first finish in training."""
    first_eval_finish_s: dict[str, float] = field(default_factory=dict)
    """Wall time of the first finish in a deterministic episode."""
    cumul_number_frames_played: int = 0
    cumul_number_episodes: int = 0
    cumul_number_memories_generated: int = 0
    cumul_number_memories_evicted: int = 0
    """Taken out of the memory again, because their worker was sent away."""
    cumul_number_single_memories_used: int = 0
    cumul_number_single_memories_should_have_been_used: float = 0.0
    cumul_number_single_memories_used_next_target_network_update: int = 0
    """The target network moves when ``cumul_number_single_memories_used`` has come this far."""
    cumul_number_batches_done: int = 0
    cumul_number_target_network_updates: int = 0
    cumul_training_hours: float = 0.0
    last_evaluation_frames: int = 0
    last_evaluation_batches: int = -1
    """Updates made before the last evaluation, -1 before the first."""
    n_evaluations: int = 0
    weights_version: int = 0
    best_rank: list[float] = field(default_factory=list)
    """Of the best evaluation: smallest and mean finish rate of the tracks, mean of minus the median times, progress."""
    last_rank: list[float] = field(default_factory=list)
    """Of the last evaluation, in the same form."""
    best_frames: int = 0
    """Decisions played before the best evaluation."""
    begins_prepared: bool = False
    """Whether the first weights came out of files: they may have been able to drive before the first update."""
    collapse: dict[str, float] = field(default_factory=dict)
    """What the guard against collapses compares the next evaluation with."""

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return what ``to_json`` gave."""
        return cls(**values)

    @property
    def has_learnt_nothing(self) -> bool:
        """Whether the weights are still the random ones."""
        return self.cumul_number_batches_done == 0 and not self.begins_prepared

    @property
    def is_best_untrained(self) -> bool:
        """Whether the best evaluation was that of random weights."""
        return self.best_frames == 0 and not self.begins_prepared

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    def note_chunk(self, chunk: Chunk, wall_s: float) -> dict[str, float]:
        """Count a chunk; return the race metrics if it ends an episode, times in seconds.

        An episode that began on the way drove only a part of the track: it has metrics of its own and sets no time.
        """
        self.cumul_number_frames_played += chunk.n_steps
        if not chunk.end_of_episode:
            return {}
        self.cumul_number_episodes += 1
        kept = began_on_the_way(chunk)
        kind = ("kept_" if kept else "") + ("explo" if chunk.stats["is_exploration"] else "eval")
        name = f"{'trained' if chunk.fill_buffer else 'blind'}_{chunk.track}"
        finished = bool(chunk.stats["finished"])
        metrics = {
            f"Race/{kind}_race_finished_{name}": float(finished),
            f"Race/{kind}_progress_m_{name}": chunk.stats["progress_m"],
            f"Race/{kind}_return_{name}": chunk.stats["return"],
        }
        if finished and not kept:
            self.first_finish_s.setdefault(chunk.track, wall_s)
            time_ms = chunk.stats["race_time_ms"]
            metrics[f"Race/{kind}_race_time_finished_{name}"] = time_ms / 1000
            best = self.alltime_min_ms.get(chunk.track)
            self.alltime_min_ms[chunk.track] = time_ms if best is None else min(best, time_ms)
        return metrics

    def note_evaluation(self, evaluations: Mapping[str, Evaluation], wall_s: float) -> tuple[dict[str, float], bool]:
        """Take up an evaluation; return its metrics and whether it is the best so far."""
        self.n_evaluations += 1
        metrics: dict[str, float] = {}
        for track, result in evaluations.items():
            metrics.update(result.metrics(track))
            if result.best_ms is None:
                continue
            self.first_eval_finish_s.setdefault(track, wall_s)
            self.eval_min_ms[track] = min(result.best_ms, self.eval_min_ms.get(track, result.best_ms))
            self.alltime_min_ms[track] = min(result.best_ms, self.alltime_min_ms.get(track, result.best_ms))
            official = result.race_time_ms[0]
            if official is not None:
                mean = self.rolling_mean_ms.get(track, float(official))
                self.rolling_mean_ms[track] = mean + ROLLING_SHARE * (official - mean)
                if official < ROBUST_FACTOR * self.rolling_mean_ms[track]:
                    metrics[f"Race/eval_race_time_robust_trained_{track}"] = official / 1000
        ranks = [result.rank() for result in evaluations.values()]
        rank = [min(r[0] for r in ranks), *(sum(column) / len(ranks) for column in zip(*ranks, strict=True))]
        rank = [max(value, NEVER_MS) for value in rank]  # JSON knows no infinity
        self.last_rank = rank
        is_best = not self.best_rank or rank > self.best_rank
        if is_best:
            self.best_rank, self.best_frames = rank, self.cumul_number_frames_played
        return metrics, is_best

    def describe_best(self) -> str:
        """Return which evaluation was the best one; there must have been one."""
        _, finish_rate, minus_median_ms, progress_m = self.best_rank
        if minus_median_ms > NEVER_MS:
            outcome = f"{100 * finish_rate:.0f} % finished, median {format_race_time(round(-minus_median_ms))}"
        else:
            outcome = f"{100 * finish_rate:.0f} % finished, mean progress {progress_m:.0f} m"
        return f"The best evaluation was that after {self.best_frames} frames: {outcome}."


def began_on_the_way(chunk: Chunk) -> bool:
    """Return whether the episode that this chunk ends began from a kept state instead of the start line."""
    return chunk.stats.get("start_ms", 0.0) > 0

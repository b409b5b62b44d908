"""Intervals and limits of a racing trainer."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TrainerOptions:
    """Intervals and limits of the learning loop."""

    batch_size: int = 512
    uses_per_transition: float = 32.0
    """Pause training above this many uses of each transition on average."""
    min_uses_per_transition: float = 0.0
    """Receive nothing below this many; workers then wait."""
    publish_every_batches: int = 10
    evaluate_every_frames: int = 0
    """0 evaluates only at the end."""
    stop_at_finish_rate: float = 0.0
    """End when evaluation finishes this often on every track; 0 never does."""
    max_frames: int = 0
    max_s: float = 0.0
    """Wall time, earlier lives included; 0 sets no limit."""
    save_interval_s: float = 300.0
    metrics_interval_s: float = 30.0
    save_memory: bool = False
    keep_best: int = 0
    """Snapshots of the best evaluations to keep beside the best one."""
    collapse_drop: float = 0.5
    """Share of the best outcome that may be lost before an evaluation is bad."""
    collapse_evaluations: int = 0
    """Bad evaluations in a row that lead back to the best snapshot; 0 never does."""

"""The sections of a training configuration about a run of any algorithm: evaluations, guards, processes, network."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr

from trackmaster.rl.config.base import FiniteSection
from trackmaster.rl.iqn.config import Precision


class EvaluationSection(FiniteSection):
    """The gate of deterministic episodes that decides which checkpoint is the best."""

    attempts: int = Field(default=20, ge=1, le=1000)
    """Episodes per track and evaluation."""
    every_frames: int = Field(default=200_000, ge=0)
    """Decisions between two evaluations; 0 evaluates only at the end."""
    seed: int = Field(default=1, ge=0)
    """Draws the attempts' starts."""
    stop_at_finish_rate: float = Field(default=0.0, ge=0, le=1)
    """End the run when this many of the attempts finish on every track; 0 never does."""


class GuardsSection(FiniteSection):
    """What protects a run of any algorithm; the gate of deterministic episodes is ``evaluation``."""

    keep_best: int = Field(default=3, ge=0)
    """Snapshots of the best evaluations to keep beside the best one; 0 keeps none."""
    collapse_drop: float = Field(default=0.5, gt=0, le=1)
    """An evaluation that falls below the best one by this share of it, in finishes and metres, is a bad one."""
    collapse_evaluations: int = Field(default=3, ge=0)
    """So many bad evaluations in a row go back to the best snapshot; 0 never does."""


class PerformanceSection(FiniteSection):
    """Processes, threads, intervals."""

    transport: Literal["local", "in_process", "websocket", "ray"] = "local"
    """Workers as processes of their own, worker and learner taking turns in one (deterministic), workers anywhere on
    the network (section ``network``), or Ray actors on a cluster (extra ``cluster``)."""
    gpu_collectors_count: int = Field(default=1, ge=1, le=64)
    """Worker processes; the name is that of the reference, no GPU is needed."""
    max_rollout_queue_size: int = Field(default=4, ge=1, le=64)
    """Chunks a worker may be ahead of the learner; over the network as many again wait in its outbox."""
    chunk_rows: int = Field(default=200, ge=2, le=4096)
    """Rows of an episode that travel together."""
    send_shared_network_every_n_batches: int = Field(default=10, ge=1)
    """Updates between two versions of the weights; cars change theirs between episodes only."""
    learner_threads: int = Field(default=1, ge=1, le=256)
    """CPU threads of the learner."""
    worker_threads: int = Field(default=1, ge=1, le=256)
    """CPU threads of each worker."""
    autocast: Precision = "auto"
    """Number format of matrix products: off, bf16, fp16 with a scaled loss, or auto: what the device has."""
    acting: Literal["auto", "onnxruntime", "torch"] = "auto"
    """What computes actions on the CPU; auto takes ONNX Runtime where it is installed."""
    save_interval_s: float = Field(default=300.0, gt=0)
    """Seconds between two saved states of the run."""
    metrics_interval_s: float = Field(default=30.0, gt=0)
    """Seconds between two rows of metrics."""
    save_dir: Path = Path("save")
    """Folder of all runs' weights, states and statistics."""
    tensorboard_dir: Path = Path("tensorboard")
    """Folder of all runs' TensorBoard files."""


class NetworkSection(FiniteSection):
    """Where the server is when ``performance.transport`` is ``websocket``."""

    join: SecretStr | None = None
    """Join string of the trainer's token; better in TRAIN_NETWORK__JOIN than in a file or a flag. Left out, this
    program runs the server itself."""
    allow_insecure: bool = False
    """Allow plain text on a network that is yours alone."""
    host: str | None = None
    """Address on which a server of this program's own listens; every one when left out."""
    port: int = Field(default=6666, ge=0, le=65535)
    """Port of a server of this program's own; 0 takes a free one."""
    keys: Path | None = None
    """Folder of certificate and tokens of a server of this program's own; ~/.trackmaster/server when left out."""

"""Learns from what the workers send: receive, train, publish, evaluate, save, in one loop read top to bottom."""

import contextlib
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from trackmaster.distributed.disk_trouble import DiskTrouble
from trackmaster.distributed.racing.algorithms import RacingMemory
from trackmaster.distributed.racing.collapse import CollapseGuard
from trackmaster.distributed.racing.options import TrainerOptions
from trackmaster.distributed.racing.run_log import RunLog
from trackmaster.distributed.racing.run_stats import RunStats, began_on_the_way
from trackmaster.distributed.transport.contract import EvictingTrainerEnd, RemoteTrainerEnd, TrainerEnd, Weights
from trackmaster.rl.actor import ActorModule
from trackmaster.rl.agent import TrainingAgent
from trackmaster.rl.continuous.rollout_memory import RolloutMemory
from trackmaster.rl.evaluation.best_snapshots import BestSnapshots
from trackmaster.rl.evaluation.episodes import Evaluation
from trackmaster.rl.evaluation.log import EVALUATIONS_FILE
from trackmaster.rl.files.checkpoint import BEST, CheckpointError, CheckpointStore
from trackmaster.rl.files.state_files import write_tree
from trackmaster.rl.iqn.agent import IQNAgent
from trackmaster.rl.memory.replay import IQNMemory
from trackmaster.rl.metrics import MetricsLogger
from trackmaster.rl.samples.chunk import Chunk, SampleError
from trackmaster.rl.schedules import Schedule

REPLAY, WORKER = "replay", "worker"
"""Names in the folder of a saved memory."""

WAIT_S = 0.05
"""How long the learner waits for samples when it may not train."""

RECEIVED = "received"
"""Key of a saved state: how far the chunks of each worker's life had come."""

MORE_S = 10.0
"""How long the learner waits for a rollout in vain before it asks those workers who are there to drive more of it."""

CHECK_S = 1.0
"""How often to look whether the workers still live."""

Evaluator = Callable[[ActorModule], Mapping[str, Evaluation]]
"""Drives deterministic episodes with an actor; outcomes by track."""


class RacingTrainer:
    """The learner's role.

    Args:
        agent: learns.
        memory: keeps what arrives.
        end: link to the workers.
        evaluator: the gate that decides which weights are the best.
        memory_size: rows in use, by frames.
        learning_start: transitions before the first update, by frames; they owe no updates.
        options: intervals and limits.
        store: where the run is saved; None saves nothing.
        logger: where numbers go.
        stats: counters of earlier lives.
        say: where lines for people go.
        progress: told the share of the run's limit that is used up.
        clock: seconds that only grow.
        worker_state: of a worker that takes turns with the learner, saved beside the memory.
        is_continued: such a worker goes on in mid-episode with the weights it has.
        new_options: asked now and then whether intervals and limits have changed.
    """

    def __init__(
        self,
        agent: TrainingAgent,
        memory: RacingMemory,
        end: TrainerEnd,
        evaluator: Evaluator,
        *,
        memory_size: Schedule,
        learning_start: Schedule,
        options: TrainerOptions,
        store: CheckpointStore | None,
        logger: MetricsLogger,
        stats: RunStats | None = None,
        say: Callable[[str], None] = print,
        progress: Callable[[float], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        worker_state: Callable[[], dict[str, Any] | None] | None = None,
        is_continued: bool = False,
        new_options: Callable[[], TrainerOptions | None] | None = None,
    ) -> None:
        self._agent, self._memory, self._end, self._evaluator = agent, memory, end, evaluator
        self._memory_size, self._learning_start, self._options = memory_size, learning_start, options
        self._store, self._say, self._clock = store, say, clock
        self._progress = progress
        self._collapse = CollapseGuard(options.collapse_drop, options.collapse_evaluations)
        self._best = BestSnapshots(store.folder, options.keep_best) if store is not None else None
        self._worker_state, self._is_continued, self._new_options = worker_state, is_continued, new_options
        self._is_receiving = False
        self._published: Weights | None = None
        self._silent_s = 0.0
        self._arrived: deque[Chunk] = deque()  # handed over by the link, which counts them as ours
        self.stats = stats or RunStats()
        self._collapse.restore(self.stats.collapse)
        self.is_saved = False
        """Whether the last attempt to save the run came to its end."""
        self._is_best_kept = True  # until the best state so far cannot be written
        self._last_saved = self._last_checked = clock()
        self._trouble = DiskTrouble(say)
        self._log = RunLog(
            logger, self.stats, agent, memory, self._trouble, say=say, clock=clock, began_s=self._last_saved
        )
        self._stop_requested = False

    def run(self) -> RunStats:
        """Train until a limit is reached or Ctrl+C; then evaluate, save and return the counters.

        Raises:
            KeyboardInterrupt: the user stopped; everything has been saved before.
            TransportError: a worker is gone; everything has been saved before.
            CheckpointError: the disk refused the end of the run; what was saved before is whole.
        """
        try:
            if self.stats.n_evaluations == 0:
                self._evaluate()  # every curve begins with the agent as it was before the first update
            if not self._is_continued:
                self._publish()
            while not self._is_over():
                self.turn()
                if self._progress is not None:
                    self._progress(self._share_done())
            if not self._is_evaluated():
                self._evaluate()
            self._save_end()
            self._log.write(self._options)
            self._tell_best()
        except BaseException:
            if isinstance(self._end, RemoteTrainerEnd):
                self._end.leave_workers()
            with contextlib.suppress(SampleError):  # it would be the one that ends the run
                self._take_arrived()
            self._save()
            raise
        return self.stats

    def turn(self) -> None:
        """Receive, do at most one update, and whatever is due."""
        may_train = self._may_train()
        if not (may_train and self._is_behind()):
            with_time = 0.0 if may_train else WAIT_S
            self._log.timed("waiting" if not may_train else "receiving", lambda: self._receive(with_time))
        if may_train and len(self._memory):  # unless all of it was from a worker that was sent away just now
            self._log.timed("training", self._train)
        options, now = self._options, self._clock()
        if now - self._last_checked >= CHECK_S:  # also while learning, when nothing is received
            self._last_checked = now
            self._end.check_workers()
            if self._new_options is not None:
                self._options = options = self._new_options() or options
        due = self.stats.cumul_number_frames_played - self.stats.last_evaluation_frames
        if options.evaluate_every_frames and due >= options.evaluate_every_frames:
            self._log.timed("testing", self._evaluate)
        if self._log.is_due(now, options):
            self._log.write(options)
        if now - self._last_saved >= options.save_interval_s:
            self._log.timed("saving", self._save)

    def _is_over(self) -> bool:
        return self._stop_requested or self._share_done() >= 1.0

    def _is_evaluated(self) -> bool:
        """Whether the last evaluation was of these weights; the end of a run without any update still gets its own."""
        stats = self.stats
        is_same = stats.last_evaluation_batches == stats.cumul_number_batches_done
        return is_same and (
            stats.cumul_number_batches_done > 0 or stats.last_evaluation_frames == stats.cumul_number_frames_played
        )

    def _share_done(self) -> float:
        """How much of the nearer limit is used up; 0 without limits."""
        options = self._options
        frames = self.stats.cumul_number_frames_played / options.max_frames if options.max_frames else 0.0
        return max(frames, self._log.wall_s / options.max_s if options.max_s else 0.0)

    def _may_train(self) -> bool:
        """Whether a batch is due; the transitions that had to come before learning starts owe no updates."""
        if isinstance(self._memory, RolloutMemory):
            return self._memory.is_full
        stats, options = self.stats, self._options
        start = self._learning_start(stats.cumul_number_frames_played)
        planned = stats.cumul_number_single_memories_should_have_been_used - options.uses_per_transition * start
        return len(self._memory) > 0 and stats.cumul_number_single_memories_used + options.batch_size <= planned

    def _is_behind(self) -> bool:
        if isinstance(self._memory, RolloutMemory):
            return True  # nobody drives before the next weights are published
        stats = self.stats
        wanted = self._options.min_uses_per_transition * stats.cumul_number_memories_generated
        return stats.cumul_number_single_memories_used < wanted

    def _receive(self, timeout_s: float) -> None:
        self._is_receiving = True  # stays so if the worker is interrupted in the middle of a decision
        began, before = self._clock(), len(self._memory)
        self._arrived.extend(self._end.recv_chunks(timeout_s))
        waited_s = self._clock() - began
        self._is_receiving = False
        self._take_arrived()
        self._silent_s = 0.0 if len(self._memory) > before else self._silent_s + waited_s
        if isinstance(self._end, EvictingTrainerEnd):
            self._forget_evicted(self._end)
        if isinstance(self._memory, RolloutMemory) and isinstance(self._end, RemoteTrainerEnd):
            self._ask_for_more(self._memory)
        frames = self.stats.cumul_number_frames_played
        self._memory.limit = min(self._memory.capacity, max(self._memory.limit, int(self._memory_size(frames))))
        self._agent.set_frames(frames)
        if isinstance(self._agent, IQNAgent) and isinstance(self._memory, IQNMemory):
            self._memory.gamma = self._agent.gamma  # the others' discount never changes
            self._memory.set_frames(frames)

    def _take_arrived(self) -> None:
        while self._arrived:
            chunk = self._arrived[0]
            added = self._memory.append(chunk) if chunk.fill_buffer and chunk.n_transitions else 0
            self._arrived.popleft()  # not before: whoever is interrupted takes it once more
            metrics = self.stats.note_chunk(chunk, self._log.wall_s)
            if metrics:
                self._log.values(metrics)
                if not began_on_the_way(chunk):
                    self._log.note_episode(chunk.stats["finished"])
            self.stats.cumul_number_memories_generated += added
            self.stats.cumul_number_single_memories_should_have_been_used += added * self._options.uses_per_transition

    def _forget_evicted(self, end: EvictingTrainerEnd) -> None:
        for number in end.evicted():
            dropped = self._memory.evict(number)
            self.stats.cumul_number_memories_evicted += dropped
            self._say(f"{dropped} transitions of worker {number} were taken out of the memory.")

    def _train(self) -> None:
        memory, stats = self._memory, self.stats
        n_used = len(memory) if isinstance(memory, RolloutMemory) else self._options.batch_size
        metrics = self._agent.train(memory.sample())
        stats.cumul_number_batches_done += 1
        stats.cumul_number_single_memories_used += n_used
        self._log.note_update(metrics, n_used)
        if (
            isinstance(memory, RolloutMemory)
            or stats.cumul_number_batches_done % self._options.publish_every_batches == 0
        ):
            self._publish()

    def _publish(self) -> None:
        self.stats.weights_version += 1
        tensors, metadata = self._agent.actor_tensors(), None
        if isinstance(self._memory, RolloutMemory):
            self._memory.begin(self.stats.weights_version)
            metadata = {"rollout": str(self.stats.weights_version)}  # an undone update's weights are those before it
        self._published, self._silent_s = Weights.pack(self.stats.weights_version, tensors, metadata=metadata), 0.0
        self._end.publish(self._published)

    def _ask_for_more(self, memory: RolloutMemory) -> None:
        """Publish the same weights once more where a rollout does not become whole: not everybody is there.

        Only here is it known that nobody else's share is on its way into an update. Whoever has sent a share and
        waits drives another one.
        """
        if self._published is None or self._silent_s < MORE_S or memory.is_full:
            return
        self.stats.weights_version += 1
        self._published, self._silent_s = replace(self._published, version=self.stats.weights_version), 0.0
        memory.go_on(self.stats.weights_version)
        self._end.publish(self._published)

    def _evaluate(self) -> None:
        evaluations = self._evaluator(self._agent.get_actor())
        self.stats.last_evaluation_frames = self.stats.cumul_number_frames_played
        self.stats.last_evaluation_batches = self.stats.cumul_number_batches_done
        metrics, is_best = self.stats.note_evaluation(evaluations, self._log.wall_s)
        self._log.values(metrics)
        if self._store is not None:
            self._log.evaluations(evaluations, self._store.folder / EVALUATIONS_FILE)
        for track, result in evaluations.items():
            best = "-" if result.best_ms is None else f"{result.best_ms / 1000:.2f} s"
            self._say(
                f"[{self._log.wall_s / 60:.1f} min] evaluation {self.stats.n_evaluations} on {track}: "
                f"{len(result.finished_ms)} of {result.n} finished, best {best}, "
                f"progress {result.mean_progress_m:.0f} m"
            )
        self._guard(evaluations, is_best=is_best)
        wanted = self._options.stop_at_finish_rate
        self._stop_requested = bool(wanted) and all(r.finish_rate >= wanted for r in evaluations.values())

    def _guard(self, evaluations: Mapping[str, Evaluation], *, is_best: bool) -> None:
        """Keep what is among the best, and go back to the best where driving has been unlearnt.

        Random weights that roll far by chance have learnt nothing: what follows them is no collapse, and nobody goes
        back to them.
        """
        may_collapse = not self.stats.has_learnt_nothing
        has_collapsed = may_collapse and self._collapse.note(evaluations)  # before saving: a resumed run knows of it
        if is_best:
            self._save(best=True)
            self._is_best_kept = self.is_saved
        if self._best is not None:
            with self._trouble.survived("One of the best few states"):
                self._best.offer(self.stats.last_rank, self.stats.cumul_number_frames_played, self._agent.save)
        if not has_collapsed or self._store is None or self.stats.is_best_untrained:
            return
        best = self._store.folder / BEST
        if not best.is_dir():
            self._say("Driving was unlearnt, and the best state could not be written: going on from where the run is.")
            return
        self._agent.load(best, self._store.agent_state(best))
        self._log.values({"Guard/collapse": float(self._collapse.n_collapses)})
        self._say(
            f"The last {self._options.collapse_evaluations} evaluations fell far below the best one: going on from its "
            f"weights in {best}."
        )
        self._publish()

    def _save(self, *, best: bool = False) -> None:
        self.is_saved = False
        self._last_saved = self._clock()
        self.stats.cumul_training_hours = self._log.wall_s / 3600
        self.stats.collapse = self._collapse.state()
        if self._store is None:
            return
        write_memory = self._write_memory if self._options.save_memory else None
        remote = self._end if isinstance(self._end, RemoteTrainerEnd) else None
        extra = {RECEIVED: remote.marks()} if remote is not None else {}
        with self._trouble.survived(f"The run in {self._store.folder}"):
            self._store.save(self._agent.save, self.stats.to_json(), extra, best=best, write_memory=write_memory)
            self.is_saved = True
        if self.is_saved and remote is not None and write_memory is not None:
            remote.confirm()

    def _save_end(self) -> None:
        self._save()
        if self._store is not None and not self.is_saved:
            raise CheckpointError(
                f"{self._store.folder}: the end of the run could not be saved. Make room and continue with --resume "
                "from what was saved before."
            )

    def _write_memory(self, folder: Path) -> None:
        """Write the replay memory and, if it stands between two turns, the worker that drives in this process."""
        self._memory.save(folder / REPLAY)
        state = None if self._worker_state is None or self._is_receiving else self._worker_state()
        if state is not None:
            write_tree(folder, WORKER, state)

    def _tell_best(self) -> None:
        if self._store is None:
            return
        place = self._store.folder / BEST
        kept = f"Its weights lie in {place}." if self._is_best_kept else f"Its weights could not be written to {place}."
        self._say(f"{self.stats.describe_best()} {kept}")

"""What a chunk of a racing run says beside its columns, held to what the run knows: workers are not trusted."""

from collections.abc import Collection

from trackmaster.distributed.wire.messages import MAX_ROWS
from trackmaster.env.actions import N_ACTIONS
from trackmaster.rl.samples.chunk import Chunk, SampleError

OUTCOME = frozenset({"return", "finished", "race_time_ms", "progress_m", "is_exploration"})
"""Numbers that tell how an episode went."""


def check_race_chunk(chunk: Chunk, tracks: Collection[str]) -> None:
    """Refuse a chunk that would stop the trainer or falsify its counters.

    Args:
        chunk: its columns have been compared with those of the memory.
        tracks: names of the tracks of the run.

    Raises:
        SampleError: an action that does not exist, another track, more decisions than rows travel, or an episode that
            ends without its outcome.
    """
    problems = []
    action = chunk.columns["action"]
    if action.dtype.kind == "u" and action.max() >= N_ACTIONS:
        problems.append(f"action {action.max()}, there are {N_ACTIONS}")
    if chunk.track not in tracks:
        problems.append(f"the track {chunk.track[:80]!r}, the run drives {', '.join(tracks)}")
    if chunk.n_steps > MAX_ROWS:
        problems.append(f"{chunk.n_steps} decisions, at most {MAX_ROWS} come together")
    if chunk.end_of_episode and (missing := OUTCOME - chunk.stats.keys()):
        problems.append(f"the end of an episode without {', '.join(sorted(missing))}")
    if problems:
        raise SampleError(
            f"Worker {chunk.worker_id} sent what no car of this run drives: {'; '.join(problems)}. Install the same "
            "release on both machines; if it is the same, revoke that worker's token."
        )

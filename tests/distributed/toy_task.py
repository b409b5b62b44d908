"""What worker processes of the tests run; a module of its own, because processes find it by name."""

from toy_lane import IMAGE, N_FLOATS, ToyLane

from trackmaster.distributed.racing.vector_worker import EpisodeKind, VectorRolloutWorker
from trackmaster.distributed.transport.local import LocalWorkerEnd
from trackmaster.errors import TrackmasterError
from trackmaster.rl.actor import ActorModule
from trackmaster.rl.samples.chunk import iqn_sample_spec

SPEC = iqn_sample_spec(IMAGE, N_FLOATS)


class FixedActor(ActorModule):
    """Drives straight on with gas and remembers the weights it was given."""

    def act_batch(self, observation, test, rank=None):
        import numpy as np

        actions = np.full(len(test), int(self.value), dtype=np.uint8)
        return actions, {"greedy": np.ones(len(test), dtype=bool)}

    def load_tensors(self, tensors):
        self.value = float(tensors["action"][0])


def drive(end: LocalWorkerEnd, number: int) -> None:
    VectorRolloutWorker(
        ToyLane(2), FixedActor, end, spec=SPEC, cycles=[[EpisodeKind("lane")]] * 2, chunk_rows=3, worker_id=number,
        session=f"s{number}",
    ).run()  # fmt: skip


def fail_politely(end: LocalWorkerEnd, number: int) -> None:
    raise TrackmasterError("the map is missing: download it")


def fail(end: LocalWorkerEnd, number: int) -> None:
    raise ZeroDivisionError("a bug")


def vanish(end: LocalWorkerEnd, number: int) -> None:
    import os

    os._exit(7)

"""What a worker gathers before it sends."""

import gc
import weakref

import numpy as np

from trackmaster.distributed.collected import CollectedSamples
from trackmaster.rl.samples.buffer import Buffer


def test_a_worker_without_a_link_keeps_no_observation_of_its_test_episodes() -> None:
    collected = CollectedSamples(
        None, Buffer(), compress=None, crc_debug=False, n_actions=0, worker_id=0, chunk_rows=10
    )  # fmt: skip
    seen = np.zeros(4, dtype=np.float32)
    gone = weakref.ref(seen)
    collected.add_outcome({"steps": 3.0}, (np.zeros(3, dtype=np.float32), seen, 0.0, False, True, {}))
    del seen
    gc.collect()
    assert gone() is None

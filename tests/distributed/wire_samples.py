"""One message of every kind, small enough to read, how chunks are compared, and how frames are tampered with."""

import dataclasses
import random

import numpy as np

from trackmaster.distributed.wire.messages import (
    Ack,
    Bye,
    ErrorFrame,
    Evict,
    Hello,
    Message,
    Publish,
    Stat,
    WantWeights,
    WeightsFrame,
    Welcome,
)
from trackmaster.rl.samples.chunk import Chunk

SESSION = bytes(range(16))
HASH = bytes(range(32))
CHUNK = Chunk(
    SESSION.hex(), 7, 2, 3, 5, 1, 11,
    {
        "image": np.arange(8, dtype=np.uint8).reshape(2, 1, 2, 2),
        "floats": np.array([[0.5, -1.0], [2.0, 0.25]], np.float32),
        "reward": np.array([1.5, -0.125], np.float32),
        "terminated": np.array([False, True]),
    },
    end_of_episode=True, n_steps=1, fill_buffer=True, stats={"return": 1.375}, track="lane",
    act_history=np.array([[0.0, 0.0, 1.0]], np.float32),
)  # fmt: skip
SAMPLES: dict[str, Message] = {
    "hello": Hello("worker", 3, SESSION, "run", 1, b'{"columns":{}}', HASH),
    "welcome": Welcome(True, "", -1, {"max_rows": 250}, 3, b"{}"),
    "chunk": CHUNK,
    "ack": Ack(SESSION, 7),
    "want_weights": WantWeights(-1),
    "weights": WeightsFrame(4, b"blob", HASH),
    "publish": Publish(4, b"blob", HASH),
    "evict": Evict.told(3, SESSION, "The columns differ."),
    "stat": Stat({"dropped_chunks": 2.0}),
    "error": ErrorFrame("spec", "The columns differ."),
    "bye": Bye("finished"),
}


def same(one: Message, other: Message) -> bool:
    """Whether two messages are equal, arrays compared with dtype, shape and bytes."""
    if type(one) is not type(other):
        return False
    if not isinstance(one, Chunk) or not isinstance(other, Chunk):
        return one == other
    arrays = {**one.columns, "act_history": one.act_history}, {**other.columns, "act_history": other.act_history}
    bare = [dataclasses.replace(c, columns={}, act_history=np.zeros(0)) for c in (one, other)]
    plain = [{k: v for k, v in c.__dict__.items() if k not in ("columns", "act_history")} for c in bare]
    return (
        plain[0] == plain[1]
        and list(arrays[0]) == list(arrays[1])
        and all(
            (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())
            for a, b in zip(arrays[0].values(), arrays[1].values(), strict=True)
        )
    )


TYPE_BYTES = (0xC0, 0xC1, 0xC4, 0xC6, 0xC7, 0xC9, 0xD6, 0xD9, 0xDB, 0xDD, 0xDF, 0x80, 0x90, 0xCB, 0xD3)
"""First bytes of msgpack's types."""


def mutate(frame: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    """A frame with bytes flipped, cut out, doubled, replaced by foreign ones, or by what msgpack takes for a type."""
    changed = bytearray(frame)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        at = rng.randrange(len(changed) + 1)
        choice = rng.randrange(6)
        if choice == 0 and at < len(changed):
            changed[at] ^= 1 << rng.randrange(8)
        elif choice == 1 and at < len(changed):
            changed[at] = rng.choice(TYPE_BYTES)
        elif choice == 2:
            del changed[at : at + rng.randrange(1, 9)]
        elif choice == 3:
            changed[at:at] = rng.randbytes(rng.randrange(1, 9))
        elif choice == 4:
            other = rng.choice(others)
            start = rng.randrange(len(other))
            changed[at:at] = other[start : start + rng.randrange(1, 40)]
        else:
            del changed[at:]
        if not changed:
            break
    return bytes(changed)

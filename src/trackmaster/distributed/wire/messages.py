"""The messages of the network protocol, version 1, and their frames.

========================  ==========================  =================================================
message                   from, to                    meaning
========================  ==========================  =================================================
hello                     client, server              who speaks, and what its samples look like
welcome                   server, client              accepted or why not; weights there are; limits
chunk                     worker, server, trainer     consecutive rows of one episode
ack                       trainer, server, worker     everything of a session up to ``seq`` has arrived
want_weights / weights    worker, server, worker      newer than ``have``; empty if there are none
publish                   trainer, server             a new version
evict                     trainer, server, worker     a life of a worker is sent away, and why
evict                     server, trainer             forget what a worker sent
stat                      any                         named numbers
error, bye                any                         a code and a sentence; a reason
========================  ==========================  =================================================
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

import numpy as np

from trackmaster.distributed.wire import framing
from trackmaster.distributed.wire.framing import WireError
from trackmaster.rl.samples.chunk import Chunk

ROLES = ("worker", "trainer", "observer")
MAX_ROWS = 250
"""New rows of one chunk."""
MAX_CONTEXT = 64
MAX_SPEC_BYTES = 16 * 1024
MAX_REASON_BYTES = 4 * 1024
"""Of the sentence that names the columns of both sides."""
SESSION_BYTES = 16
FINISHED = "finished"
"""Reason of the goodbye that asks workers to end."""
_U32, _I63, _U16 = 2**32 - 1, 2**63 - 1, 2**16 - 1

_SESSION = framing.data(SESSION_BYTES, SESSION_BYTES)
_SHA256 = framing.data(32, 32)
_SPEC = framing.data(0, MAX_SPEC_BYTES)
_VERSION = framing.integer(-1, _I63)
_WORKER_ID = framing.integer(-1, _U16)
_BLOB = framing.data(0, framing.MAX_FRAME_BYTES)


def _role(value: Any, where: str) -> str:
    if value not in ROLES:
        raise WireError(f"{where} is no role; expected {', '.join(ROLES)}.")
    return str(value)


def _limits(value: Any, where: str) -> dict[str, int]:
    found = framing.numbers(value, where)
    return {name: int(number) for name, number in found.items()}


@dataclass(frozen=True)
class Hello:
    """First message of a client."""

    type: ClassVar[str] = "hello"
    role: str = field(metadata={"check": _role})
    worker_id: int = field(metadata={"check": _WORKER_ID})
    """-1 asks the server for a number."""
    session: bytes = field(metadata={"check": _SESSION})
    run_name: str = field(metadata={"check": framing.text})
    proto: int = field(metadata={"check": framing.integer(0, _U16)})
    spec: bytes = field(metadata={"check": _SPEC})
    """Canonical JSON of what the samples look like; empty asks for the trainer's."""
    spec_hash: bytes = field(metadata={"check": _SHA256})


@dataclass(frozen=True)
class Welcome:
    """The server's answer to a hello."""

    type: ClassVar[str] = "welcome"
    accepted: bool = field(metadata={"check": framing.boolean})
    reason: str = field(metadata={"check": framing.text})
    weights_version: int = field(metadata={"check": _VERSION})
    """-1 while there are none."""
    limits: Mapping[str, int] = field(metadata={"check": _limits})
    worker_id: int = field(metadata={"check": _WORKER_ID})
    spec: bytes = field(metadata={"check": _SPEC})
    """The trainer's; empty as long as there is none."""


@dataclass(frozen=True)
class Ack:
    """All chunks of a session up to and including ``seq`` have arrived."""

    type: ClassVar[str] = "ack"
    session: bytes = field(metadata={"check": _SESSION})
    seq: int = field(metadata={"check": framing.integer(0, _I63)})


@dataclass(frozen=True)
class WantWeights:
    """Asks for weights newer than a version."""

    type: ClassVar[str] = "want_weights"
    have: int = field(metadata={"check": _VERSION})


@dataclass(frozen=True)
class WeightsFrame:
    """An answer to ``WantWeights``; the blob is empty if there is nothing newer."""

    type: ClassVar[str] = "weights"
    version: int = field(metadata={"check": _VERSION})
    blob: bytes = field(metadata={"check": _BLOB})
    sha256: bytes = field(metadata={"check": _SHA256})


@dataclass(frozen=True)
class Publish:
    """New weights of the trainer."""

    type: ClassVar[str] = "publish"
    version: int = field(metadata={"check": framing.integer(0, _I63)})
    blob: bytes = field(metadata={"check": _BLOB})
    sha256: bytes = field(metadata={"check": _SHA256})


@dataclass(frozen=True)
class Evict:
    """One life of a worker is sent away, and what the worker sent is forgotten."""

    type: ClassVar[str] = "evict"
    worker_id: int = field(metadata={"check": framing.integer(0, _U16)})
    session: bytes = field(metadata={"check": _SESSION})
    why: bytes = field(metadata={"check": framing.data(0, MAX_REASON_BYTES)})
    """A sentence in UTF-8."""

    @classmethod
    def told(cls, worker_id: int, session: bytes, sentence: str) -> "Evict":
        """Return the message with as much of a sentence as travels."""
        kept = sentence.encode("utf-8", "replace")[:MAX_REASON_BYTES].decode("utf-8", "ignore")
        return cls(worker_id, session, kept.encode())

    @property
    def sentence(self) -> str:
        """Why."""
        return self.why.decode("utf-8", "replace")


@dataclass(frozen=True)
class Stat:
    """Named numbers."""

    type: ClassVar[str] = "stat"
    numbers: Mapping[str, float] = field(metadata={"check": framing.numbers})


@dataclass(frozen=True)
class ErrorFrame:
    """Why the sender ends the connection."""

    type: ClassVar[str] = "error"
    code: str = field(metadata={"check": framing.text})
    sentence: str = field(metadata={"check": framing.text})


@dataclass(frozen=True)
class Bye:
    """The sender leaves on purpose."""

    type: ClassVar[str] = "bye"
    reason: str = field(metadata={"check": framing.text})


Message = Hello | Welcome | Chunk | Ack | WantWeights | WeightsFrame | Publish | Evict | Stat | ErrorFrame | Bye
_PLAIN: dict[str, Any] = {
    kind.type: kind for kind in (Hello, Welcome, Ack, WantWeights, WeightsFrame, Publish, Evict, Stat, ErrorFrame, Bye)
}
_CHUNK: dict[str, framing.Check] = {
    "session": _SESSION,
    "seq": framing.integer(0, _I63),
    "worker_id": framing.integer(0, _U16),
    "episode_id": framing.integer(0, _U32),
    "first_step": framing.integer(0, _U32),
    "n": framing.integer(0, MAX_ROWS),
    "context": framing.integer(0, MAX_CONTEXT),
    "weights_version": _VERSION,
    "end_of_episode": framing.boolean,
    "n_steps": framing.integer(0, _U32),
    "fill_buffer": framing.boolean,
    "stats": framing.numbers,
    "track": framing.text,
    "act_history": framing.array,
    "columns": framing.arrays,
}


def wire_session(name: str) -> bytes:
    """Return a session as 16 bytes: 32 hexadecimal digits are taken as they are, another name by its hash."""
    if len(name) == 2 * SESSION_BYTES:
        try:
            return bytes.fromhex(name)
        except ValueError:
            pass
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()[:SESSION_BYTES]


def encode(message: Message) -> bytes:
    """Return the frame of a message; the arrays of a chunk may be reused afterwards.

    Raises:
        WireError: it breaks a limit that the other side would refuse.
    """
    if isinstance(message, Chunk):
        return _encode_chunk(message)
    values = {f.name: _plain(f.name, getattr(message, f.name)) for f in fields(message)}
    return framing.pack({"v": framing.VERSION, "t": message.type, **values})


def decode(frame: bytes) -> Message:
    """Return the message of a frame; arrays of a chunk are read-only views into it.

    Raises:
        WireError: the frame is not a message of this protocol.
    """
    found = framing.unpack(frame)
    kind = found["t"]
    if kind == "chunk":
        return _decode_chunk(_checked(found, _CHUNK, "chunk"))
    cls = _PLAIN.get(kind) if type(kind) is str else None
    if cls is None:
        raise WireError(f"A message of an unknown type arrived; known are chunk, {', '.join(_PLAIN)}.")
    message: Message = cls(**_checked(found, {f.name: f.metadata["check"] for f in fields(cls)}, cls.type))
    return message


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    return framing.fit_text(value) if name in ("reason", "sentence") else value


def _checked(found: dict[str, Any], checks: Mapping[str, framing.Check], kind: str) -> dict[str, Any]:
    names = found.keys() - {"v", "t"}
    if names != checks.keys():
        missing, extra = sorted(checks.keys() - names), sorted(str(name)[:32] for name in names - checks.keys())
        lacks, has = ", ".join(missing) or "nothing", ", ".join(extra) or "nothing"
        raise WireError(f"A {kind} message lacks {lacks} and has {has} too much.")
    return {name: check(found[name], f"{kind}.{name}") for name, check in checks.items()}


def _encode_chunk(chunk: Chunk) -> bytes:
    n = len(chunk) - chunk.context
    if not 0 <= n <= MAX_ROWS or chunk.context > MAX_CONTEXT:
        raise WireError(
            f"A chunk of {n} new rows and {chunk.context} repeated ones cannot travel: at most {MAX_ROWS} and "
            f"{MAX_CONTEXT}. Lower performance.chunk_rows."
        )
    if len(chunk.columns) > framing.MAX_MAP:
        raise WireError(f"A chunk has {len(chunk.columns)} columns, at most {framing.MAX_MAP} travel.")
    values = {
        "session": wire_session(chunk.session), "seq": chunk.seq, "worker_id": chunk.worker_id,
        "episode_id": chunk.episode_id, "first_step": chunk.first_step, "n": n, "context": chunk.context,
        "weights_version": chunk.weights_version, "end_of_episode": chunk.end_of_episode, "n_steps": chunk.n_steps,
        "fill_buffer": chunk.fill_buffer, "stats": dict(chunk.stats), "track": chunk.track,
        "act_history": framing.array_map(chunk.act_history, "act_history"),
        "columns": {name: framing.array_map(column, name) for name, column in chunk.columns.items()},
    }  # fmt: skip
    return framing.pack({"v": framing.VERSION, "t": "chunk", **values})


def _decode_chunk(values: dict[str, Any]) -> Chunk:
    rows = values.pop("n") + values["context"]
    columns, history = values["columns"], values["act_history"]
    if not columns or rows < 1:
        raise WireError(f"A chunk has {len(columns)} columns and {rows} rows; expected at least one of both.")
    for name, column in columns.items():
        if column.ndim < 1 or len(column) != rows:
            raise WireError(f"chunk.columns.{name} has the shape {column.shape}; expected {rows} rows.")
    if history.dtype != np.float32 or history.ndim != 2 or max(history.shape) > MAX_CONTEXT:
        raise WireError(f"chunk.act_history is {history.dtype}{history.shape}; expected float32 (actions, axes).")
    return Chunk(**{**values, "session": values["session"].hex()})

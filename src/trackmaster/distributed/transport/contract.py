"""How samples reach the learner and weights reach the workers; roles know nothing else of each other.

A ``Transport`` makes both ends from one description. Whatever it is made of, it keeps these promises: rows of an
episode arrive in order and once; weights are the newest, versions grow; a full queue blocks the worker or drops whole
chunks that are counted; nothing is unpickled; ``close`` returns soon.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors

from trackmaster.errors import TrackmasterError
from trackmaster.rl.samples.chunk import Chunk


class TransportError(TrackmasterError):
    """The other side is gone, or sent something that is not what was agreed."""


@dataclass(frozen=True)
class Weights:
    """One published version of an actor."""

    version: int
    blob: bytes
    """The tensors in safetensors form."""
    sha256: str

    @classmethod
    def pack(
        cls, version: int, tensors: Mapping[str, torch.Tensor], *, metadata: Mapping[str, str] | None = None
    ) -> "Weights":
        """Return tensors as one self-contained message; other ``metadata`` make it another one."""
        blob = save_safetensors(dict(tensors), dict(metadata) if metadata else None)
        return cls(version, blob, hashlib.sha256(blob).hexdigest())

    def unpack(self) -> dict[str, torch.Tensor]:
        """Return the tensors by name.

        Raises:
            TransportError: the content is not what was published.
        """
        if hashlib.sha256(self.blob).hexdigest() != self.sha256:
            raise TransportError(f"Weights version {self.version} arrived damaged: their hash differs.")
        try:
            return dict(load_safetensors(self.blob))
        except SafetensorError as error:
            raise TransportError(f"Weights version {self.version} cannot be read: {error}.") from None


class WorkerEnd(Protocol):
    """What a worker holds."""

    def send_chunk(self, chunk: Chunk) -> None:
        """Hand a chunk over; blocks while the queue is full. The arrays may be reused afterwards."""
        ...

    def poll_weights(self, have: int) -> Weights | None:
        """Return the newest weights if they are newer than version ``have``."""
        ...

    def should_stop(self) -> bool:
        """Return whether the trainer has asked to end."""
        ...

    def close(self) -> None:
        """Say goodbye."""
        ...


class TrainerEnd(Protocol):
    """What a trainer holds."""

    def recv_chunks(self, timeout_s: float) -> list[Chunk]:
        """Return what has arrived, waiting for at most ``timeout_s`` if there is nothing."""
        ...

    def publish(self, weights: Weights) -> None:
        """Make weights the newest."""
        ...

    def check_workers(self) -> None:
        """Raise ``TransportError`` if a worker has ended without being asked to."""
        ...

    def close(self) -> None:
        """Ask the workers to end and wait for them."""
        ...


@runtime_checkable
class RemoteTrainerEnd(Protocol):
    """A trainer's end whose workers outlive the trainer, and whose chunks are kept until they are saved."""

    def marks(self) -> dict[str, int]:
        """Return the highest number handed over by session, to be saved beside the memory."""
        ...

    def confirm(self) -> None:
        """Everything handed over so far is on disk."""
        ...

    def leave_workers(self) -> None:
        """Let the workers wait for the next trainer, instead of ending them with ``close``."""
        ...


@runtime_checkable
class EvictingTrainerEnd(Protocol):
    """A trainer's end of workers that are not trusted: one of them can be sent away, by either side."""

    def evict(self, chunk: Chunk, reason: str) -> None:
        """Send the worker of a chunk away; it is told the reason, a sentence."""
        ...

    def evicted(self) -> list[int]:
        """Return the numbers of the workers whose rows have to be forgotten, each once."""
        ...

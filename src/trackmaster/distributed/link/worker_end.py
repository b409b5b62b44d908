"""A worker's end of the network: driving goes on whatever the network does."""

import asyncio
import hashlib
import time
from collections.abc import Callable
from dataclasses import replace

from trackmaster.distributed.link.client import LONGEST_WAIT_S, LinkClient, LinkOptions, Sender
from trackmaster.distributed.link.entrance import RefusedError
from trackmaster.distributed.link.outbox import OnFull, Outbox, Parcel
from trackmaster.distributed.link.spool import Spool
from trackmaster.distributed.security.join_string import ServerAddress
from trackmaster.distributed.transport.contract import Weights
from trackmaster.distributed.wire.messages import (
    FINISHED,
    Ack,
    Bye,
    Evict,
    Message,
    Stat,
    WantWeights,
    WeightsFrame,
    Welcome,
    decode,
    encode,
)
from trackmaster.rl.samples.chunk import Chunk

OUTBOX_BYTES = 64 * 2**20
FIRST_WEIGHTS_S = 0.2
"""How long asking for weights waits while there have been none."""
ASK_AGAIN_S = 0.1


class WebSocketWorkerEnd(LinkClient):
    """Sends chunks to a relay and takes the newest weights from it.

    Args:
        address: the server.
        spec: as in ``LinkClient``.
        run_name: for people.
        worker_id: number of this worker; -1 takes a free one, see ``worker_id``.
        on_full: "block" waits for room in the outbox, "drop" gives up the oldest whole episodes and counts them; where
            all of them were sent and only wait for their acknowledgement, it gives up what is driven now.
        outbox_bytes: chunks that may wait in memory.
        spool: keeps chunks on disk until they are acknowledged.
        options: times.
        say: where lines for people go.
    """

    def __init__(
        self, address: ServerAddress, *, spec: bytes = b"", run_name: str = "", worker_id: int = -1,
        on_full: OnFull = "block", outbox_bytes: int = OUTBOX_BYTES, spool: Spool | None = None,
        options: LinkOptions | None = None, say: Callable[[str], None] = print,
    ) -> None:  # fmt: skip
        super().__init__(address, "worker", spec=spec, run_name=run_name, worker_id=worker_id, options=options, say=say)
        self._on_full: OnFull = on_full
        self._outbox = Outbox(outbox_bytes, spool, say)
        self._seq = 0
        self._weights: Weights | None = None
        self._has_asked = self._wants_weights = False
        self._is_finished = False
        self._is_durable = False
        self._told_drops = self._sent_drops = 0
        self._max_ahead: int | None = None
        self.start()

    def keep_near(self, max_ahead: int) -> None:
        """While the server is there, hold the owner once so many chunks have not been taken.

        For owners that can wait, as simulators can: what they drive with weights of long ago teaches little. Those that
        drop are not held, and while the server is away the outbox alone decides.
        """
        self._max_ahead = max_ahead if self._on_full == "block" else None

    @property
    def worker_id(self) -> int:
        """The number the server knows this worker by; -1 before the first welcome."""
        return self._welcome.worker_id if self._welcome is not None else self._asked_id

    @property
    def dropped_chunks(self) -> int:
        """Chunks that were given up because the outbox was full."""
        return self._outbox.dropped_chunks

    @property
    def waiting_chunks(self) -> int:
        """Chunks that have not been acknowledged."""
        return len(self._outbox)

    def send_chunk(self, chunk: Chunk) -> None:
        """Put a chunk into the outbox under this link's session and the next number.

        Raises:
            TransportError: the server has refused this worker for good.
        """
        number = max(0, self.worker_id)  # the server's number is put in when it is sent
        named = replace(chunk, session=self.session.hex(), seq=self._seq, worker_id=number)
        frame = encode(named)
        episode = (self.session, chunk.episode_id)
        parcel = Parcel(self.session, self._seq, number, episode, len(frame), chunk.n_steps, frame)
        with self._changed:
            while not self._has_room(len(frame)):
                self._raise_if_fatal()
                if self._closing or self._is_finished:
                    return
                if self._on_full == "block":
                    self._changed.wait(LONGEST_WAIT_S)
                elif not self._outbox.drop_oldest_episode():
                    break
            self._raise_if_fatal()
            if self._outbox.has_room(len(frame)):
                self._outbox.put(parcel)
                self._seq += 1
            else:  # everything was sent: a durable server acknowledges when its trainer saves
                self._outbox.count_drop(parcel)
        self._tell_drops()
        self._notify()

    def poll_weights(self, have: int) -> Weights | None:
        """Return the newest weights that have arrived if they are newer than ``have``, and ask for newer ones.

        Raises:
            TransportError: the server has refused this worker for good.
        """
        with self._changed:
            self._raise_if_fatal()
            self._wants_weights = True
        self._notify()
        if have < 0:
            return self.wait_weights(have, FIRST_WEIGHTS_S)
        return self._newer(have)

    def wait_weights(self, have: int, timeout_s: float) -> Weights | None:
        """Wait for weights newer than ``have``; None when none came in time or the run has ended.

        Raises:
            TransportError: the server has refused this worker for good.
        """
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while self._newer(have) is None and not (self._fatal or self._is_finished or self._closing):
                self._wants_weights = True
                self._notify()
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(min(left, ASK_AGAIN_S))
            self._raise_if_fatal()
            return self._newer(have)

    def should_stop(self) -> bool:
        """Return whether the trainer has ended the run.

        Raises:
            TransportError: the server has refused this worker for good.
        """
        with self._changed:
            self._raise_if_fatal()
            return self._is_finished or self._closing

    def close(self) -> None:
        """Wait a moment for acknowledgements, say goodbye, and tell what did not arrive."""
        super().close()
        left = len(self._outbox)
        if left and self._fatal is None:
            self._say(f"{left} chunks of this worker were not acknowledged before it ended.")

    def _has_room(self, size: int) -> bool:
        if self._max_ahead is not None and self._is_connected:
            # A durable server acknowledges when its trainer saves: there, what has left here counts as taken.
            ahead = self._outbox.unsent if self._is_durable else len(self._outbox)
            if ahead >= self._max_ahead:
                return False
        return self._outbox.has_room(size)

    def _newer(self, have: int) -> Weights | None:
        return self._weights if self._weights is not None and self._weights.version > have else None

    def _tell_drops(self) -> None:
        dropped = self._outbox.dropped_chunks
        if dropped >= 2 * max(self._told_drops, 1) or (dropped and not self._told_drops):
            self._told_drops = dropped
            self._say(
                f"{dropped} chunks ({self._outbox.dropped_steps} steps) were given up, because the outbox was full."
            )

    def _begin(self, welcome: Welcome) -> None:
        self._outbox.rewind()
        self._has_asked = False
        self._is_durable = bool(welcome.limits.get("durable"))
        if self._weights is None or welcome.weights_version > self._weights.version:
            self._wants_weights = True

    def _hear(self, message: Message) -> None:
        if isinstance(message, Ack):
            self._outbox.ack(message.session, message.seq)
            if self._closing:
                self._notify()
        elif isinstance(message, WeightsFrame):
            self._take_weights(message)
        elif isinstance(message, Evict):
            raise RefusedError(
                f"The trainer sent this worker away, and nothing is learnt from what it sent: {message.sentence}",
                final=True,
            )
        elif isinstance(message, Bye) and message.reason == FINISHED:
            self._is_finished = True

    def _take_weights(self, found: WeightsFrame) -> None:
        self._has_asked = False
        if found.blob and hashlib.sha256(found.blob).digest() != found.sha256:
            self._say(f"Weights version {found.version} arrived damaged; they are asked for again.")
            self._wants_weights = True
        elif found.blob and (self._weights is None or found.version > self._weights.version):
            self._weights = Weights(found.version, found.blob, found.sha256.hex())

    async def _send_due(self, send: Sender) -> None:
        while True:
            with self._changed:
                found = self._outbox.next_frame()
                if self._max_ahead is not None:
                    self._changed.notify_all()
                dropped = self._outbox.dropped_chunks
                asks = self._wants_weights and not self._has_asked
                if asks:
                    self._wants_weights, self._has_asked = False, True
                have = self._weights.version if self._weights is not None else -1
            if asks:
                await send.message(WantWeights(have))
            if dropped != self._sent_drops:
                self._sent_drops = dropped
                await send.message(Stat({"dropped_chunks": float(dropped)}))
            if found is None:
                break
            number, frame = found
            await send.frame(frame if number == self.worker_id else _renumbered(frame, self.worker_id))
            await asyncio.sleep(0)  # sending alone would not let acknowledgements in while the network is fast

    def _is_flushed(self) -> bool:
        with self._changed:
            return self._outbox.is_sent if self._is_durable else not len(self._outbox)


def _renumbered(frame: bytes, worker_id: int) -> bytes:
    """Return the frame of a chunk under the number that the server has given this worker meanwhile."""
    chunk = decode(frame)
    return encode(replace(chunk, worker_id=worker_id)) if isinstance(chunk, Chunk) else frame

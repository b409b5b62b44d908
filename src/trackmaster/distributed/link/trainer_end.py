"""A trainer's end of the network: chunks exactly once into the memory, weights out as soon as they are there."""

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import replace

from trackmaster.distributed.link.client import LONGEST_WAIT_S, LinkClient, LinkOptions, Sender
from trackmaster.distributed.security.join_string import ServerAddress
from trackmaster.distributed.transport.contract import Weights
from trackmaster.distributed.wire.marks import MAX_SESSIONS, Marks
from trackmaster.distributed.wire.messages import FINISHED, Ack, Bye, Evict, Message, Publish, Stat, Welcome
from trackmaster.rl.samples.chunk import Chunk, SampleError, SampleSpec


class WebSocketTrainerEnd(LinkClient):
    """Receives chunks from a relay and publishes weights to it.

    Versions on the network begin at the time of this life in milliseconds, so that they grow over every restart of
    trainer and server; the trainer itself sees its own numbers, and -1 for weights of an earlier life.

    Args:
        address: the server.
        columns: what chunks must look like, others are refused; None leaves that to the memory.
        check: raises ``SampleError`` for chunks of this look that are refused nevertheless.
        spec: as in ``LinkClient``; tells the server and the workers the same.
        run_name: for people.
        acknowledge: "received" as soon as a chunk was handed over, "saved" when ``confirm`` says that it is on disk;
            the latter counts on a durable server only.
        marks: highest number by session that an earlier life has saved.
        max_ahead: chunks of each worker that the server takes before this trainer has taken them; as many as fit there
            when left out. Fast simulators would otherwise fill it with what weights of long ago drove.
        stop_workers: whether ``close`` ends the workers too.
        options: times.
        say: where lines for people go.
    """

    def __init__(
        self, address: ServerAddress, columns: SampleSpec | None, *, spec: bytes, run_name: str = "",
        acknowledge: str = "received", marks: Mapping[str, int] | None = None, stop_workers: bool = True,
        check: Callable[[Chunk], None] | None = None, max_ahead: int | None = None,
        options: LinkOptions | None = None,
        say: Callable[[str], None] = print,
    ) -> None:  # fmt: skip
        super().__init__(address, "trainer", spec=spec, run_name=run_name, options=options, say=say)
        self._columns, self._check = columns, check
        self._evicted: OrderedDict[bytes, Evict] = OrderedDict()  # by us
        self._due_evicts: list[Evict] = []
        self._to_forget: list[int] = []
        self._told: set[tuple[int, bytes]] = set()
        self._acknowledge, self._stop_workers = acknowledge, stop_workers
        self._max_ahead, self._tells_ahead = max_ahead, False
        self._inbox: deque[tuple[bytes, int, Chunk | None]] = deque()
        self._marks = Marks({bytes.fromhex(session): seq for session, seq in (marks or {}).items()})
        self._confirmed = Marks(dict(self._marks.items()))
        self._handed = Marks(dict(self._marks.items()))
        self._unconfirmed: dict[bytes, int] = {}
        self._due_acks: dict[bytes, int] = {}
        self._taken = 0
        self._publish: Publish | None = None
        self._is_published = True
        self._base = int(time.time() * 1000)
        self._first_version: int | None = None
        self._is_new = True  # to the server
        self.duplicates = 0
        """Chunks that came a second time and were left out."""
        self.refused = 0
        """Chunks that do not fit the memory and were left out."""
        self.start()

    def recv_chunks(self, timeout_s: float) -> list[Chunk]:
        """Return what has arrived, waiting for at most ``timeout_s`` if there is nothing.

        Raises:
            TransportError: the server has refused this trainer for good.
        """
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while not self._inbox and self._fatal is None and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(min(left, LONGEST_WAIT_S))
            self._raise_if_fatal()
            arrived = list(self._inbox)
            self._inbox.clear()
            self._taken += len(arrived)
            for session, seq, _ in arrived:
                self._handed.note(session, seq)
                self._unconfirmed[session] = seq
            if not self.waits_for_disk:
                self._confirm()
        if arrived:
            self._notify()
        return [chunk for _, _, chunk in arrived if chunk is not None]

    def evict(self, chunk: Chunk, reason: str) -> None:
        """Send the worker of a chunk away, which is told the reason; what it has sent is left out from here on."""
        with self._changed:
            self._evict(chunk, reason)

    def evicted(self) -> list[int]:
        """Return the numbers of the workers whose rows have to be forgotten, each once."""
        with self._changed:
            numbers, self._to_forget = self._to_forget, []
        return numbers

    def confirm(self) -> None:
        """Everything handed over so far is on disk."""
        with self._changed:
            self._confirm()
        self._notify()

    def leave_workers(self) -> None:
        """Let the workers wait for the next trainer, instead of ending them with ``close``."""
        self._stop_workers = False

    def marks(self) -> dict[str, int]:
        """Return the highest number handed over by session, to be saved beside the memory."""
        with self._changed:
            return {session.hex(): seq for session, seq in self._handed.items()}

    def publish(self, weights: Weights) -> None:
        """Make weights the newest; older ones that were not sent yet are left out.

        Raises:
            TransportError: the server has refused this trainer for good.
        """
        with self._changed:
            self._raise_if_fatal()
            if self._first_version is None:
                self._first_version = weights.version
            version = self._base + weights.version - self._first_version
            self._publish = Publish(version, weights.blob, bytes.fromhex(weights.sha256))
            self._is_published = False
        self._notify()

    def check_workers(self) -> None:
        """Raise ``TransportError`` if the server has refused us; workers may come and go."""
        with self._changed:
            self._raise_if_fatal()

    @property
    def waits_for_disk(self) -> bool:
        """Whether workers keep what was handed over here until ``confirm``."""
        is_durable = self._welcome is not None and bool(self._welcome.limits.get("durable"))
        return self._acknowledge == "saved" and is_durable

    def _confirm(self) -> None:
        for session, seq in self._unconfirmed.items():
            self._confirmed.note(session, seq)
            self._due_acks[session] = seq
        self._unconfirmed.clear()

    def _begin(self, welcome: Welcome) -> None:
        self._taken = 0  # of the earlier connection
        self._due_acks = dict(self._confirmed.items())
        self._tells_ahead = self._max_ahead is not None
        self._due_evicts = list(self._evicted.values())  # the server may be another one by now
        if self._is_new or self._first_version is None:  # an earlier trainer's clock may be ahead of ours
            self._is_new, before = False, self._base
            self._base = max(before, welcome.weights_version + 1)
            if self._publish is not None:
                self._publish = replace(self._publish, version=self._publish.version + self._base - before)
        self._is_published = self._publish is None or welcome.weights_version >= self._publish.version

    def _hear(self, message: Message) -> None:
        if isinstance(message, Evict):
            self._forget(message)
        if not isinstance(message, Chunk):
            return
        session = bytes.fromhex(message.session)
        if message.seq <= self._marks.of(session):
            self.duplicates += 1
            if message.seq <= self._handed.of(session):  # what still waits here counts once it is handed over
                self._taken += 1
            if (confirmed := self._confirmed.of(session)) >= 0:
                self._due_acks[session] = confirmed
            self._notify()
            return
        self._marks.note(session, message.seq)
        self._inbox.append((session, message.seq, self._fitting(message)))

    def _fitting(self, chunk: Chunk) -> Chunk | None:
        if bytes.fromhex(chunk.session) in self._evicted:
            self.refused += 1
            return None
        try:
            if self._columns is not None:
                chunk.check(self._columns)
            if self._check is not None:
                self._check(chunk)
        except SampleError as error:
            self.refused += 1
            self._evict(chunk, str(error))
            return None
        return replace(chunk, weights_version=self._own_version(chunk.weights_version))

    def _evict(self, chunk: Chunk, reason: str) -> None:
        session = bytes.fromhex(chunk.session)
        if session in self._evicted:
            return
        evict = self._evicted[session] = Evict.told(chunk.worker_id, session, reason)
        while len(self._evicted) > MAX_SESSIONS:
            self._evicted.popitem(last=False)
        self._due_evicts.append(evict)
        self._to_forget.append(chunk.worker_id)
        self._leave_out(lambda waiting: waiting.session == chunk.session)
        self._notify()
        self._say(f"Worker {chunk.worker_id} is sent away, and nothing is learnt from what it sent: {reason}")

    def _forget(self, evict: Evict) -> None:
        """The server has sent a worker away."""
        is_told = (evict.worker_id, evict.session) in self._told  # a server says so again after every connection
        if not is_told or not any(evict.session):  # nobody's life may be another one each time
            self._to_forget.append(evict.worker_id)
        self._leave_out(lambda waiting: waiting.worker_id == evict.worker_id)
        if not is_told:
            if len(self._told) >= MAX_SESSIONS:
                self._told.clear()
            self._told.add((evict.worker_id, evict.session))
            self._say(
                f"The server sent worker {evict.worker_id} away, and nothing is learnt from what it sent: "
                f"{evict.sentence}"
            )

    def _leave_out(self, is_left_out: Callable[[Chunk], bool]) -> None:
        for place, (session, seq, chunk) in enumerate(self._inbox):
            if chunk is not None and is_left_out(chunk):
                self._inbox[place] = (session, seq, None)
                self.refused += 1

    def _own_version(self, version: int) -> int:
        if self._first_version is None or version < self._base:
            return -1
        return version - self._base + self._first_version

    async def _send_due(self, send: Sender) -> None:
        with self._changed:
            acks, self._due_acks = self._due_acks, {}
            evicts, self._due_evicts = self._due_evicts, []
            taken, self._taken = self._taken, 0
            ahead, self._tells_ahead = self._max_ahead if self._tells_ahead else None, False
            publish = None if self._is_published else self._publish
            self._is_published = True
        if ahead is not None:
            await send.message(Stat({"ahead": float(ahead)}))
        for session, seq in acks.items():
            await send.message(Ack(session, seq))
            await asyncio.sleep(0)  # a connection that breaks meanwhile is noticed in between
        for evict in evicts:
            await send.message(evict)
        if taken:
            await send.message(Stat({"taken": float(taken)}))
        if publish is not None:
            await send.message(publish)

    def _is_flushed(self) -> bool:
        with self._changed:
            return self._is_published and not self._due_acks and not self._due_evicts and not self._taken

    def _farewell(self) -> Bye:
        return Bye(FINISHED if self._stop_workers else "")

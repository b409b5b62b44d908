"""States and pictures of exact ticks, through either dialect.

The plain protocol gives a picture of whatever the game draws next. A picture belongs to the tick T if the race stands
still from T until it was drawn: in the run step of T take the state, go back to it (which drops a tick under way), set
the speed to 0, ask for the picture; run on when it came. A plugin of ours does the same by itself for a whole list of
ticks and sends each with its state, so that nothing waits for our answer in between.

Source: ``game_link.md`` 17.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from trackmaster.game.link.client import LinkClient
from trackmaster.game.link.errors import LinkError
from trackmaster.game.link.events import Event
from trackmaster.game.link.protocol import Feature, Message, ProtocolError, Wants
from trackmaster.units import TICK_MS


class WrongTickError(LinkError):
    """A picture or state belongs to another tick than the one asked for; the run cannot be used."""


@dataclass(frozen=True, slots=True)
class SamplePlan:
    """Which ticks of a run are wanted."""

    entries: Sequence[tuple[int, Wants]]
    """Callback time, a multiple of 10 and ascending, and what it shall bring (a state always comes along)."""
    width: int
    height: int

    def __post_init__(self) -> None:
        """Refuse a plan that no race can follow.

        Raises:
            ProtocolError: it is empty, unsorted or off the grid of ticks.
        """
        times = [time_ms for time_ms, _ in self.entries]
        if not times or times != sorted(set(times)) or any(time_ms % TICK_MS for time_ms in times):
            raise ProtocolError(f"a plan of samples needs ascending multiples of {TICK_MS} ms, got {times[:5]} ...")

    @property
    def period_ms(self) -> int:
        """The longest period whose multiples hold all entries."""
        return math.gcd(*(time_ms for time_ms, _ in self.entries)) or TICK_MS


def samples(
    client: LinkClient,
    plan: SamplePlan,
    *,
    speed: float,
    timeout_s: float | None = None,
    keep_going: bool = True,
) -> Iterator[Event]:
    """Run the race through a plan; yield every sample, and every gate in between.

    A sample is an event ``SC_SAMPLE`` with ``tick_time_ms``, ``state`` and, where wanted, ``picture``. A finish comes
    with the ``state`` that holds the official times. The iterator acknowledges; when it ends, the client is inside the
    last sample's message, and the race goes on at ``speed`` once that is acknowledged.

    Args:
        client: inside a run step before the first entry, or at it.
        plan: what is wanted.
        speed: of the race between two samples.
        timeout_s: patience per message; the client's own without it.
        keep_going: take the finish back when it was told, so that no medal screen comes.

    Raises:
        WrongTickError: the game left out a tick of the plan, or ran on before its picture was drawn.
        LinkError: the session failed.
    """
    follow = _by_plugin if client.plugin.has(Feature.CAPTURE_PLAN) else _by_hand
    for event in follow(client, plan, speed, timeout_s):
        if not event.is_finish:
            yield event
            continue
        state = client.get_state()
        if keep_going:
            client.rewind(state.without_finish())
        yield replace(event, state=state)


def _by_plugin(client: LinkClient, plan: SamplePlan, speed: float, timeout_s: float | None) -> Iterator[Event]:
    client.set_speed(speed)
    client.capture(plan.width, plan.height, ((time_ms, wants | Wants.STATE) for time_ms, wants in plan.entries))
    client.acknowledge()
    wanted = iter(plan.entries)
    while True:
        event = client.wait(timeout_s)
        if event.message is Message.SC_SAMPLE:
            _expect(event.tick_time_ms, next(wanted)[0])
            yield event
            if event.is_sync:
                return
            continue
        if event.is_run_step:
            raise WrongTickError(
                f"the game reports the tick {event.time_ms} ms although samples are due: the race was restarted, or a "
                "tick of the plan lay in the past. This run is not used."
            )
        yield event
        client.acknowledge()


def _by_hand(client: LinkClient, plan: SamplePlan, speed: float, timeout_s: float | None) -> Iterator[Event]:
    client.set_period(plan.period_ms)
    client.set_speed(speed)
    now_ms = client.race_time_ms if client.race_time_ms is not None else -1
    finish_ms: int | None = None
    for time_ms, wants in plan.entries:
        while now_ms < time_ms:
            client.acknowledge()
            event = client.wait(timeout_s)
            if event.is_run_step:
                # After the finish the shown time stands still at the official one while ticks go on.
                is_frozen = event.time_ms == finish_ms
                now_ms = max(now_ms, event.time_ms) + TICK_MS if is_frozen else event.time_ms
            elif event.message is Message.SC_REQUESTED_FRAME_SYNC:
                raise WrongTickError("the game sent a second picture for one request; this run is not used.")
            else:
                if event.is_finish:
                    finish_ms = client.get_state().race_time_ms
                yield event
        _expect(now_ms, time_ms)
        sample = _sample_by_hand(client, plan, now_ms, wants, timeout_s)
        client.set_speed(speed)
        yield sample


def _sample_by_hand(client: LinkClient, plan: SamplePlan, time_ms: int, wants: Wants, timeout_s: float | None) -> Event:
    state = client.get_state()
    sample = Event(Message.SC_SAMPLE, time_ms=state.race_time_ms, tick_time_ms=time_ms, state=state)
    if not wants & Wants.PICTURE:
        return sample
    client.rewind()
    client.set_speed(0.0)
    client.request_frame(plan.width, plan.height)
    client.acknowledge()
    frame = client.wait(timeout_s)
    if frame.message is not Message.SC_REQUESTED_FRAME_SYNC:
        raise WrongTickError(
            f"the game went on to {frame.message.name} ({frame.time_ms} ms) before it drew the picture of {time_ms} "
            "ms. Lower the running speed; this run is not used."
        )
    return replace(sample, picture=frame.picture)


def _expect(found_ms: int, wanted_ms: int) -> None:
    if found_ms != wanted_ms:
        raise WrongTickError(
            f"the game sent the tick {found_ms} ms where {wanted_ms} ms was due: ticks were left out. Lower the "
            "running speed; this run is not used."
        )

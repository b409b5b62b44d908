"""Lists are read whole and right, although they change, repeat themselves and hold nonsense."""

import asyncio
import contextlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.replays.exchange import direct_client, run_virtual

from trackmaster.replays.catalogue import Catalogue
from trackmaster.replays.client import ExchangeClient, _parse_page
from trackmaster.replays.errors import ExchangeError, FetchError
from trackmaster.replays.records import (
    REPLAY_FIELDS,
    TRACK_FIELDS,
    ReplayRecord,
    TrackRecord,
    best_of_users,
    parse_time,
    replay_from_json,
    track_from_json,
)
from trackmaster.replays.standin.crowd import crowd_exhibit
from trackmaster.replays.standin.exhibit import EPOCH, Exhibit
from trackmaster.replays.standin.faults import FaultPlan
from trackmaster.replays.standin.routes import Answer, answer
from trackmaster.replays.standin.server import StandIn

NEWER, OLDER = datetime(2020, 5, 1, 12, tzinfo=UTC), datetime(2012, 5, 1, 12, tzinfo=UTC)


def with_client(standin: StandIn, work: Callable[[ExchangeClient, Any], Any], pages: Catalogue | None = None) -> Any:
    async def run() -> Any:
        client, transport = direct_client(standin, pages=pages)
        return await work(client, transport)

    return run_virtual(run())


async def all_tracks(
    client: ExchangeClient, *, per_page: int = 10, between: Callable[[int], None] | None = None
) -> list[int]:
    found: list[int] = []
    number = 0
    async for page in client.tracks(order=10, per_page=per_page):
        found += [track.track_id for track in page]
        number += 1
        if between is not None:
            between(number)
    return found


def test_a_list_is_read_page_by_page_to_its_end() -> None:
    standin = StandIn(crowd_exhibit(57, 1))
    found, log = with_client(standin, lambda c, t: _with_log(all_tracks(c), t))
    assert found == standin.exhibit.ordered(10)[0], "each track once, in the order of the exchange"
    cursors = [entry.path for entry in log if "after=" in entry.path]
    assert len(cursors) == 5
    assert all("offset" not in entry.path and "fields=TrackId%2C" in entry.path for entry in log)


@pytest.mark.parametrize(("most", "requests"), [(4, 1), (10, 1), (11, 2), (25, 3), (99, 6)])
def test_no_page_is_asked_for_that_is_not_needed(most: int, requests: int) -> None:
    standin = StandIn(crowd_exhibit(57, 1))

    async def work(client: ExchangeClient, transport: Any) -> tuple[list[int], int]:
        found = [row.track_id async for page in client.tracks(order=10, per_page=10, most=most) for row in page]
        return found, len(transport.log)

    assert with_client(standin, work) == (standin.exhibit.ordered(10)[0][:most], requests)


async def _with_log(work: Any, transport: Any) -> Any:
    return await work, transport.log


def test_the_next_page_is_on_its_way_while_one_is_used() -> None:
    standin = StandIn(crowd_exhibit(30, 1))

    async def work(client: ExchangeClient, transport: Any) -> int:
        pages = client.tracks(order=10, per_page=10)
        await anext(pages)
        await asyncio.sleep(0.01)
        asked = len(transport.log)
        await pages.aclose()
        return asked

    assert with_client(standin, work) == 2


@pytest.mark.parametrize("moved_from", ["ahead", "cursor", "behind"])
def test_nothing_is_lost_when_tracks_move_to_the_front_between_pages(moved_from: str) -> None:
    standin = StandIn(crowd_exhibit(60, 1))
    everything = set(standin.exhibit.tracks)

    def move(page: int) -> None:
        order = standin.exhibit.ordered(10)[0]
        place = {"ahead": 45, "cursor": min(10 * (page + 1) - 1, 59), "behind": 3}[moved_from]
        standin.exhibit.touch(order[place], EPOCH + timedelta(days=9_000 + page))

    found = with_client(standin, lambda c, _: all_tracks(c, between=move))
    assert set(found) == everything
    assert len(found) == len(everything), "none comes twice"


def test_a_deleted_cursor_does_not_end_the_list() -> None:
    standin = StandIn(crowd_exhibit(60, 1))
    order = list(standin.exhibit.ordered(10)[0])

    def remove(page: int) -> None:
        if page == 1:
            standin.exhibit.remove(order[19])  # the last one of the second page, which is on its way

    found = with_client(standin, lambda c, _: all_tracks(c, between=remove))
    assert set(order) - {order[19]} <= set(found)


def test_lists_with_faults_are_whole() -> None:
    standin = StandIn(crowd_exhibit(300, 1), FaultPlan(0.3, ("429", "500", "reset", "html", "short", "moving"), seed=5))
    found = with_client(standin, lambda c, _: all_tracks(c))
    assert sorted(found) == sorted(standin.exhibit.tracks)


def test_the_best_replays_are_those_of_distinct_drivers_on_the_current_map() -> None:
    exhibit = crowd_exhibit(8, 30)
    track = exhibit.tracks[1007]  # one with a beaten run and a faster one on an older version
    record = TrackRecord(1007, track.uid, updated_at=track.updated_at)
    rows = with_client(StandIn(exhibit), lambda c, _: c.best_replays(record, 12))
    assert [row.time_ms for row in rows] == [20_000 + 37 * place + 7 for place in range(12)]
    assert len({row.user_id for row in rows}) == 12
    assert {row.track_at for row in rows} == {track.updated_at}
    assert len(track.replays) == 32
    assert track.replays[0].time_ms == 15_000, "the exchange lists the old run first"


def test_a_long_leaderboard_is_read_over_several_pages_in_any_order() -> None:
    exhibit = crowd_exhibit(1, 1_000)
    track = exhibit.tracks[1000]
    shuffled = track.replays[500:] + track.replays[:500]
    track.replays = shuffled
    record = TrackRecord(1000, track.uid, updated_at=track.updated_at)
    rows = with_client(StandIn(exhibit), lambda c, _: c.best_replays(record, 10))
    assert [row.time_ms for row in rows] == [20_000 + 37 * place for place in range(10)]


def row(replay_id: int, time_ms: int, user: int, **changes: Any) -> ReplayRecord:
    values: dict[str, Any] = {"position": 1, "is_best": True, "track_at": NEWER} | changes
    return ReplayRecord(replay_id, time_ms, user, f"driver {user}", **values)


def test_beaten_and_old_runs_do_not_count() -> None:
    rows = [
        row(1, 9_000, 1, track_at=OLDER), row(2, 10_000, 1), row(3, 11_000, 1, position=None, is_best=False),
        row(4, 10_500, 2), row(5, 10_400, 2, position=7, is_best=False),
        row(6, 12_000, 3, position=None, is_best=False),
    ]  # fmt: skip
    assert [r.replay_id for r in best_of_users(rows, NEWER, 50)] == [2, 5]
    assert [r.replay_id for r in best_of_users(rows, None, 50)] == [2, 5], "the newest version driven"
    assert [r.replay_id for r in best_of_users(rows, OLDER, 50)] == [1], "what the exchange calls current"
    assert [r.replay_id for r in best_of_users(rows, NEWER, 1)] == [2]


def test_listings_are_asked_for_conditionally_and_not_at_all_while_fresh(tmp_path: Path) -> None:
    standin = StandIn(crowd_exhibit(25, 1))
    now = [1_000_000.0]
    with Catalogue(tmp_path / "c.sqlite3", fresh_s=3600, wall=lambda: now[0]) as pages:
        first = with_client(standin, lambda c, t: _with_log(all_tracks(c), t), pages)
        again = with_client(standin, lambda c, t: _with_log(all_tracks(c), t), pages)
        now[0] += 7200
        later = with_client(standin, lambda c, t: _with_log(all_tracks(c), t), pages)
    assert first[0] == again[0] == later[0]
    assert [entry.status for entry in first[1]] == [200, 200, 200, 304]
    assert [entry.status for entry in again[1]] == [304], "only the front is looked at, for tracks that moved there"
    assert {entry.status for entry in later[1]} == {304}


def test_a_list_with_nonsense_in_it_is_asked_for_again_and_not_remembered(tmp_path: Path) -> None:
    standin = StandIn(crowd_exhibit(5, 1))
    calm = standin.decide
    asked: list[str] = []

    def odd(path: str, *rest: Any) -> Any:
        asked.append(path)
        body = b'{"More": false, "Results": [{"TrackId": null}]}'
        return (Answer(200, body), None) if len(asked) == 1 else calm(path, *rest)

    standin.decide = odd
    with Catalogue(tmp_path / "c.sqlite3") as pages:
        assert len(with_client(standin, lambda c, _: all_tracks(c), pages)) == 5


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-12-23T18:39:13.743", datetime(2024, 12, 23, 18, 39, 13, 743_000, tzinfo=UTC)),
        ("2024-12-23T18:39:13.7434567", datetime(2024, 12, 23, 18, 39, 13, 743_456, tzinfo=UTC)),
        ("2008-04-16T10:00:00", datetime(2008, 4, 16, 10, tzinfo=UTC)),
        ("2008-13-16T10:00:00", None), ("yesterday", None), (None, None), (17, None),
    ],
)  # fmt: skip
def test_times_of_the_server_are_utc_with_any_number_of_digits(text: object, expected: datetime | None) -> None:
    assert parse_time(text) == expected


def test_nonsense_numbers_are_none_and_absent_objects_too() -> None:
    track = track_from_json(
        {
            "TrackId": 2**40,
            "AuthorTime": -1,
            "UnlimiterVersion": None,
            "WRReplay": None,
            "UId": None,
            "PrimaryType": "x",
        }
    )
    assert track == TrackRecord(2**40)
    assert replay_from_json({"ReplayId": 5, "ReplayTime": 2**31}) is None
    found = replay_from_json({"ReplayId": 5, "ReplayTime": 9_000, "User": None, "IsBest": 1})
    assert found is not None
    assert found.user_id == -5, "a driver without an id is nobody else's"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*TRACK_FIELDS, *REPLAY_FIELDS, "More", "Results", "User"]), inner, max_size=6
        )
    ),
    max_leaves=20,
)


@given(content=JSON)
def test_whatever_the_server_sends_is_read_or_refused(content: object) -> None:
    for read in (track_from_json, replay_from_json):
        with contextlib.suppress(FetchError):
            read(content)
    with contextlib.suppress(FetchError):
        rows, has_more = _parse_page(json.dumps(content).encode())
        assert isinstance(rows, list)
        assert isinstance(has_more, bool)


@given(body=st.binary(max_size=200))
def test_bodies_that_are_no_list_are_refused(body: bytes) -> None:
    with pytest.raises(FetchError):
        _parse_page(body)


def test_the_stand_in_has_the_quirks_of_the_exchange() -> None:
    exhibit = crowd_exhibit(50, 3)
    agent = {"User-Agent": "x"}

    def ask(path: str, **query: str) -> Any:
        return answer(exhibit, path, query, agent)

    assert ask("/api/tracks").status == 400, "fields are mandatory"
    assert answer(exhibit, "/api/tracks", {"fields": "TrackId"}, {}).status == 403, "and so is a User-Agent"
    page = json.loads(ask("/api/tracks", FIELDS="TrackId,WRReplay.User.Name,Tags[]", offset="10").body)
    assert len(page["Results"]) == 40, "the default"
    assert page["More"] is True
    assert page["Results"][0] == {"TrackId": 1000, "WRReplay": {"User": {"Name": "Driver 0"}}, "Tags": [5]}
    assert json.loads(ask("/api/tracks", fields="TrackId", after="1047").body)["Results"] == [
        {"TrackId": 1048}, {"TrackId": 1049},
    ]  # fmt: skip
    assert [
        r["TrackId"] for r in json.loads(ask("/api/tracks", fields="TrackId", **{"from": "1049"}).body)["Results"]
    ] == [1049]
    before = json.loads(ask("/api/tracks", fields="TrackId", before="1003", count="2").body)["Results"]
    assert [r["TrackId"] for r in before] == [1001, 1002]
    assert ask("/api/replays", fields="ReplayId").status == 400
    assert ask("/api/replays", fields="ReplayId", trackId="1").status == 404
    assert ask("/recordgbx/1").status == 404
    assert ask("/trackgbx/1000").body[:3] == b"GBX"
    assert "../" in ask("/recordgbx/1000001").headers["Content-Disposition"]


def test_an_address_without_an_exchange_is_a_sentence() -> None:
    standin = StandIn(Exhibit([]))
    standin.decide = lambda *_: (_not_found(), None)
    with pytest.raises(ExchangeError, match="no track search at this address"):
        with_client(standin, lambda c, _: all_tracks(c))


def _not_found() -> Any:
    return answer(Exhibit([]), "/nowhere", {}, {"User-Agent": "x"})

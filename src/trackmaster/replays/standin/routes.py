"""What the exchange answers to a path and its parameters, without any network."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trackmaster.replays.standin.exhibit import Exhibit

DEFAULT_COUNT = 40
LARGEST_COUNT = 1_000
JSON = "application/json; charset=utf-8"
HTML = "text/html; charset=utf-8"


@dataclass(frozen=True)
class Answer:
    """Status, headers and body of an answer."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def page(status: int, text: str) -> Answer:
    """Return a page for people."""
    return Answer(status, f"<!DOCTYPE html><html><body><h1>{text}</h1></body></html>".encode(), {"Content-Type": HTML})


def answer(exhibit: Exhibit, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
    """Answer a GET request.

    Args:
        exhibit: what there is to see.
        path: without parameters.
        query: parameters; their names are taken in any case of letters, unknown ones are ignored.
        headers: of the request.
    """
    if not headers.get("User-Agent", "").strip():
        return page(403, "Forbidden")
    words = {name.lower(): value for name, value in query.items()}
    parts = path.strip("/").split("/")
    if parts[0] == "api" and len(parts) == 2 and parts[1] in ("tracks", "replays"):
        return _listing(exhibit, parts[1], words, headers)
    if parts[0] in ("trackgbx", "recordgbx", "trackshow") and len(parts) == 2 and parts[1].isdecimal():
        return _item(exhibit, parts[0], int(parts[1]))
    return page(404, "Not Found")


def _listing(exhibit: Exhibit, method: str, query: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
    fields = [name for name in query.get("fields", "").split(",") if name]
    if not fields:
        return Answer(400, b'{"Message": "The fields parameter is required."}', {"Content-Type": JSON})
    try:
        if method == "tracks":
            rows, has_more = _tracks(exhibit, query)
        else:
            track_id = _number(query, "trackid")
            if track_id is None:
                return Answer(400, b'{"Message": "trackId is required."}', {"Content-Type": JSON})
            if track_id not in exhibit.tracks:
                return page(404, "Not Found")
            rows, has_more = _replays(exhibit, track_id, query)
    except ValueError:
        return Answer(400, b'{"Message": "The request is invalid."}', {"Content-Type": JSON})
    content = {"More": has_more, "Results": [select(row, fields) for row in rows]}
    body = json.dumps(content, separators=(",", ":")).encode()
    etag = f'"{hashlib.sha256(body).hexdigest()[:24]}"'
    if headers.get("If-None-Match") == etag:
        return Answer(304, b"", {"ETag": etag})
    return Answer(200, body, {"Content-Type": JSON, "ETag": etag})


def _number(query: Mapping[str, str], name: str) -> int | None:
    return int(query[name]) if name in query else None


def _window(ids: Sequence[int], places: Mapping[int, int], query: Mapping[str, str]) -> tuple[list[int], bool]:
    """Return the ids that count and cursor ask for; a cursor that is not in the list leads nowhere."""
    asked = _number(query, "count")
    count = min(max(DEFAULT_COUNT if asked is None else asked, 1), LARGEST_COUNT)
    start, stop = 0, len(ids)
    for name in ("after", "from", "before"):
        cursor = _number(query, name)
        if cursor is None:
            continue
        place = places.get(cursor)
        if place is None:
            return [], False
        if name == "before":
            stop = place
            start = max(0, stop - count)
        else:
            start = place + (name == "after")
    end = min(start + count, stop)
    return list(ids[start:end]), end < stop


def _tracks(exhibit: Exhibit, query: Mapping[str, str]) -> tuple[list[dict[str, Any]], bool]:
    ids, places = exhibit.ordered(_number(query, "order1") or 0)
    wanted: list[int] | None = None
    if "id" in query:
        listed = {int(word) for word in query["id"].split(",") if word}
        wanted = sorted(listed & exhibit.tracks.keys(), key=places.__getitem__)
    if "uid" in query:
        uids = set(query["uid"].split(","))
        wanted = [i for i in (ids if wanted is None else wanted) if exhibit.tracks[i].uid in uids]
    if "name" in query:
        part = query["name"].casefold()
        wanted = [i for i in (ids if wanted is None else wanted) if part in exhibit.tracks[i].name.casefold()]
    if query.get("inunlimiter") == "0":
        wanted = [i for i in (ids if wanted is None else wanted) if exhibit.tracks[i].unlimiter is None]
    if wanted is not None:
        ids, places = wanted, {track_id: place for place, track_id in enumerate(wanted)}
    shown, has_more = _window(ids, places, query)
    return [exhibit.tracks[track_id].record() for track_id in shown], has_more


def _replays(exhibit: Exhibit, track_id: int, query: Mapping[str, str]) -> tuple[list[dict[str, Any]], bool]:
    rows = exhibit.tracks[track_id].replays
    if query.get("best") == "1":
        rows = [row for row in rows if row.is_best]
    if "userid" in query:
        rows = [row for row in rows if row.user_id == int(query["userid"])]
    ids = [row.replay_id for row in rows]
    shown, has_more = _window(ids, {replay_id: place for place, replay_id in enumerate(ids)}, query)
    return [exhibit.replays[replay_id].record() for replay_id in shown], has_more


def _item(exhibit: Exhibit, kind: str, item_id: int) -> Answer:
    found = exhibit.replays.get(item_id) if kind == "recordgbx" else exhibit.tracks.get(item_id)
    if found is None:
        return page(404, "Not Found")
    if kind == "trackshow":
        return page(200, f"Track {item_id}")
    body = found.content()
    # The real names come from users; this one tries to leave the folder.
    name = {"Content-Disposition": f'attachment; filename="../../{kind}-{item_id}.Gbx"'}
    return Answer(200, body, {"Content-Type": "application/octet-stream", **name})


def select(record: Mapping[str, Any], fields: Sequence[str]) -> dict[str, Any]:
    """Return the fields that were asked for, sub-objects nested; what there is not stays out."""
    names = {name.lower(): name for name in record}
    chosen: dict[str, Any] = {}
    for wanted in fields:
        head, _, rest = wanted.partition(".")
        name = names.get(head.removesuffix("[]").lower())
        if name is None:
            continue
        value = record[name]
        if isinstance(value, Mapping) and rest:
            _merge(chosen, name, select(value, [rest]))
        elif isinstance(value, list) and rest:
            chosen[name] = [select(item, [rest]) for item in value]
        elif not isinstance(value, Mapping):
            chosen[name] = value
    return chosen


def _merge(target: dict[str, Any], name: str, part: dict[str, Any]) -> None:
    known = target.setdefault(name, {})
    for key, value in part.items():
        if isinstance(value, dict):
            _merge(known, key, value)
        else:
            known[key] = value

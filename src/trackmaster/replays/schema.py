"""Tables of the catalogue; docs/replays.md describes them for readers."""

SCHEMA_VERSION = 2

COLUMNS_SINCE_1 = ("is_best INTEGER", "replay_at TEXT")
"""Columns of ``replays`` that catalogues of version 1 do not have; null until a track is listed again."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS tracks (
    track_id INTEGER PRIMARY KEY,
    uid TEXT NOT NULL DEFAULT '',
    name TEXT NOT NULL DEFAULT '',
    author_time_ms INTEGER,
    updated_at TEXT,
    primary_type INTEGER,
    unlimiter INTEGER,
    wr_time_ms INTEGER,
    noted_at REAL,
    state TEXT NOT NULL DEFAULT 'new',
    reason TEXT NOT NULL DEFAULT '',
    listed_at REAL,
    listed_top INTEGER
);
CREATE TABLE IF NOT EXISTS replays (
    replay_id INTEGER PRIMARY KEY,
    track_id INTEGER NOT NULL,
    user_id INTEGER NOT NULL,
    user_name TEXT NOT NULL DEFAULT '',
    time_ms INTEGER NOT NULL,
    rank INTEGER,
    position INTEGER,
    respawns INTEGER,
    validated INTEGER,
    track_at TEXT,
    state TEXT NOT NULL DEFAULT 'wanted',
    reason TEXT NOT NULL DEFAULT '',
    path TEXT NOT NULL,
    bytes INTEGER,
    sha256 TEXT,
    map_uid TEXT,
    device TEXT,
    is_tminterface INTEGER,
    file_respawns INTEGER,
    login TEXT,
    changed_at REAL,
    is_best INTEGER,
    replay_at TEXT
);
CREATE INDEX IF NOT EXISTS replays_of_track ON replays (track_id, state);
CREATE INDEX IF NOT EXISTS replays_by_state ON replays (state);
CREATE TABLE IF NOT EXISTS maps (
    track_id INTEGER PRIMARY KEY,
    state TEXT NOT NULL DEFAULT 'wanted',
    reason TEXT NOT NULL DEFAULT '',
    path TEXT,
    bytes INTEGER,
    sha256 TEXT,
    uid TEXT,
    source TEXT,
    changed_at REAL
);
CREATE TABLE IF NOT EXISTS pages (
    url TEXT PRIMARY KEY,
    etag TEXT,
    body BLOB NOT NULL,
    fetched_at REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS runs (
    run_id INTEGER PRIMARY KEY,
    command TEXT NOT NULL,
    started_at REAL NOT NULL,
    seen_at REAL NOT NULL,
    ended_at REAL,
    requests INTEGER NOT NULL DEFAULT 0,
    received_bytes INTEGER NOT NULL DEFAULT 0,
    replays_done INTEGER NOT NULL DEFAULT 0,
    tracks_total INTEGER NOT NULL DEFAULT 0,
    tracks_done INTEGER NOT NULL DEFAULT 0
);
"""

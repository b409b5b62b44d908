"""The records that OpenPlanet plugins stream: which float stands where.

A stream of the public plugins has no handshake, no framing and no version: nothing in it tells the layouts apart, so
the layout is declared and the first records are checked for whether it can be that. Our own plugin says who it is.

Source: layouts of TMRL_GrabData 0.3 (11 floats) and of plugins derived from it, as published.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trackmaster.game.link.errors import LinkError
from trackmaster.units import MPS_TO_KMPH

Floats = NDArray[np.float32]

DEFAULT_PORT: Final = 9_000
GHOST_PORT: Final = 10_000
"""Where TMRL_SaveGhost listens: any connection saves the ghost."""

MAGIC: Final = b"TMOP"
"""Begins the header of our own plugin's stream, on connection and whenever the map changes."""
STREAM_VERSION: Final = 1
HEADER_BYTES: Final = 64
"""magic 4, version u2, bytes per record u2, map UID 32 (zero-padded), reserved 24."""
RECORD_TAG: Final = b"TMRC"
"""Begins each of its records; the floats follow."""
UID_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Record:
    """The car of one rendered picture; units at this edge are ours whatever the plugin sends."""

    speed_kmph: float
    position_m: Floats
    """(3,)."""
    steer: float
    gas: float
    is_braking: bool
    is_finished: bool
    gear: int
    rpm: float
    received_s: float = 0.0
    """When it came, on the client's clock."""
    distance_m: float | None = None
    race_time_ms: int | None = None
    cp_count: int | None = None
    forward: Floats | None = None
    """(3,) unit vector, where the layout has one."""
    velocity_mps: Floats | None = None
    """(3,)."""
    map_uid: str = ""


@dataclass(frozen=True)
class Layout:
    """Where each value stands in a record of little-endian float32."""

    name: str
    n_floats: int
    columns: Mapping[str, int]
    """First float of every value; vectors take three."""
    speed_scale: float = MPS_TO_KMPH
    """What the speed is multiplied with to be km/h: CSmScriptPlayer gives m/s."""
    time_scale_ms: float = 1.0
    velocity_scale: float = 1.0
    is_framed: bool = False
    """Whether header and tags of our own plugin surround the floats."""

    @property
    def record_bytes(self) -> int:
        """Bytes from one record to the next."""
        return 4 * self.n_floats + (len(RECORD_TAG) if self.is_framed else 0)

    def is_readable(self, raw: bytes) -> bool:
        """Return whether all that ``parse`` shows of these ``4 * n_floats`` bytes are finite numbers."""
        values = np.frombuffer(raw, dtype="<f4")
        return bool(np.isfinite(values[list(self._shown)]).all())

    @cached_property
    def _shown(self) -> tuple[int, ...]:
        """Places of the floats that ``parse`` shows."""
        return tuple(
            first + place
            for name, first in self.columns.items()
            if name in _SHOWN
            for place in range(3 if name in _VECTORS else 1)
        )

    def parse(self, raw: bytes, *, received_s: float = 0.0, map_uid: str = "") -> Record:
        """Return the record of exactly ``4 * n_floats`` bytes."""
        values = np.frombuffer(raw, dtype="<f4")

        def number(name: str, scale: float = 1.0) -> float | None:
            return float(values[self.columns[name]]) * scale if name in self.columns else None

        def vector(name: str, scale: float = 1.0) -> Floats | None:
            first = self.columns.get(name)
            return None if first is None else (values[first : first + 3] * np.float32(scale)).astype(np.float32)

        position = vector("position")
        time_ms, cp_count = number("race_time", self.time_scale_ms), number("cp_count")
        return Record(
            speed_kmph=(number("speed") or 0.0) * self.speed_scale,
            position_m=position if position is not None else np.zeros(3, dtype=np.float32),
            steer=number("steer") or 0.0,
            gas=number("gas") or 0.0,
            is_braking=bool(number("brake")),
            is_finished=bool(number("finished")),
            gear=int(number("gear") or 0),
            rpm=number("rpm") or 0.0,
            received_s=received_s,
            distance_m=number("distance"),
            race_time_ms=None if time_ms is None else round(time_ms),
            cp_count=None if cp_count is None else int(cp_count),
            forward=vector("forward"),
            velocity_mps=vector("velocity", self.velocity_scale),
            map_uid=map_uid,
        )


_VECTORS: Final = ("position", "forward", "velocity")
_SHOWN: Final = (
    *_VECTORS, "speed", "distance", "steer", "gas", "brake", "finished", "gear", "rpm", "race_time", "cp_count",
)  # fmt: skip
"""What a ``Record`` is made of."""
_TMRL: Final = {
    "speed": 0, "distance": 1, "position": 2, "steer": 5, "gas": 6, "brake": 7, "finished": 8, "gear": 9, "rpm": 10,
}  # fmt: skip
_FULL: Final = {
    "cp_count": 0, "lap": 1, "finished": 2, "race_time": 3, "position": 4, "velocity": 7, "forward": 10, "up": 13,
    "speed": 16, "rpm": 17, "gear": 18, "slip": 19, "material": 23, "skidding": 27, "flying": 28, "adherence": 29,
    "steer": 30, "gas": 31, "brake": 32,
}  # fmt: skip
LAYOUTS: Final[Mapping[str, Layout]] = {
    layout.name: layout
    for layout in (
        Layout("tmrl", 11, _TMRL),
        Layout("tmrl-aim", 14, {**_TMRL, "forward": 11}),
        Layout("tmrl-two-players", 22, _TMRL),
        Layout(
            "sixteen",
            16,
            {
                "speed": 0, "distance": 2, "position": 3, "steer": 6, "gas": 7, "brake": 8, "finished": 9, "gear": 10,
                "rpm": 11, "forward": 12, "race_time": 15,
            },
            time_scale_ms=1_000.0,
        ),
        Layout("thirty-three", 33, _FULL, velocity_scale=0.001),
        Layout("trackmaster", 33, _FULL, is_framed=True),
    )
}  # fmt: skip
"""``tmrl`` is TMRL_GrabData, ``trackmaster`` our own plugin; the others are variants met in the wild."""


def layout_named(name: str) -> Layout:
    """Return a layout.

    Raises:
        LinkError: there is none of that name.
    """
    if name not in LAYOUTS:
        raise LinkError(f"the record layout {name!r} does not exist; there are {', '.join(LAYOUTS)}.")
    return LAYOUTS[name]


MAX_RPM: Final = 20_000.0
MAX_GEAR: Final = 7
MAX_MOVE_M: Final = 50.0
"""A car does not move this far between two pictures unless it was put elsewhere."""
MAX_JUMPS: Final = 2
"""Respawns among the records that are checked."""


def implausibility(layout: Layout, rows: Floats) -> str | None:
    """Return what speaks against the layout in the first records, None if nothing does.

    Args:
        layout: as declared.
        rows: (N, n_floats) raw values.
    """
    if not np.isfinite(rows).all():
        return "some numbers are not finite"
    columns = layout.columns
    for name in ("finished", "brake"):
        if not np.isin(rows[:, columns[name]], (0.0, 1.0)).all():
            return f"'{name}' is {_odd(rows[:, columns[name]], 0, 1)}, expected 0 or 1"
    gear = rows[:, columns["gear"]]
    if not ((gear == np.round(gear)) & (gear >= 0) & (gear <= MAX_GEAR)).all():
        return f"'gear' is {_odd(gear, 0, MAX_GEAR)}, expected a whole number from 0 to {MAX_GEAR}"
    for name, low in (("steer", -1.0), ("gas", 0.0)):
        values = rows[:, columns[name]]
        if ((values < low - 1e-3) | (values > 1.001)).any():
            return f"'{name}' is {_odd(values, low, 1)}, expected {low:g} to 1"
    rpm = rows[:, columns["rpm"]]
    if ((rpm < 0) | (rpm > MAX_RPM)).any():
        return f"'rpm' is {_odd(rpm, 0, MAX_RPM)}, expected 0 to {MAX_RPM:g}"
    first = columns["position"]
    moved = np.linalg.norm(np.diff(rows[:, first : first + 3].astype(np.float64), axis=0), axis=1)
    if (moved > MAX_MOVE_M).sum() > MAX_JUMPS:
        return f"the position jumps by up to {moved.max():.0f} m from one record to the next"
    return None


def _odd(values: Floats, low: float, high: float) -> str:
    """Return the value that lies furthest outside of a range."""
    outside = np.maximum(low - values, values - high)
    worst = values[int(np.argmax(outside))] if outside.max() > 0 else values[np.argmax(values != np.round(values))]
    return f"{float(worst):g}"


def encode_header(record_bytes: int, map_uid: str) -> bytes:
    """Return the 64 bytes with which our own plugin announces itself and the map."""
    uid = map_uid.encode("ascii", "replace")[:UID_BYTES].ljust(UID_BYTES, b"\0")
    numbers = STREAM_VERSION.to_bytes(2, "little") + record_bytes.to_bytes(2, "little")
    return (MAGIC + numbers + uid).ljust(HEADER_BYTES, b"\0")


def decode_header(raw: bytes, layout: Layout) -> str:
    """Return the map UID of a header.

    Raises:
        LinkError: another version or record length than ours.
    """
    version, size = int.from_bytes(raw[4:6], "little"), int.from_bytes(raw[6:8], "little")
    if version != STREAM_VERSION or size != layout.record_bytes:
        raise LinkError(
            f"the plugin speaks version {version} with records of {size} bytes, expected version {STREAM_VERSION} with "
            f"{layout.record_bytes}: install plugin/TrackmasterTelemetry of this version into OpenplanetNext/Plugins."
        )
    return raw[8 : 8 + UID_BYTES].rstrip(b"\0").decode("ascii", "replace")

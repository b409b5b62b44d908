"""Notices in a running race what people otherwise look for for hours, and says it in the log once."""

import logging
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trackmaster.env.errors import EnvError
from trackmaster.game.openplanet.layouts import Record

LOG = logging.getLogger(__name__)

APART_S: Final = 0.025
"""Half of a time step at 20 Hz: picture and telemetry further apart than this show two moments."""
STANDS_S: Final = 3.0
_STILL_M: Final = 0.1
_REPEAT: Final = 200
"""Pictures that are apart are told again after this many."""


class RaceWatch:
    """Looks at every record of a race."""

    def __init__(self, map_uid: str = "") -> None:
        """Begin.

        Args:
            map_uid: the demonstration's map; empty where nobody said.
        """
        self._map_uid = map_uid
        self._still_since_s: float | None = None
        self._place: NDArray[np.float32] | None = None
        self._has_told_still = False
        self.pictures_apart = 0
        """Times that picture and telemetry were too far apart."""

    def picture(self, seconds_apart: float) -> None:
        """Note how far a picture and its record are apart."""
        if abs(seconds_apart) <= APART_S:
            return
        if self.pictures_apart % _REPEAT == 0:
            LOG.warning(
                "picture and telemetry are %.0f ms apart, more than half a time step (%d times so far): raise the "
                "game's frame rate, lower its graphics, or give it a computer of its own",
                1_000 * abs(seconds_apart),
                self.pictures_apart + 1,
            )
        self.pictures_apart += 1

    def record(self, record: Record, *, now_s: float, has_gas: bool) -> None:
        """Note a record.

        Args:
            record: the newest.
            now_s: the environment's time.
            has_gas: whether the pad's trigger was pressed meanwhile.

        Raises:
            EnvError: the game drives another map than the demonstration's.
        """
        if self._map_uid and record.map_uid and record.map_uid != self._map_uid:
            raise EnvError(
                f"the demonstration belongs to the map {self._map_uid}, the game drives {record.map_uid}: load it, "
                "or record a demonstration on this one (`trackmaster record reward`)."
            )
        moved = self._place is None or float(np.linalg.norm(record.position_m - self._place)) > _STILL_M
        if moved or not has_gas:
            self._place, self._still_since_s, self._has_told_still = record.position_m, None, False
        elif self._still_since_s is None:
            self._still_since_s = now_s
        elif now_s - self._still_since_s > STANDS_S and not self._has_told_still:
            self._has_told_still = True
            LOG.warning(
                "the car has stood for %.0f s although gas is given: focus the game's window, close its menus, and "
                "choose the default settings of the gamepad",
                now_s - self._still_since_s,
            )

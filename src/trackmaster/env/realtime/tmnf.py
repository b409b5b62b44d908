"""TrackMania Nations Forever in real time, through TMInterface.

The game drives the ticks that are due whenever somebody sends or looks, at a speed above that of the clock, and is held
in between: its race keeps up, and no tick is driven with inputs of a later moment.
"""

from typing import Any

from trackmaster.env.realtime.clock import Clock, RealClock
from trackmaster.env.realtime.game import DEFAULT_TRACK, GameInterface
from trackmaster.env.realtime.race import View
from trackmaster.env.realtime.views import ExactLidarView
from trackmaster.game.link.client import LinkClient
from trackmaster.game.link.play import HOLD_TIMEOUT_MS, PlayOptions
from trackmaster.game.standin.config import DEFAULT_PORT
from trackmaster.game.tminterface import TmInterfaceGame
from trackmaster.track import Track
from trackmaster.track.named import track_named


class TmnfInterface(GameInterface):
    """The full observation of TrackMania Nations Forever: telemetry and four grey pictures."""

    def __init__(
        self,
        track: Track | str = DEFAULT_TRACK,
        *,
        port: int = DEFAULT_PORT,
        map_name: str = "",
        running_speed: float = 4.0,
        **others: Any,
    ) -> None:
        """Prepare; the game is touched at the first reset.

        Args:
            track: as for ``GameInterface``.
            port: of the game's plugin.
            map_name: the map's file below ``Tracks/Challenges``; ``<track>.Challenge.Gbx`` without it.
            running_speed: of the game while it catches up with the clock.
            others: as for ``GameInterface``.

        Raises:
            EnvError: there is no such track.
        """
        place = track if isinstance(track, Track) else track_named(track)
        name = map_name or (f"{track}.Challenge.Gbx" if isinstance(track, str) else f"{place.name}.Challenge.Gbx")
        options = PlayOptions(running_speed=running_speed, patience_ms=HOLD_TIMEOUT_MS)
        super().__init__(place, game=TmInterfaceGame(LinkClient(port), {place.uid: name}, options), **others)

    @classmethod
    def make_clock(cls) -> Clock:
        """Live by the computer's clock."""
        return RealClock()


class TmnfExactLidarInterface(TmnfInterface):
    """Speed and scans in metres, measured on the track."""

    def _make_view(self, img_hist_len: int) -> View:
        return ExactLidarView(self.track, img_hist_len)

"""Draw the pictures of the README and the documentation: our tracks, our replays, our renderer.

python docs/images/draw.py
"""

from pathlib import Path

import cv2
import numpy as np

from trackmaster import gbx
from trackmaster.game import Inputs, SimulatorGame
from trackmaster.track import Track
from trackmaster.units import MPS_TO_KMPH
from trackmaster.view import OverlayFrame, draw_overlay
from trackmaster.view.pictures import as_bgr

HERE = Path(__file__).parent
REPLAYS = HERE.parents[1] / "src" / "trackmaster" / "bundled" / "replays"
SIZE_PX = (854, 480)
PICTURES = {
    "lap.png": ("first_steps", 6_000, True),
    "start.png": ("high_road", 100, False),
    "track_first_steps.png": ("first_steps", 4_000, False),
    "track_switchback.png": ("switchback", 6_000, False),
    "track_table_top.png": ("table_top", 7_000, False),
    "track_high_road.png": ("high_road", 8_000, False),
}
"""File name: track, race time in ms, whether the driver's keys are drawn on it."""


def picture(slug: str, time_ms: int, with_overlay: bool) -> np.ndarray:
    """Drive the best bundled replay of a track up to a race time and draw what its camera sees."""
    replay = gbx.read_replay(min((REPLAYS / slug).iterdir()))
    ghost = replay.ghosts[0]
    assert ghost.events is not None
    assert ghost.race_time_ms is not None
    assert replay.challenge is not None
    timeline = gbx.InputTimeline.from_events(ghost.events, ghost.race_time_ms)
    steer, gas, brake = timeline.effective()
    game = SimulatorGame()
    game.load(Track.from_challenge(replay.challenge))
    state = game.reset()
    game.frame(*SIZE_PX)
    for tick in range(time_ms // 10):
        state = game.step(Inputs(float(steer[tick]), float(gas[tick]), float(brake[tick])), 1)
    frame = as_bgr(game.frame(*SIZE_PX))
    game.close()
    if not with_overlay:
        return frame
    tick = time_ms // 10
    speed_kmph = float(np.linalg.norm(state.velocity_mps)) * MPS_TO_KMPH
    shown = OverlayFrame(time_ms, speed_kmph, float(steer[tick]), float(gas[tick]), float(brake[tick]))
    return draw_overlay(frame, shown)


def main() -> None:
    """Draw all pictures."""
    for name, (slug, time_ms, with_overlay) in PICTURES.items():
        cv2.imwrite(str(HERE / name), picture(slug, time_ms, with_overlay), [cv2.IMWRITE_PNG_COMPRESSION, 9])
        print(HERE / name)


if __name__ == "__main__":
    main()

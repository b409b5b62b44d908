"""The race behind the stand-in: the simulator, a pad, a countdown, and what the plugin would send of it."""

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from trackmaster.files import atomic_write_text
from trackmaster.game.lidar_eye import LidarEye
from trackmaster.game.openplanet.desk import BUTTON_B, Kind
from trackmaster.game.openplanet.layouts import RECORD_TAG, Layout
from trackmaster.game.simulator import SimulatorGame
from trackmaster.game.state import CarState, Inputs
from trackmaster.track import Track
from trackmaster.units import TICK_MS

SAMPLE_MS: Final = 100
"""Distance of the places that a saved ghost holds."""


class StandinRace:
    """One car that a pad drives; button B restarts, and the start is green after a countdown."""

    def __init__(self, track: Track, *, countdown_ms: int, device: str = "cpu") -> None:
        """Load the track and stand at the start, already green.

        Args:
            track: where to drive.
            countdown_ms: from a restart to green.
            device: of physics and pictures.
        """
        self.track = track
        self._game = SimulatorGame(device)
        self._game.load(track)
        self._state: CarState = self._game.reset()
        self._countdown_ms = countdown_ms
        self._red_ms = 0
        self._pad = (0.0, 0.0, 0.0)
        self._buttons = 0
        self._eye: dict[tuple[int, int], LidarEye] = {}
        self._driven_m = 0.0
        self._path: list[list[float]] = []

    def press(self, gas: float, brake: float, steer: float, buttons: int) -> None:
        """Take what the pad says; values outside of its range are cut off."""
        values = np.nan_to_num(np.clip((gas, brake, steer), (0.0, 0.0, -1.0), (1.0, 1.0, 1.0)))
        self._pad = (float(values[0]), float(values[1]), float(values[2]))
        if buttons & BUTTON_B and not self._buttons & BUTTON_B:
            self.restart()
        self._buttons = buttons

    def restart(self) -> None:
        """Go to the start line and wait for green."""
        self._state = self._game.reset()
        self._red_ms = self._countdown_ms
        self._driven_m = 0.0
        self._path.clear()

    def advance(self, ticks: int) -> None:
        """Let ticks of 10 ms pass; while it is red nobody moves."""
        waiting = min(ticks, self._red_ms // TICK_MS)
        self._red_ms -= waiting * TICK_MS
        gas, brake, steer = self._pad
        inputs = Inputs(steer, float(gas > 0), float(brake > 0))
        for _ in range(ticks - waiting):
            before = self._state.position_m
            self._state = self._game.step(inputs, 1)
            self._driven_m += float(np.linalg.norm(self._state.position_m - before))
            if self._state.time_ms % SAMPLE_MS == 0 and not self._state.finished:
                self._path.append(self._state.position_m.tolist())

    def record(self, layout: Layout) -> bytes:
        """Return the present record as a plugin with this layout would send it, tag included."""
        state, (gas, brake, steer) = self._state, self._pad
        values: dict[str, Any] = {
            "speed": np.linalg.norm(state.velocity_mps), "distance": self._driven_m, "position": state.position_m,
            "steer": steer, "gas": gas, "brake": float(brake > 0), "finished": float(state.finished),
            "gear": state.gear, "rpm": state.rpm, "cp_count": state.cp_count,
            "race_time": (state.race_time_ms if state.finished else state.time_ms) / layout.time_scale_ms,
            "velocity": state.velocity_mps / np.float32(layout.velocity_scale), "forward": state.rotation[:, 2],
            "up": state.rotation[:, 1], "material": state.wheel_material, "skidding": state.wheel_sliding.sum(),
        }  # fmt: skip
        floats = np.zeros(layout.n_floats, dtype="<f4")
        for name, first in layout.columns.items():
            value = np.atleast_1d(values.get(name, 0.0))
            floats[first : first + len(value)] = value
        return (RECORD_TAG if layout.is_framed else b"") + floats.tobytes()

    def picture(self, kind: Kind, size: tuple[int, int]) -> NDArray[np.uint8]:
        """Return what the window shows, (H, W, 4) BGRA; ``lidar`` is the cockpit with dark borders."""
        if kind == "follow":
            return self._game.frame(*size)
        if size not in self._eye:
            self._eye[size] = LidarEye(self.track, size)
        return self._eye[size].look(self._state)

    def save_ghost(self, path: Path) -> None:
        """Write the drive so far: map, race time and the places every 100 ms."""
        ghost = {"map_uid": self.track.uid, "race_time_ms": self._state.race_time_ms, "position_m": self._path}
        atomic_write_text(path, json.dumps(ghost) + "\n")

    def close(self) -> None:
        """Let go of the simulator."""
        self._game.close()

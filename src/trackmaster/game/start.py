"""How a car is set down at the start line."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Start:
    """How one attempt begins at the start line."""

    wait_ticks: int = 0
    """Ticks without inputs before the first decision; the race clock runs."""
    lateral_m: float = 0.0
    """Shift along the car's left axis."""
    yaw_rad: float = 0.0
    """Turn about the car's up axis, + = left."""

    @property
    def is_undisturbed(self) -> bool:
        """True for the official start."""
        return self.wait_ticks == 0 and self.lateral_m == 0.0 and self.yaw_rad == 0.0


UNDISTURBED: Final = Start()

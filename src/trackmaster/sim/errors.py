"""What the simulator refuses, as sentences."""

from trackmaster.errors import TrackmasterError


class SimError(TrackmasterError):
    """The simulator was asked for something it cannot do."""

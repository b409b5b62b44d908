"""What can go wrong in pre-training."""

from trackmaster.errors import TrackmasterError


class PretrainError(TrackmasterError):
    """A pre-training run, or what one left on disk, cannot be used."""


class DivergedError(PretrainError):
    """The loss is no longer a number; what was learned before is kept."""


class ProbeError(PretrainError):
    """An encoder cannot be scored with the frames at hand; the encoder itself is not in doubt."""

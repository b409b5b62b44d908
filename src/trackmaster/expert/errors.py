"""The error of this room."""

from trackmaster.errors import TrackmasterError


class ExpertError(TrackmasterError):
    """No expert drive can be made or verified; the text says for which track, why, and what to do."""

"""The error of this room."""

from trackmaster.errors import TrackmasterError


class EnvError(TrackmasterError):
    """An environment cannot be built or stepped as asked."""

"""The error of this room."""

from trackmaster.errors import TrackmasterError


class TrackError(TrackmasterError):
    """A map, ghost or reference line cannot be turned into something to drive on; the text says why and what to do."""

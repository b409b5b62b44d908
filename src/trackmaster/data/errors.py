"""What can be wrong with a data set on disk."""

from trackmaster.errors import TrackmasterError


class DataError(TrackmasterError):
    """A captured tree, one of its files or a cache made from it cannot be used as it is."""

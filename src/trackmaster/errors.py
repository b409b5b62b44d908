"""The one error root: whatever a user can cause ends in a ``TrackmasterError`` whose text is a sentence."""


class TrackmasterError(Exception):
    """Says what was found, what was expected and what to do; the command line prints it without a traceback."""


class ConfigError(TrackmasterError):
    """A setting from a file, the environment or a flag cannot be used as given."""


class InterruptedRunError(TrackmasterError):
    """The user stopped a long run; the text says what was kept and how to go on."""

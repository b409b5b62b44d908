"""Errors of capture, and the rejection of one replay with its reason code."""

from trackmaster.errors import TrackmasterError

UNFORESEEN = "error:"
"""Begins the reason of a rejection that is our fault or the machine's; such a replay is tried again by the next run."""


class CaptureError(TrackmasterError):
    """Capture cannot begin or go on; one damaged replay never causes it."""


class ReplayRejectedError(TrackmasterError):
    """One replay does not count: ``reason`` is a code of the contract, the text says what was found."""

    def __init__(self, reason: str, detail: str) -> None:
        """Keep the code apart from the sentence."""
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class WorkerLostError(CaptureError):
    """One worker cannot go on, because its game cannot be reached; the others can."""

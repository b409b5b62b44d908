"""What can go wrong between us and the exchange."""

from trackmaster.errors import TrackmasterError


class ExchangeError(TrackmasterError):
    """The exchange cannot be used at all: the whole run stops, and everything that was finished is kept."""


class CatalogueError(TrackmasterError):
    """The catalogue of a replay folder cannot be used."""


class FetchError(Exception):
    """One request did not bring what was asked for; ``reason`` is a short name, the text says more.

    Attributes:
        reason: a name that failures are counted under, such as ``timeout`` or ``status_500``.
        retry_after_s: how long the server asks us to wait; None if it did not say.
        may_pass: whether the same request may fare better later.
    """

    def __init__(self, reason: str, detail: str, *, retry_after_s: float | None = None, may_pass: bool = True) -> None:
        super().__init__(detail)
        self.may_pass = may_pass
        self.reason = reason
        self.detail = detail
        self.retry_after_s = retry_after_s


class WrongFileError(FetchError):
    """A file came that is not the one asked for; the exchange is well, and another try may bring the right one."""


class FinalError(FetchError):
    """The exchange answered, and asking again would bring the same: not a reason to try again."""


class GoneError(FinalError):
    """The item was deleted (404 or 410): it is recorded and never asked for again."""


class RejectedError(FinalError):
    """The exchange really has a file that is not what it says."""

"""The ways in which the link to a game fails; each is one sentence for people and one class for programs."""

from trackmaster.game.state import GameError


class LinkError(GameError):
    """The game cannot be reached, or stopped answering."""


class CannotConnectError(LinkError):
    """No session with the game came about; nothing was lost."""


class SilentGameError(LinkError):
    """The game sent nothing for longer than was allowed."""


class LostConnectionError(LinkError):
    """A session that was under way has ended."""

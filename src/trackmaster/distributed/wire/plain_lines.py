"""Lines for people that quote the other side: nothing in them steers a terminal or looks like another line of ours."""

from collections.abc import Callable


def plain(words: str) -> str:
    """Return words with a question mark for each character that does not print."""
    return "".join(c if c.isprintable() else "?" for c in words)


def said_plainly(say: Callable[[str], None]) -> Callable[[str], None]:
    """Return what says lines without such characters."""
    return lambda line: say(plain(line))

"""Names as people read them: without the game's formatting codes and without what a terminal would obey."""

import re

_COLOUR_OR_STYLE = r"[0-9a-fA-F][0-9a-zA-Z]{0,2}|.|$"
_LINK = r"[lhpLHP]\[[^\]]*\]"
_CODE = re.compile(rf"\$(?:\$|{_LINK}|{_COLOUR_OR_STYLE})", re.DOTALL)
_CODE_BUT_LINKS = re.compile(rf"\$(?:\$|{_COLOUR_OR_STYLE})", re.DOTALL)


def plain_text(text: str) -> str:
    """Return a map's or driver's name without colours, styles and links.

    ``$`` begins a code: three letters of a colour (``$f80``), a link with its address (``$l[...]``), or one letter of a
    style (``$o``); ``$$`` stands for the dollar sign itself. Characters that do not print go too.
    """
    # Behind the last bracket no link can end: looking for its end again and again would take quadratic time.
    closed = text.rfind("]") + 1
    plain = _CODE.sub(_dollar, text[:closed]) + _CODE_BUT_LINKS.sub(_dollar, text[closed:])
    return printable(plain).strip()


def _dollar(code: re.Match[str]) -> str:
    return "$" if code.group() == "$$" else ""


def printable(text: str) -> str:
    """Return one line without characters that would steer a terminal: controls, escapes, changes of direction.

    White space of any kind becomes a blank; half of a surrogate pair becomes a question mark.
    """
    return "".join(c if c.isprintable() else _substitute(c) for c in text)


def _substitute(character: str) -> str:
    if character.isspace():
        return " "
    return "?" if "\ud800" <= character <= "\udfff" else ""

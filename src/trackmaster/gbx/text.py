"""Names as people read them: without the game's formatting codes."""

import re

_CODE = re.compile(r"\$(?:\$|[0-9a-fA-F][0-9a-zA-Z]{0,2}|[lhpLHP]\[[^\]]*\]|.|$)", re.DOTALL)


def plain_text(text: str) -> str:
    """Return a map's or driver's name without colours, styles and links.

    ``$`` begins a code: three letters of a colour (``$f80``), a link with its address (``$l[...]``), or one letter of a
    style (``$o``); ``$$`` stands for the dollar sign itself. A byte order mark in front goes too.
    """
    plain = _CODE.sub(lambda code: "$" if code.group() == "$$" else "", text)
    return plain.replace("\ufeff", "").strip()

"""Names without formatting codes."""

import time

import pytest

from trackmaster.gbx import plain_text, printable


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("$000EHEMC - $fffD$f00i$fffz$f00z$fffy", "EHEMC - Dizzy"),
        ("$h[bigbang1112]$i$n$o$bbbBIGBANG1112", "BIGBANG1112"),
        ("$s$o$33CLav$32Bende$31Ar To$309wn", "Lavender Town"),
        ("$l[http://x.y]here$l", "here"),
        ("5$$ each", "5$ each"),
        ("\ufeff$i$900ғ$C00ฟ$F00๏", "ғฟ๏"),
        ("ends with $", "ends with"),
        ("A01-Race", "A01-Race"),
        ("\x1b[2J\x1b]0;title\x07red\u202e", "[2J]0;titlered"),
        ("two\nlines\tand\xa0blanks", "two lines and blanks"),
        ("$\x1b[31mred", "[31mred"),
        ("$l[http://x.y here", "[http://x.y here"),
        ("$l[a]$h[b", "[b"),
    ],
)
def test_plain_text_leaves_what_people_read(text: str, plain: str) -> None:
    assert plain_text(text) == plain


def test_printable_leaves_codes_and_replaces_what_no_terminal_can_show() -> None:
    assert printable("$f00caf\udce9\r\n") == "$f00caf?  "


@pytest.mark.parametrize("end", ["", "]"])
def test_plain_text_of_many_opened_links_takes_linear_time(end: str) -> None:
    start_s = time.process_time()
    plain_text("$l[" * 100_000 + end)
    assert time.process_time() - start_s < 2.0, "quadratic time would be minutes"

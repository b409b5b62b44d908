"""Pages of figures: one HTML file that needs no second file and asks for nothing."""

import html
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from trackmaster.files import atomic_write_text

if TYPE_CHECKING:
    import plotly.graph_objects as go

_STYLE = """
body { margin: 0 auto; max-width: 1080px; padding: 1rem; background: #f4f6fa; color: #1d2430;
  font: 16px/1.55 system-ui, sans-serif; }
section { background: #fff; border: 1px solid #e3e7ee; border-radius: 12px; margin: 1.2rem 0; padding: 1rem 1.2rem; }
h1 { font-size: 1.6rem; margin: .4rem 0; } h2 { font-size: 1.1rem; margin: 0 0 .4rem; }
video { width: 100%; }
"""


class FigureWriter:
    """Turns figures into ``div`` elements; the plotly script goes into the page once, and only if a figure is there."""

    def __init__(self) -> None:
        self._count = 0

    def div(self, figure: "go.Figure") -> str:
        """Return a figure as an element of the page; an animation waits for its button."""
        self._count += 1
        made: str = figure.to_html(
            full_html=False,
            include_plotlyjs=False,
            div_id=f"figure-{self._count}",
            config={"displaylogo": False, "responsive": True},
            auto_play=False,
        )
        return made

    def script(self) -> str:
        """Return the script element that the figures need."""
        if not self._count:
            return ""
        from plotly.offline import get_plotlyjs

        return f"<script>{get_plotlyjs()}</script>\n"


def write_figure_page(path: Path, title: str, text: str, figures: Sequence[tuple[str, "go.Figure"]]) -> Path:
    """Write figures with their headings below each other and return the path; an interrupted call leaves the old page.

    Args:
        path: the page.
        title: its headline.
        text: a paragraph under it.
        figures: heading and figure, in order.
    """
    writer = FigureWriter()
    sections = [f"<section><h2>{html.escape(name)}</h2>\n{writer.div(figure)}</section>\n" for name, figure in figures]
    atomic_write_text(path, page_of(title, f"<p>{html.escape(text)}</p>\n{''.join(sections)}", writer))
    return path


def page_of(title: str, body: str, writer: FigureWriter) -> str:
    """Return a whole page.

    Args:
        title: its headline, as text.
        body: what stands under it, as HTML.
        writer: of the figures in the body.
    """
    shown = html.escape(title)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{shown}</title>\n'
        f'<link rel="icon" href="data:,">\n<style>{_STYLE}</style>\n{writer.script()}</head>\n<body>\n'
        f"<h1>{shown}</h1>\n{body}</body>\n</html>\n"
    )

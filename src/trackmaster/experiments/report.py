"""One self-contained HTML page about an experiment: no second file, no request to anywhere."""

import html
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from trackmaster.errors import TrackmasterError
from trackmaster.experiments.lap import look_colors
from trackmaster.experiments.report_data import Evaluation, ReportData, ShownLap, TrainingRun
from trackmaster.files import atomic_write_text
from trackmaster.units import format_race_time
from trackmaster.view.figures import lap_figure, loss_figure, progress_figure
from trackmaster.view.page import FigureWriter
from trackmaster.view.pictures import as_bgr, contact_sheet, data_url, encode_jpeg, encode_png

MAX_EMBEDDED_VIDEO_BYTES = 48 * 2**20
"""A larger video is linked by its file name instead: browsers struggle with longer ``data:`` addresses."""

SMALL_FRAME_PX = 128
"""Frames below this width are shown enlarged, with sharp pixels."""

CONTACT_COLUMNS = 8

_STYLE = """
:root { color-scheme: light; --ink: #1d2430; --soft: #5d6778; --line: #e3e7ee; --card: #ffffff; --accent: #2f6fde; }
* { box-sizing: border-box; }
body { margin: 0; background: #f4f6fa; color: var(--ink); font: 16px/1.55 system-ui, sans-serif; }
header { background: linear-gradient(120deg, #17305e, #2f6fde); color: #fff; padding: 2.6rem 1rem; }
header > div, main { max-width: 1080px; margin: 0 auto; padding: 0 1rem; }
header h1 { margin: 0 0 .4rem; font-size: 2rem; letter-spacing: -.01em; }
header p { margin: 0; opacity: .92; max-width: 70ch; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 12px; margin: 1.4rem 0;
  padding: 1.2rem 1.4rem; }
h2 { margin: 0 0 .6rem; font-size: 1.25rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: .8rem; }
.tile b { display: block; font-size: 1.5rem; font-variant-numeric: tabular-nums; }
.tile span, .soft { color: var(--soft); font-size: .92rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .93rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .4rem .7rem .4rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--soft); font-weight: 600; }
td.n { text-align: right; }
img, video { max-width: 100%; border-radius: 8px; display: block; }
video { width: 100%; background: #000; }
pre { background: #f4f6fa; border-radius: 8px; padding: .8rem; overflow-x: auto; font-size: .88rem; }
footer { color: var(--soft); text-align: center; padding: 1rem 1rem 2.5rem; font-size: .9rem; }
"""


class ReportError(TrackmasterError):
    """A report cannot be made from what was given."""


def write_report(path: Path | str, data: ReportData) -> Path:
    """Write the page and return its path; an interrupted call leaves the old page.

    Raises:
        ReportError: the video is named but not there.
    """
    target = Path(path)
    atomic_write_text(target, render_report(data, base=target.parent))
    return target


def render_report(data: ReportData, base: Path | None = None) -> str:
    """Return the whole page.

    Args:
        data: what to show.
        base: folder of the page; a video too large to embed is addressed from here.
    """
    figures = FigureWriter()
    sections = [
        _section("result", "Result", _tiles(data)),
        _section("replays", "What was used", _replays(data)),
        _section("frames", "Frames captured", _frames(data)),
        _section("encoder", "Encoder", _encoder(data, figures)),
        _section("training", "Progress and lap times", _training(data, figures)),
        _section("lap", "The lap in 3-D", _lap(data.lap, figures)),
        _section("video", "The lap as a video", _video(data, base)),
        _section("facts", "How this page was made", _facts(data)),
    ]
    title = html.escape(data.title)
    return (
        "<!DOCTYPE html>\n"
        f'<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<link rel="icon" href="data:,">\n<style>{_STYLE}</style>\n'
        f"{figures.script()}</head>\n<body>\n"
        f"<header><div><h1>{title}</h1><p>{html.escape(data.summary)}</p></div></header>\n"
        f"<main>\n{''.join(sections)}</main>\n"
        "<footer>Made by trackmaster.</footer>\n</body>\n</html>\n"
    )


def _section(name: str, title: str, body: str) -> str:
    return f'<section id="{name}">\n<h2>{html.escape(title)}</h2>\n{body}\n</section>\n'


def _note(text: str) -> str:
    return f'<p class="soft">{html.escape(text)}</p>'


def _table(head: Sequence[str], rows: Iterable[Sequence[object]], numbers: Sequence[int] = ()) -> str:
    """Return a table; columns in ``numbers`` are aligned to the right."""

    def cells(values: Sequence[object], tag: str) -> str:
        return "".join(
            f"<{tag}{' class=n' if k in numbers and tag == 'td' else ''}>{html.escape(str(v))}</{tag}>"
            for k, v in enumerate(values)
        )

    body = "".join(f"<tr>{cells(row, 'td')}</tr>\n" for row in rows)
    return (
        f'<div class="wide"><table><thead><tr>{cells(head, "th")}</tr></thead>\n<tbody>\n{body}</tbody></table></div>'
    )


def _tiles(data: ReportData) -> str:
    tiles: list[tuple[str, str]] = [
        (str(sum(1 for row in data.replays if row.frames)), "replays with frames"),
        (f"{sum(row.frames for row in data.replays):,}", "frames captured"),
    ]
    for name, values in data.encoder_losses.items():
        if values:
            tiles.append((f"{values[0]:.3g} → {values[-1]:.3g}", f"encoder loss, {name}"))
    for run in data.runs:
        if run.evaluations:
            first, last = run.evaluations[0], run.evaluations[-1]
            tiles.append(
                (
                    f"{first.mean_progress_m:.0f} → {last.mean_progress_m:.0f} m",
                    f"evaluated progress before → final weights, {run.name}",
                )
            )
            tiles.append((f"{run.best.mean_progress_m:.0f} m", f"best evaluated weights, {run.name}"))
    best = _best_time(data.runs)
    if best is not None:
        tiles.append((format_race_time(best), "best evaluated lap"))
    if data.lap is not None:
        tiles.append((_finish(data.lap.race_time_ms), f"lap shown{_by(data.lap.driver)}"))
    inner = "".join(
        f'<div class="tile"><b>{html.escape(value)}</b><span>{html.escape(label)}</span></div>'
        for value, label in tiles
    )
    return f'<div class="tiles">{inner}</div>'


def _finish(race_time_ms: int | None) -> str:
    return "not finished" if race_time_ms is None else format_race_time(race_time_ms)


def _by(driver: str) -> str:
    return f", {driver}" if driver else ""


def _best_time(runs: Sequence[TrainingRun]) -> int | None:
    times = [t for run in runs for e in run.evaluations for t in e.race_time_ms if t is not None]
    return min(times) if times else None


def _replays(data: ReportData) -> str:
    if not data.replays:
        return _note("No replay was used.")
    rows = [
        (r.map_name, r.driver, format_race_time(r.race_time_ms), r.frames, r.origin, r.file, r.map_uid, r.note)
        for r in data.replays
    ]
    return _table(("map", "driver", "time", "frames", "from", "file", "map uid", "note"), rows, numbers=(2, 3))


def _frames(data: ReportData) -> str:
    if not data.frames:
        return _note("No frame was captured.")
    pictures = [item.frame for item in data.frames]
    width = as_bgr(pictures[0]).shape[1]
    columns = min(CONTACT_COLUMNS, len(pictures))
    small = width < SMALL_FRAME_PX
    sheet = contact_sheet(pictures, columns=columns, width_px=SMALL_FRAME_PX if small else min(width, 320))
    url = data_url(encode_png(sheet), "image/png") if small else data_url(encode_jpeg(sheet), "image/jpeg")
    captions = [f"{k + 1}: {item.caption}" for k, item in enumerate(data.frames) if item.caption]
    words = _note("Row by row. " + " · ".join(captions)) if captions else ""
    return f'<img src="{url}" alt="contact sheet of {len(pictures)} captured frames">\n{words}'


def _encoder(data: ReportData, figures: FigureWriter) -> str:
    curves = {name: values for name, values in data.encoder_losses.items() if len(values)}
    if not curves:
        return _note("No encoder was trained.")
    return (_note(data.encoder_note) if data.encoder_note else "") + figures.div(loss_figure(curves))


def _training(data: ReportData, figures: FigureWriter) -> str:
    runs = [run for run in data.runs if run.evaluations]
    if not runs:
        return _note("No agent was trained.")

    def plot(x: Callable[[Evaluation], float], title: str) -> str:
        lines = {run.name: [(x(e), e.progress_m, e.race_time_ms) for e in run.evaluations] for run in runs}
        return figures.div(progress_figure(lines, x_title=title, track_length_m=data.track_length_m))

    standing = [(run.name, name, e.result, f"{e.wall_s / 60:.1f}") for run in runs for name, e in run.standing]
    rows = []
    for run in runs:
        for e in run.evaluations:
            done = [t for t in e.race_time_ms if t is not None]
            rows.append(
                (
                    run.name,
                    f"{e.wall_s / 60:.1f}",
                    f"{e.env_steps:,}",
                    f"{e.mean_progress_m:.1f}",
                    f"{len(done)} of {len(e.race_time_ms)}",
                    format_race_time(min(done) if done else None),
                )
            )
    table = _table(
        ("run", "minutes", "env steps", "mean progress in m", "finished", "best time"), rows, (1, 2, 3, 4, 5)
    )
    return (
        _table(("run", "weights", "mean progress and finishes", "minutes"), standing, numbers=(3,))
        + _note("Deterministic episodes from a fixed set of perturbed starts; the band spans all episodes.")
        + plot(lambda e: e.wall_s / 60, "wall time in minutes")
        + plot(lambda e: float(e.env_steps), "environment steps")
        + f"<details><summary>all evaluations</summary>{table}</details>"
    )


def _lap(lap: ShownLap | None, figures: FigureWriter) -> str:
    if lap is None:
        return _note("No lap was recorded.")
    colors = None if lap.look is None else look_colors(lap.look)
    figure = lap_figure(
        lap.position_m,
        lap.speed_mps,
        time_ms=lap.time_ms,
        vertices=lap.vertices,
        triangles=lap.triangles,
        look_colors=colors,
    )
    words = f"{lap.driver or 'The car'}: {_finish(lap.race_time_ms)}"
    return _note(f"{words}. Drag to turn, scroll to come closer.") + figures.div(figure)


def _video(data: ReportData, base: Path | None) -> str:
    if data.video is None:
        return _note("No video was made.")
    if not data.video.is_file():
        raise ReportError(f"{data.video}: the lap video is not there. Write it before the report, or pass video=None.")
    if data.video.stat().st_size <= MAX_EMBEDDED_VIDEO_BYTES:
        source = data_url(data.video.read_bytes(), "video/mp4")
    else:
        near = base is not None and data.video.resolve().is_relative_to(base.resolve())
        address = data.video.resolve().relative_to(base.resolve()).as_posix() if near and base else data.video.name
        source = html.escape(address, quote=True)
    return f'<video controls loop muted playsinline src="{source}"></video>'


def _facts(data: ReportData) -> str:
    parts = []
    if data.stages:
        total = sum(seconds for _, seconds in data.stages)
        rows = [*((name, f"{seconds:.1f}") for name, seconds in data.stages), ("all", f"{total:.1f}")]
        parts.append(_table(("stage", "seconds"), rows, numbers=(1,)))
    if data.facts:
        parts.append(_table(("fact", "value"), list(data.facts.items())))
    if data.commands:
        parts.append(f"<pre>{html.escape(chr(10).join(data.commands))}</pre>")
    return "\n".join(parts) or _note("Nothing was noted.")

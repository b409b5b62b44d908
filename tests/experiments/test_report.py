"""The report page: complete, self-contained, escaped, and without an error in a real browser."""

from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from trackmaster.experiments.report import MAX_EMBEDDED_VIDEO_BYTES, ReportError, render_report, write_report
from trackmaster.experiments.report_data import (
    Evaluation,
    FramePicture,
    ReplayRow,
    ReportData,
    ShownLap,
    TrainingRun,
)
from trackmaster.view import OverlayFrame, write_lap_video

EVIL = "<script>alert('&')</script>"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> ReportData:
    n = 40
    line = np.stack([np.linspace(0, 200, n), np.full(n, 9.4), 20 * np.sin(np.linspace(0, 3, n))], axis=1)
    video = tmp_path_factory.mktemp("video") / "lap.mp4"
    frames = [np.full((48, 64, 3), 5 * k, np.uint8) for k in range(10)]
    write_lap_video(video, frames, [OverlayFrame(50 * k, 10.0 * k, progress=k / 10) for k in range(10)])
    runs = tuple(
        TrainingRun(
            f"seed {seed}",
            tuple(
                Evaluation(60.0 * k, 1_000 * k, (20.0 * k + seed, 30.0 * k), (None, 24_540 if k == 3 else None))
                for k in range(4)
            ),
        )
        for seed in (1, 2)
    )
    return ReportData(
        title=f"Demo {EVIL}",
        summary=f"Summary {EVIL}",
        replays=(
            ReplayRow("a.Replay.Gbx", f"Map {EVIL}", "uid", f"Driver {EVIL}", 24_540, "bundled", 120),
            ReplayRow("b.Replay.Gbx", "Other", note=f"refused {EVIL}"),
        ),
        frames=tuple(FramePicture(np.full((64, 64), 12 * k, np.uint8), f"{k} {EVIL}") for k in range(10)),
        encoder_losses={f"train {EVIL}": [0.3, 0.1], "validation": [0.31, 0.15]},
        encoder_note=EVIL,
        runs=runs,
        track_length_m=210.0,
        lap=ShownLap(
            line,
            np.linspace(5, 60, n),
            50 * np.arange(n),
            24_540,
            EVIL,
            np.array([[0, 9, -30], [200, 9, -30], [200, 9, 30]], np.float32),
            np.array([[0, 2, 1]], np.int32),
            np.array([0], np.uint8),
        ),
        video=video,
        stages=(("capture", 12.5), ("encoder", 30.0)),
        facts={"seed": 1, f"name {EVIL}": EVIL},
        commands=(f"trackmaster demo {EVIL}",),
    )


class Page(HTMLParser):
    """Collects tags, addresses and the words outside of scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.words = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, text: str) -> None:
        if not self.tags or self.tags[-1] not in ("script", "style"):
            self.words += text


def test_page_shows_every_part_and_asks_for_nothing(data: ReportData) -> None:
    page = Page(render_report(data))
    assert page.addresses, "icon, contact sheet and video have addresses"
    assert all(address.startswith("data:") for address in page.addresses), page.addresses
    assert {"table", "img", "video", "pre"} <= set(page.tags)
    for words in (
        "24.54",
        "120",
        "bundled",
        "0.3 → 0.1",
        "0 → 76 m",
        "Map ",
        "refused",
        "capture",
        "42.5",
        "trackmaster demo",
    ):
        assert words in page.words, words


def test_plotly_is_inside_once_and_only_where_needed(data: ReportData) -> None:
    whole, empty = render_report(data), render_report(ReportData("Nothing yet"))
    assert whole.count("plotly.js v") == 1
    assert "plotly.js v" not in empty
    assert len(empty) < 20_000
    for words in ("No replay", "No frame", "No encoder", "No agent", "No lap", "No video", "Nothing was noted"):
        assert words in empty


def test_whatever_comes_in_is_escaped(data: ReportData) -> None:
    page = render_report(data)
    assert EVIL not in page
    assert page.count("&lt;script&gt;") >= 8
    assert Page(page).tags.count("script") == Page(render_report(replace(data, title="Demo"))).tags.count("script")


def test_numbers_of_the_page_are_those_given(data: ReportData) -> None:
    page = render_report(data)
    # Mean progress over the episodes of the first and the last evaluation.
    assert "<b>0 → 76 m</b><span>evaluated progress before → final weights, seed 1</span>" in page
    assert "<b>1 → 76 m</b><span>evaluated progress before → final weights, seed 2</span>" in page
    assert "<b>24.54</b><span>best evaluated lap</span>" in page
    assert "1 of 2" in page


def test_final_weights_that_are_worse_than_the_best_are_told_apart() -> None:
    progress = ((20.0, 22.0), (30.0, 50.0), (80.0, 70.0), (15.0, 17.0))
    times = ((None, None), (None, 24_000), (None, None), (None, None))
    rows = tuple(Evaluation(60.0 * k, k, *found) for k, found in enumerate(zip(progress, times, strict=True)))
    run = TrainingRun("IQN", rows)
    assert [(name, found.result) for name, found in run.standing] == [
        ("before training", "21 m, 0 of 2 finish"),
        ("final weights", "16 m, 0 of 2 finish"),
        ("best evaluated weights", "40 m, 1 of 2 finish"),
    ], "a finish counts more than a longer way"
    page = render_report(ReportData("Demo", runs=(run,)))
    assert "<b>21 → 16 m</b>" in page
    assert "<b>40 m</b><span>best evaluated weights, IQN</span>" in page
    assert "<td>best evaluated weights</td><td>40 m, 1 of 2 finish</td><td class=n>1.0</td>" in page


def test_page_is_written_whole_and_repeats(data: ReportData, tmp_path: Path) -> None:
    first = write_report(tmp_path / "deep" / "report.html", data).read_bytes()
    assert first == write_report(tmp_path / "deep" / "report.html", data).read_bytes()
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["report.html"]


def test_missing_video_is_a_sentence_and_a_huge_one_is_linked(data: ReportData, tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="not there"):
        render_report(replace(data, video=tmp_path / "none.mp4"))
    huge = tmp_path / "media" / "lap &1.mp4"
    huge.parent.mkdir()
    with huge.open("wb") as file:
        file.truncate(MAX_EMBEDDED_VIDEO_BYTES + 1)
    assert 'src="media/lap &amp;1.mp4"' in render_report(replace(data, video=huge), base=tmp_path)


def test_page_opens_in_chromium_without_a_console_error(
    data: ReportData, tmp_path: Path, open_in_browser: Callable[[Path], tuple[list[str], str]]
) -> None:
    errors, document = open_in_browser(write_report(tmp_path / "report.html", data))
    assert errors == []
    assert document.count('class="plot-container') >= 3, "the figures must have been drawn"
    broken = tmp_path / "broken.html"
    broken.write_text("<!DOCTYPE html><html><head></head><body><script>nothing.here()</script></body></html>", "utf-8")
    assert open_in_browser(broken)[0], "the watch must see an error where there is one"

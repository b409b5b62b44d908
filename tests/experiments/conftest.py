"""A page in headless Chromium: what it reports as errors."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
WATCH = """<script>
window.seen = [];
const tell = () => document.documentElement.setAttribute("data-errors", JSON.stringify(window.seen));
const note = word => { window.seen.push(String(word)); tell(); };
addEventListener("error", e => note(e.message || e.target.outerHTML.slice(0, 200)), true);
addEventListener("unhandledrejection", e => note(e.reason));
const report = console.error;
console.error = (...words) => { note(words.join(" ")); report(...words); };
tell();
</script>"""


@pytest.fixture(scope="session")
def watched() -> Callable[[str], str]:
    """A function that gives a page the script that notes its errors."""
    return _watched


@pytest.fixture(scope="session")
def show_in_browser() -> Callable[[str, Path], tuple[list[str], str]]:
    """A function that loads a watched page and returns its errors and the resulting document."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: install the package chromium")
    return _show_in_browser


@pytest.fixture(scope="session")
def open_in_browser(
    show_in_browser: Callable[[str, Path], tuple[list[str], str]],
) -> Callable[[Path], tuple[list[str], str]]:
    """The same for a file."""

    def show(page: Path) -> tuple[list[str], str]:
        copy = page.with_name(f"watched-{page.name}")
        copy.write_text(_watched(page.read_text("utf-8")), "utf-8")
        return show_in_browser(copy.as_uri(), page.parent)

    return show


def _watched(page: str) -> str:
    return page.replace("<head>", f"<head>{WATCH}", 1)


def _show_in_browser(url: str, folder: Path) -> tuple[list[str], str]:
    """Load a page in headless Chromium, which keeps its profile in the folder."""
    assert CHROMIUM is not None
    run = subprocess.run(
        [
            CHROMIUM,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--enable-logging=stderr",
            "--v=0",
            "--no-first-run",
            f"--user-data-dir={folder / 'profile'}",
            "--virtual-time-budget=10000",
            "--dump-dom",
            url,
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    found = re.search(r'<html[^>]* data-errors="([^"]*)"', run.stdout)
    assert found, f"the page was not shown: {run.stderr[-2000:]}"
    errors = json.loads(found.group(1).replace("&quot;", '"').replace("&amp;", "&"))
    errors += [line for line in run.stderr.splitlines() if "CONSOLE" in line and "Uncaught" in line]
    return errors, run.stdout

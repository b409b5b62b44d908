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
def open_in_browser() -> Callable[[Path], tuple[list[str], str]]:
    """A function that loads a page and returns its errors and the resulting document."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: install the package chromium")
    return _open_in_browser


def _open_in_browser(page: Path) -> tuple[list[str], str]:
    """Load a page in headless Chromium; return what it reported as errors and the resulting document."""
    assert CHROMIUM is not None
    watched = page.with_name(f"watched-{page.name}")
    watched.write_text(page.read_text("utf-8").replace("<head>", f"<head>{WATCH}", 1), "utf-8")
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
            f"--user-data-dir={page.parent / 'profile'}",
            "--virtual-time-budget=10000",
            "--dump-dom",
            watched.as_uri(),
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

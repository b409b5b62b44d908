"""The project's two verbs without make: ``python tasks.py demo`` and ``python tasks.py test`` (the others: ``TASKS``).

Needs nothing but Python 3.11: it makes ``.venv`` in the checkout, installs the project there and runs the command.
"""

from __future__ import annotations  # an older Python must get as far as the sentence about its version

import argparse
import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = VENV / "installed.txt"
KERNELS = """
import warp
from trackmaster.sim import kernels_copy, kernels_raster, kernels_tick

for module in (kernels_tick, kernels_raster, kernels_copy):
    warp.load_module(module, "cpu")
"""


def run(*words: str) -> None:
    """Run a command of the environment and stop with its exit code when it fails."""
    done = subprocess.run([str(PYTHON), *words], cwd=ROOT, check=False)
    if done.returncode:
        sys.exit(done.returncode)


def install(*extras: str) -> None:
    """Make the environment once, and again whenever pyproject.toml changes."""
    wanted = sorted({*extras, *(STAMP.read_text().split()[1:] if STAMP.is_file() else [])})
    mark = " ".join([hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()[:16], *wanted])
    if PYTHON.is_file() and STAMP.is_file() and STAMP.read_text() == mark:
        return
    print(f"Setting up {VENV.name}; the first time downloads PyTorch, which takes a while ...", flush=True)
    if not _has_pip():
        venv.create(VENV, with_pip=True, clear=True)
    target = f".[{','.join(wanted)}]" if wanted else "."
    run("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--editable", target)
    STAMP.write_text(mark)


def _has_pip() -> bool:
    """Whether the environment is whole; one that was interrupted while it was made is not."""
    if not PYTHON.is_file():
        return False
    return subprocess.run([str(PYTHON), "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0


def demo(rest: list[str]) -> None:
    """Run the main job on the embedded simulator."""
    install()
    run("-m", "trackmaster", "demo", *rest)


def setup(_: list[str]) -> None:
    """Make the environment of every task at once."""
    install("dev", "docs")


def kernels(_: list[str]) -> None:
    """Compile the simulator's kernels, once for all processes that are about to need them."""
    install()
    run("-c", KERNELS)


def test(rest: list[str]) -> None:
    """Run all tests, four files at a time: many of them wait for processes of their own."""
    install("dev")
    kernels([])
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # more threads than cores get in their own way
    run("-m", "pytest", "-n", "4", "--dist", "loadfile", *rest)


def lint(rest: list[str]) -> None:
    """Check style and types."""
    install("dev")
    run("-m", "ruff", "check", ".", *rest)
    run("-m", "ruff", "format", "--check", ".")
    run("-m", "mypy")


def docs(rest: list[str]) -> None:
    """Build the documentation; a warning is an error."""
    install("docs")
    run("-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", "docs", "docs/_build/html", *rest)
    print("Open docs/_build/html/index.html")


def bench(rest: list[str]) -> None:
    """Run every benchmark and print its ratios."""
    install("dev")
    for script in sorted((ROOT / "benchmarks").glob("bench_*.py")):
        print(f"== {script.name}", flush=True)
        run(str(script), *rest)


TASKS = {
    "demo": demo, "test": test, "lint": lint, "docs": docs, "bench": bench, "setup": setup, "kernels": kernels,
}  # fmt: skip


def main() -> None:
    """Read the verb and hand the other words on."""
    if sys.version_info < (3, 11):  # noqa: UP036 - this file may well be started by an older Python
        sys.exit(f"trackmaster needs Python 3.11 or newer, this is {sys.version.split()[0]}.")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], add_help=len(sys.argv) < 3)
    parser.add_argument("task", choices=TASKS)
    known, rest = parser.parse_known_args()
    TASKS[known.task](rest)


if __name__ == "__main__":
    main()

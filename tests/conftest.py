"""Fixtures that every room's tests may use."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CORPUS = Path(os.environ.get("TRACKMASTER_CORPUS", ROOT.parent / "shared" / "data" / "gbx"))


@pytest.fixture(scope="session")
def repository_root() -> Path:
    """The checkout the tests run from."""
    return ROOT


@pytest.fixture(scope="session")
def corpus_dir() -> Path:
    """Folder of real replays and maps with its ``MANIFEST.tsv``; the test is skipped where it is missing."""
    if not (CORPUS / "MANIFEST.tsv").is_file():
        pytest.skip("the folder of real replays is not here: set TRACKMASTER_CORPUS to a folder with a MANIFEST.tsv")
    return CORPUS

"""Progress without a terminal, and files that are whole or absent."""

import io
from pathlib import Path

import pytest

from trackmaster.files import atomic_dir, atomic_path, atomic_write_text, safe_name, sha256_of
from trackmaster.progress import PLAIN_INTERVAL_S, progress
from trackmaster.units import format_race_time


def test_progress_without_terminal_prints_plain_lines() -> None:
    out = io.StringIO()
    ticks = iter([0.0, PLAIN_INTERVAL_S + 1, PLAIN_INTERVAL_S + 2, PLAIN_INTERVAL_S + 3, 10.0])
    assert list(progress([1, 2, 3], desc="frames", stream=out, clock=lambda: next(ticks))) == [1, 2, 3]
    lines = out.getvalue().splitlines()
    assert lines[0].startswith("frames: 1/3 (33 %)")
    assert lines[-1].startswith("frames: 3/3 (100 %)")
    assert "\r" not in out.getvalue()


def test_atomic_write_leaves_the_old_file_when_it_fails(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "file.txt"
    atomic_write_text(target, "old")
    with pytest.raises(RuntimeError), atomic_path(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert [p.name for p in target.parent.iterdir()] == ["file.txt"]


def test_the_hash_of_a_file_is_that_of_its_content(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256_of(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-4


def test_atomic_dir_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "run"
    with pytest.raises(RuntimeError), atomic_dir(target) as temporary:
        (temporary / "a").write_text("x")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    with atomic_dir(target) as temporary:
        (temporary / "a").write_text("x")
    assert (target / "a").read_text() == "x"


@pytest.mark.parametrize("text", ["jbV2XePYbkV1Kt2kNqJ_0z3AlJb", "a__b", "pos1.x-y", "a" * 80, "console"])
def test_names_that_are_safe_stay(text: str) -> None:
    assert safe_name(text) == text


ODD_NAMES = (
    "", ".", "..", "...", "a" * 81, "a" * 400, "../../etc", "a/b", "a\\b", "a_b ", "a b", "caf\xe9", "caf\udce9", "CON",
    "con", "nul.txt", "COM1", "lpt9.a.b", ".hidden", "ends.", "\0", "\x1b[2J", "$f00name", "\U0001f600" * 90,
)  # fmt: skip


@pytest.mark.parametrize("text", ODD_NAMES)
def test_any_text_becomes_a_name_that_can_be_made(text: str, tmp_path: Path) -> None:
    for max_length in (16, 80):
        name = safe_name(text, max_length=max_length)
        assert 0 < len(name) <= max_length
        assert name == safe_name(name), "nothing is left to change"
        (tmp_path / f"{name}.Challenge.Gbx").write_bytes(b"")
        assert [path.name for path in tmp_path.iterdir()] == [f"{name}.Challenge.Gbx"]
        (tmp_path / f"{name}.Challenge.Gbx").unlink()


def test_two_texts_never_share_a_name() -> None:
    texts = (*ODD_NAMES, "a_b", "a__b", "a b", "a  b", "_", "_CON", "unknown")
    assert len({safe_name(text) for text in texts}) == len(set(texts))


@pytest.mark.parametrize(
    ("time_ms", "text"),
    [(24540, "24.54"), (83450, "1:23.45"), (None, "-"), (-1, "-"), (9638, "9.638"), (60000, "1:00.00")],
)
def test_race_times_read_as_people_write_them(time_ms: int | None, text: str) -> None:
    assert format_race_time(time_ms) == text

"""``trackmaster gbx show`` describes files in sentences and survives bad ones."""

from pathlib import Path

import pytest

from trackmaster.cli import main


def test_show_names_the_damaged_file_and_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.Replay.Gbx").write_bytes(b"not a gbx file at all")
    (tmp_path / "cut.Challenge.gbx").write_bytes(b"GBX\x06\x00BUCR")
    assert main(["gbx", "show", str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert "bad.Replay.Gbx: NOT READ" in out
    assert out.rstrip().endswith("2 files, 2 not read")


def test_show_without_files_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gbx", "show", str(tmp_path)]) == 1
    assert "No .Gbx file in" in capsys.readouterr().err
    assert main(["gbx", "show", str(tmp_path / "nowhere")]) == 1
    assert "there is no such file" in capsys.readouterr().err


@pytest.mark.corpus
def test_show_describes_real_files(corpus_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    replay = next(corpus_dir.rglob("*A2*.Replay.Gbx"))
    assert main(["gbx", "show", str(replay), "--long"]) == 0
    out = capsys.readouterr().out
    assert "replay, 15.67 by" in out
    assert "ghost 1: 15.67" in out

"""``trackmaster gbx show`` describes files in sentences and survives bad ones."""

import dataclasses
import struct
from pathlib import Path

import pytest

from trackmaster import gbx
from trackmaster.cli import main
from trackmaster.errors import TrackmasterError
from trackmaster.gbx.container import read_body, read_shell
from trackmaster.gbx.writer import pack_body


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


def test_show_lists_named_files_and_those_of_folders_in_any_case(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "folder.gbx").mkdir()
    for name in ("b.Replay.Gbx", "er/A.GBX", "er/notes.txt"):
        (tmp_path / "deep" / name).write_bytes(b"")
    (tmp_path / "plain").write_bytes(b"")
    found = gbx.find_gbx_files([tmp_path / "plain", tmp_path / "deep"])
    assert [path.name for path in found] == ["plain", "b.Replay.Gbx", "A.GBX"]
    with pytest.raises(TrackmasterError, match=r"no such file or folder\. Give"):
        gbx.find_gbx_files([tmp_path / "nowhere"])
    with pytest.raises(TrackmasterError, match=r"No \.Gbx file in .*er\. Give"):
        (tmp_path / "deep" / "er" / "A.GBX").unlink()
        gbx.find_gbx_files([tmp_path / "deep" / "er"])


def map_of_mode(map_bytes: bytes, mode: int) -> bytes:
    """Put another mode into a map's body."""
    shell = read_shell(map_bytes, "map")
    body = read_body(map_bytes, shell, "map")
    mark = struct.pack("<I4sI", 0x0304301C, b"PIKS", 4)
    at = body.data.index(mark) + len(mark)
    data = body.data[:at] + struct.pack("<i", mode) + body.data[at + 4 :]
    return map_bytes[:7] + b"U" + map_bytes[8 : shell.header_end] + pack_body(body.node_count, data, compress=False)


@pytest.mark.parametrize(("mode", "said"), [(0, ", race, "), (5, ", stunts, "), (-100, ", mode -100, "), (6, "mode 6")])
def test_show_names_any_mode(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], map_bytes: bytes, mode: int, said: str
) -> None:
    (tmp_path / "a.Challenge.Gbx").write_bytes(map_of_mode(map_bytes, mode))
    assert main(["gbx", "show", str(tmp_path)]) == 0
    assert said in capsys.readouterr().out


def test_show_steers_no_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str], ghost: gbx.Ghost) -> None:
    evil = "$f00\x1b[2Jevil\x1b]0;x\x07\n\u202e"
    blocks = (gbx.Block(evil, 0, 1, 1, 1),)
    content = gbx.write_challenge(
        gbx.Challenge(f"uid{evil}", evil, evil, environment=evil, mood=evil, blocks=blocks), compress=False
    )
    (tmp_path / "m.Challenge.Gbx").write_bytes(content)
    driver = dataclasses.replace(ghost, nickname=evil, login=evil)
    (tmp_path / "r.Replay.Gbx").write_bytes(gbx.write_replay(content, driver))
    (tmp_path / "x\x1b[2J.Gbx").write_bytes(b"GBX")
    assert main(["gbx", "show", str(tmp_path), "--long"]) == 1
    out = capsys.readouterr().out
    assert "evil" in out
    assert all(character.isprintable() for line in out.split("\n") for character in line)
    assert "map '[2Jevil]0;x' by" in out, "the codes of names are gone too"


@pytest.mark.corpus
def test_show_describes_real_files(corpus_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    replay = next(corpus_dir.rglob("*A2*.Replay.Gbx"))
    assert main(["gbx", "show", str(replay), "--long"]) == 0
    out = capsys.readouterr().out
    assert "replay, 15.67 by" in out
    assert "ghost 1: 15.67" in out

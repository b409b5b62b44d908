"""``status --check`` finds what a power cut left of files, and the next run makes it whole."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.replays.exchange import RunningStandIn

from trackmaster.cli import main
from trackmaster.replays.standin.crowd import crowd_exhibit

Serve = Callable[..., RunningStandIn]
CHECK = ["replays", "status", "--check", "--tracks-dir", "t"]


@pytest.mark.parametrize("source", [["--extract-tracks-from-replays"], ["--list-popular", "--download-tracks"]])
@pytest.mark.parametrize("verify", ["full", "header"])
def test_maps_that_changed_or_went_come_again(
    source: list[str], verify: str, here: Path, serve: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    exhibit = crowd_exhibit(3, 1)
    serve(exhibit)
    Path("ids.txt").write_text("1000\n1001\n1002\n")
    given = ["--output", "maps/ids.txt"] if "--list-popular" in source else ["--track-ids", "ids.txt"]
    command = ["replays", "download", *given, *source, "--tracks-dir", "t", "--verify", verify]
    assert main(command) == 0
    assert main(CHECK) == 0
    changed, missing = Path("t/1000.Challenge.Gbx"), Path("t/1001.Challenge.Gbx")
    whole = changed.read_bytes()
    damaged = whole[: len(whole) - 512] + bytes(512)
    changed.write_bytes(damaged)
    missing.unlink()
    capsys.readouterr()
    assert main(CHECK) == 2
    said = capsys.readouterr().out
    assert f"{changed} has changed since it was verified; it is now " in said
    assert f"{missing} is missing" in said
    assert "2 files are wrong or missing" in said
    assert [path.read_bytes() for path in Path("maps/replays/.quarantine").iterdir()] == [damaged]
    assert main(command) == 0
    for track_id, track in exhibit.tracks.items():
        assert Path(f"t/{track_id}.Challenge.Gbx").read_bytes() == track.content()
    assert main(CHECK) == 0


def test_a_check_without_the_folder_of_maps_or_a_catalogue_says_so(
    here: Path, serve: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    serve(crowd_exhibit(1, 1))
    Path("ids.txt").write_text("1000\n")
    command = ["replays", "download", "--track-ids", "ids.txt", "--extract-tracks-from-replays"]
    assert main(command) == 0
    assert main(CHECK) == 0
    assert "t: there is no such folder, so 1 maps are not checked (--tracks-dir)." in capsys.readouterr().out
    assert main([*CHECK, "--replays-dir", "nowhere"]) == 1
    assert "there is no catalogue" in capsys.readouterr().err
    assert not Path("nowhere").exists()

"""Tracks are kept or dropped for the right reason, each with a sentence; lists keep their order."""

import csv
import dataclasses
import shutil
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from trackmaster import gbx
from trackmaster.cli import main, run_verb
from trackmaster.errors import ConfigError
from trackmaster.replays.catalogue import Catalogue, catalogue_path
from trackmaster.replays.facts import MapFacts, ReplayFacts, map_facts, replay_facts, spread
from trackmaster.replays.filter_config import FilterConfig, MapType, MapTypeFilterConfig, RespawnFilterConfig
from trackmaster.replays.records import ReplayRecord, TrackRecord
from trackmaster.replays.rules import choose, judge, why_not_map
from trackmaster.replays.standin.folder import BUNDLED

SWITCHBACK = sorted((BUNDLED / "replays" / "switchback").iterdir())
FILTER = ["replays", "filter", "--input", "ids.txt", "--output", "kept.txt", "-r", "replays", "-t", "tracks"]


def write_replay(path: Path, **changes: object) -> None:
    """A bundled run with other facts."""
    found = gbx.read_replay(SWITCHBACK[0])
    assert found.challenge_bytes is not None
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gbx.write_replay(found.challenge_bytes, dataclasses.replace(found.ghosts[0], **changes)))  # type: ignore[arg-type]


@pytest.fixture
def corpus(here: Path) -> Path:
    """Six tracks: plain, respawning, damaged, on a pad, under TMInterface, without replays."""
    for number in (1, 2, 3, 4, 5):
        for path in SWITCHBACK[:2]:
            place = here / "replays" / str(number) / path.name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, place)
    write_replay(here / "replays" / "2" / "pos9_a_1ms.replay.gbx", respawns=3)
    for path in (here / "replays" / "3").iterdir():
        path.write_bytes(path.read_bytes()[:200])
    events = gbx.read_replay(SWITCHBACK[0]).ghosts[0].events
    assert events is not None
    names = tuple("Steer" if name == "SteerLeft" else name for name in events.names)
    assert names != events.names
    for path in (here / "replays" / "4").iterdir():
        write_replay(path, events=dataclasses.replace(events, names=names))
    for path in (here / "replays" / "5").iterdir():
        write_replay(path, events=dataclasses.replace(events, shift_ms=65_535))
    (here / "tracks").mkdir()
    shutil.copy(BUNDLED / "tracks" / "switchback.Challenge.Gbx", here / "tracks" / "1.Challenge.Gbx")
    (here / "tracks" / "2").mkdir()
    shutil.copy(BUNDLED / "tracks" / "first_steps.Challenge.Gbx", here / "tracks" / "2" / "a.Challenge.Gbx")
    (here / "ids.txt").write_text("6\n5\n4\n3\n2\n1\n")
    return here


def kept(*flags: str) -> list[str]:
    assert main([*FILTER, *flags]) == 0
    return Path("kept.txt").read_text().split()


def test_tracks_with_a_respawn_are_dropped_and_named(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert kept("--no-respawn", "--explain") == ["6", "5", "4", "1"]
    said = capsys.readouterr().out
    assert "dropped 2: pos9_a_1ms.replay.gbx respawns 3 times." in said
    assert "dropped 3: none of its replays can be read" in said
    assert said.count("not read: ") == 2, "each damaged file is named"
    assert "1 kept without a replay" in said


def test_one_damaged_replay_does_not_drop_a_track(corpus: Path) -> None:
    (corpus / "replays" / "1" / "pos3_x_1ms.replay.gbx").write_bytes(b"GBX")
    assert "1" in kept("--no-respawn")


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--device", "keyboard"], ["5", "2", "1"]),
        (["--device", "pad"], ["4"]),
        (["--no-tminterface"], ["4", "2", "1"]),
        (["--max-run-s", "15.9"], ["5", "4", "2", "1"]),
        (["--max-run-s", "15"], []),
        (["--min-run-s", "16"], ["2", "1"]),
        (["--current-version"], ["5", "4", "1"]),
        (["--validated"], ["5", "4", "2", "1"]),
        (["--only-with-maps"], ["2", "1"]),
    ],
)  # fmt: skip
def test_each_rule_keeps_what_it_should(flags: list[str], expected: list[str], corpus: Path) -> None:
    if flags == ["--min-run-s", "16"]:
        for number in ("4", "5"):
            shutil.rmtree(corpus / "replays" / number)
    assert kept(*flags) == expected


def test_the_reason_of_lost_runs_is_counted(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept("--device", "pad", "--explain")
    said = capsys.readouterr().out
    assert "dropped 1: no run is left: 2 on keyboard." in said
    assert "dropped 3: no run is left: 2 damaged." in said
    assert "dropped 6: no run is left: there are none." in said


def test_the_catalogue_knows_what_the_exchange_validated_and_which_version_counts(corpus: Path) -> None:
    names = [path.name for path in SWITCHBACK[:2]]
    with Catalogue(catalogue_path(corpus / "replays")) as catalogue:
        uid = gbx.read_challenge(SWITCHBACK[0]).uid
        catalogue.note_tracks([TrackRecord(1, uid), TrackRecord(5, "another uid")])
        for track_id, is_validated in ((1, True), (5, False)):
            rows = [ReplayRecord(10 * track_id + i, 9_000, i, "d", 1, validated=is_validated) for i in (1, 2)]
            paths = {row.replay_id: f"{track_id}/{name}" for row, name in zip(rows, names, strict=True)}
            catalogue.note_replays(track_id, rows, paths, 50)
    assert kept("--validated") == ["4", "2", "1"]
    assert kept("--current-version") == ["4", "1"]


def test_tracks_are_judged_by_the_catalogue_alone_before_anything_is_downloaded(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def listed(replay_id: int, time_ms: int, *, respawns: int = 0) -> ReplayRecord:
        return ReplayRecord(replay_id, time_ms, replay_id, "d", 1, respawns=respawns)

    rows = {
        1: [listed(11, 30_000), listed(12, 31_000)], 2: [listed(21, 30_000, respawns=2)], 3: [listed(31, 300_000)],
        4: [listed(41, 30_000)], 5: [listed(51, 30_000)],
    }  # fmt: skip
    with Catalogue(catalogue_path(here / "replays")) as catalogue:
        types = {1: (0, None), 2: (5, None), 3: (0, None), 4: (3, None), 5: (0, 2)}
        for track_id, (primary_type, unlimiter) in types.items():
            record = TrackRecord(track_id, f"uid{track_id}", primary_type=primary_type, unlimiter=unlimiter)
            catalogue.note_tracks([record])
            paths = {row.replay_id: f"{track_id}/{row.replay_id}.replay.gbx" for row in rows[track_id]}
            catalogue.note_replays(track_id, rows[track_id], paths, 50)
        catalogue.note_tracks([TrackRecord(6)])
        catalogue.set_track(6, "gone", "status_404")
    (here / "ids.txt").unlink(missing_ok=True)
    flags = ["--from-catalogue", "--no-respawn", "--map-types", "race", "--no-unlimiter", "--max-run-s", "90"]
    assert kept(*flags, "--explain") == ["1"]
    said = capsys.readouterr().out
    assert "dropped 2: 21.replay.gbx respawns 2 times." in said
    assert "dropped 3: no run is left: 1 longer than 90 s." in said
    assert "dropped 4: the map is for stunts." in said
    assert "dropped 5: the map needs TMUnlimiter." in said


def test_what_the_download_verified_is_not_read_again(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Catalogue(catalogue_path(corpus / "replays")) as catalogue:
        names = [path.name for path in SWITCHBACK[:2]]
        rows = [ReplayRecord(i, 9_000, i, "d", i) for i in (1, 2)]
        catalogue.note_tracks([TrackRecord(1, "u")])
        paths = {row.replay_id: f"1/{name}" for row, name in zip(rows, names, strict=True)}
        catalogue.note_replays(1, rows, paths, 50)
        for row in rows:
            catalogue.set_replay(row.replay_id, "done", device="pad", is_tminterface=False)
    assert kept("--device", "pad") == ["4", "1"], "the catalogue's word counts"
    (corpus / "replays" / "1" / "pos9_new_1ms.replay.gbx").write_bytes(SWITCHBACK[0].read_bytes())
    assert kept("--device", "keyboard") == ["5", "2", "1"], "a file that it does not know is read"


def run(time_ms: int, login: str = "driver", author: str = "author") -> ReplayFacts:
    return ReplayFacts(Path(f"{time_ms}.replay.gbx"), time_ms, 0, "uid", author, login)


RUNS = [run(t) for t in (10_000, 11_000, 12_000, 14_000, 14_900)]


@pytest.mark.parametrize(
    ("teacher", "runs", "expected"),
    [
        ("all", RUNS, [10_000, 11_000, 12_000, 14_000, 14_900]),
        ("best", RUNS, [10_000]),
        ("median", RUNS, [12_000]),
        ("median", [*RUNS, run(15_100), run(90_000), run(95_000)], [12_000]),
        ("median", RUNS[:2], [10_000]),
        ("author", [*RUNS, run(15_500, "author")], [15_500]),
        ("author", RUNS, []),
        ("author", [run(9_000, "", "")], []),
        ("best", [], []),
    ],
)
def test_the_teacher_is_chosen(teacher: str, runs: list[ReplayFacts], expected: list[int]) -> None:
    config = FilterConfig(teacher=teacher)  # type: ignore[arg-type]
    assert [chosen.time_ms for chosen in choose(runs, config)] == expected


def test_chosen_runs_are_listed_and_laid_out(corpus: Path) -> None:
    flags = ["--teacher", "best", "--device", "keyboard", "--replays-output", "runs.txt", "--copy-to", "chosen"]
    assert kept(*flags) == ["5", "2", "1"]
    listed = Path("runs.txt").read_text().split()
    assert listed[2] == f"1/{SWITCHBACK[0].name}"
    assert sorted(p.relative_to("chosen").as_posix() for p in Path("chosen").rglob("*.gbx")) == sorted(listed)
    assert (Path("chosen") / listed[2]).read_bytes() == SWITCHBACK[0].read_bytes()
    assert kept("--teacher", "author") == ["5", "4", "2", "1"], "we drove our own maps"


def test_only_earlier_results_are_replaced(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder in (Path("replays"), Path("tracks"), Path()):
        before = sorted(folder.rglob("*"))
        assert main([*FILTER, "--copy-to", str(folder)]) == 1
        assert "did not come from a filter" in capsys.readouterr().err
        assert sorted(folder.rglob("*")) == before
    assert kept("--copy-to", "chosen") != []
    assert kept("--copy-to", "chosen", "--teacher", "best", "--device", "keyboard") == ["5", "2", "1"]
    assert len(list(Path("chosen").rglob("*.gbx"))) == 3


def test_a_number_that_no_exchange_gives_is_a_name_like_others(corpus: Path) -> None:
    with Catalogue(catalogue_path(Path("replays"))):
        pass
    Path("ids.txt").write_text("99999999999999999999\n1\n")
    assert kept("--no-respawn") == ["99999999999999999999", "1"]


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (MapFacts("Stadium"), ""),
        (MapFacts("Alpine"), ""),
        (MapFacts("Moon"), "environment"),
        (MapFacts(""), "environment"),
        (MapFacts("Stadium", mode=5), "map_type"),
        (MapFacts("Stadium", mode=1), "map_type"),
        (MapFacts("Stadium", mode=99), "map_type"),
        (MapFacts("Stadium", intro_s=15.0), ""),
        (MapFacts("Stadium", intro_s=15.01), "preview"),
        (MapFacts(error="cut short"), "damaged_map"),
        (None, ""),
    ],
)
def test_maps_are_judged_by_environment_type_and_intro(facts: MapFacts | None, reason: str) -> None:
    config = MapTypeFilterConfig(max_preview_duration=15.0)
    assert why_not_map(facts, facts is not None, config)[0] == reason
    assert judge([], facts, facts is not None, "", {}, config).reason == reason
    if facts is None:
        assert why_not_map(None, False, config.model_copy(update={"only_with_maps": True}))[0] == "no_map"


def test_the_script_for_respawns_needs_no_flag(corpus: Path) -> None:
    config = "trackmaster.replays.filter_config:RespawnFilterConfig"
    assert run_verb("replays filter", FILTER[2:], config=config) == 0
    assert Path("kept.txt").read_text().split() == ["6", "5", "4", "1"]
    flags = ["-i", "ids.txt", "-o", "short.txt", "-r", "replays", "-j", "1", "--only-with-replays"]
    assert run_verb("replays filter", flags, config=config) == 0
    assert Path("short.txt").read_text().split() == ["5", "4", "1"], "6 has no replay"
    assert RespawnFilterConfig.load(flags).workers == 1


def test_the_names_of_modes_are_those_of_the_files() -> None:
    assert get_args(MapType) == gbx.models.MODES


def test_unlimiter_maps_are_dropped_where_asked_for() -> None:
    facts = MapFacts("Stadium", is_unlimiter=True)
    assert why_not_map(facts, True, FilterConfig(no_unlimiter=True))[0] == "unlimiter"
    assert why_not_map(facts, True, FilterConfig())[0] == ""


def test_the_scripts_have_the_defaults_of_the_documents(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = "trackmaster.replays.filter_config:MapTypeFilterConfig"
    (here / "maps").mkdir()
    (here / "maps" / "track_ids.txt").write_text("1\n")
    assert run_verb("replays filter", [], config=config) == 1
    assert "maps/tracks_tmnf: there is no such folder" in capsys.readouterr().err
    (here / "maps" / "tracks_tmnf").mkdir()
    assert run_verb("replays filter", [], config=config) == 0
    assert (here / "maps" / "track_ids_standard.txt").read_text() == "1\n"


@pytest.mark.parametrize("flag", ["-v", "--verbose", "--explain"])
def test_the_respawn_script_says_why_when_it_is_verbose(
    flag: str, corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = "trackmaster.replays.filter_config:RespawnFilterConfig"
    lists = ["-i", "ids.txt", "-o", "kept.txt", "-r", "replays"]
    assert run_verb("replays filter", lists, config=config) == 0
    assert "dropped 2" not in capsys.readouterr().out
    assert run_verb("replays filter", [*lists, flag], config=config) == 0
    assert "dropped 2: pos9_a_1ms.replay.gbx respawns 3 times." in capsys.readouterr().out


def test_the_map_script_says_as_much_as_its_log_level(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = "trackmaster.replays.filter_config:MapTypeFilterConfig"
    flags = ["-i", "ids.txt", "-o", "kept.txt", "-t", "tracks", "-r", "replays", "--only-with-maps", "--no-respawn"]
    said = {}
    for level in ("DEBUG", "INFO", "WARNING", "ERROR"):
        assert run_verb("replays filter", [*flags, "--log-level", level], config=config) == 0
        assert Path("kept.txt").read_text() == "1\n"
        said[level] = [line.strip().partition(":")[0] for line in capsys.readouterr().out.splitlines()]
    damaged = ["not read", "not read"]
    assert said["ERROR"] == []
    assert said["WARNING"] == damaged
    assert said["INFO"][:3] == [*damaged, "4 dropped"]
    assert said["DEBUG"] == [*damaged, *(f"dropped {name}" for name in "65432"), *said["INFO"][2:]]
    with pytest.raises(ConfigError, match="log_level"):
        MapTypeFilterConfig.load(["--log-level", "LOUD"], environment={})


@pytest.mark.parametrize(
    ("flags", "content", "expected"),
    [
        (["--input", "none.txt"], "1\n", "none.txt: the list of track ids cannot be read"),
        ([], "1\n../../etc\n", "line 2: expected the id of a track"),
        (["--map-types", "race,holiday"], "1\n", "'map_types.1': input should be 'race', 'platform'"),
        (["--no-respawn", "-r", "nowhere"], "1\n", "nowhere: there is no such folder"),
    ],
)
def test_wrong_input_is_a_sentence(
    flags: list[str], content: str, expected: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "ids.txt").write_text(content)
    assert main([*FILTER, *flags]) == 1
    assert expected in capsys.readouterr().err
    assert not (here / "kept.txt").exists()


def test_facts_come_from_other_processes_as_from_this_one() -> None:
    paths = sorted(BUNDLED.rglob("*.replay.gbx"))
    assert list(spread(replay_facts, paths, 2, cost=10**6)) == [replay_facts(path) for path in paths]


def test_official_maps_have_the_intros_that_players_know(corpus_dir: Path) -> None:
    with (corpus_dir / "MANIFEST.tsv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    durations: dict[str, float] = {}
    for row in rows:
        if row["parse"] != "ok" or row["file_class"] != "Challenge" or row["game"] != "TMF" or row["env"] != "Stadium":
            continue
        challenge = gbx.read_challenge(corpus_dir / row["path"])
        facts = map_facts(corpus_dir / row["path"])
        assert facts.intro_s == challenge.intro_duration_s
        if challenge.author == "Nadeo" and facts.intro_s > 0:
            durations[challenge.name] = facts.intro_s
    assert len(durations) >= 40
    assert np.isclose(durations["A01-Race"], 9.638, atol=5e-4)
    assert min(durations.values()) >= 8.85
    assert round(max(durations.values()), 2) <= 10.92


def test_respawns_of_real_replays_are_those_of_the_list(corpus_dir: Path) -> None:
    with (corpus_dir / "MANIFEST.tsv").open(encoding="utf-8", newline="") as stream:
        rows = [r for r in csv.DictReader(stream, delimiter="\t") if r["parse"] == "ok" and r["file_class"] == "Replay"]
    assert len(rows) > 30
    for row in rows:
        facts = replay_facts(corpus_dir / row["path"])
        assert facts.error == ""
        assert max(facts.respawns or 0, 0) == max(int(row["respawns"].split("/")[0]), 0), row["path"]

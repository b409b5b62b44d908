"""The whole chain on the smallest budget: it ends, continues, and refuses to mix settings."""

import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from trackmaster.cli import main
from trackmaster.errors import InterruptedRunError, TrackmasterError
from trackmaster.experiments import stages
from trackmaster.experiments.collect import Collection, FoundReplay, lay_out, read_replays
from trackmaster.experiments.demo import BUNDLED_DIR
from trackmaster.experiments.fetch import fetch_replays
from trackmaster.files import sha256_of
from trackmaster.nn.encoder import build_encoder
from trackmaster.pretrain.pixels import normalise
from trackmaster.replays.catalogue import Catalogue, catalogue_path
from trackmaster.rl.evaluation.log import LoggedEvaluation, read_evaluations


@pytest.fixture(scope="module")
def bundled() -> list[FoundReplay]:
    """The bundled replays, the shortest run first."""
    found = read_replays(BUNDLED_DIR, use_tqdm=False).found
    return sorted((row for row in found if row.is_used), key=lambda row: row.race_time_ms or 0)


@pytest.fixture(scope="module")
def replays(bundled: list[FoundReplay], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two bundled replays of the shortest track, a damaged copy and a map beside them."""
    folder = tmp_path_factory.mktemp("replays")
    same = [row.source for row in bundled if row.track_id == bundled[0].track_id][:2]
    for path in same:
        shutil.copy(path, folder)
    (folder / "cut.Replay.Gbx").write_bytes(same[0].read_bytes()[:500])
    return folder


@pytest.fixture(scope="module")
def demo_dir(replays: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("runs") / "demo"
    assert main(["demo", *flags(replays, output)]) == 0
    return output


def flags(replays: Path, output: Path) -> list[str]:
    small = ["--fps", "5", "--encoder-epochs", "3", "--train-minutes", "0.05", "--episodes", "2", "--no-use-tqdm"]
    return ["--replays", str(replays), "--output", str(output), *small]


def test_the_demo_leaves_report_and_video(demo_dir: Path) -> None:
    page = (demo_dir / "report.html").read_text(encoding="utf-8")
    assert "cut.Replay.Gbx" in page, "a damaged file is named in the report"
    assert (demo_dir / "lap.mp4").stat().st_size > 10_000
    assert set(json.loads((demo_dir / "stages.json").read_text())) == {
        "replays", "frames", "encoder", "agent", "lap", "report",
    }  # fmt: skip


def test_the_replays_came_from_an_exchange_over_http(demo_dir: Path, replays: Path) -> None:
    with Catalogue(catalogue_path(demo_dir / "exchange" / "replays"), writable=False) as catalogue:
        rows = list(catalogue.read("SELECT path, sha256, state FROM replays"))
        run = catalogue.one("SELECT SUM(requests) requests, SUM(received_bytes) received FROM runs")
    whole = [path for path in replays.iterdir() if path.name != "cut.Replay.Gbx"]
    assert {row["sha256"] for row in rows} == {sha256_of(path) for path in whole}
    assert {row["state"] for row in rows} == {"done"}
    assert run is not None
    assert run["requests"] >= len(whole) + 2, "a list, the replays of its track, and each file"
    assert run["received"] > sum(path.stat().st_size for path in whole)
    laid_out = {sha256_of(path) for path in (demo_dir / "maps" / "replays").rglob("*.gbx")}
    assert laid_out == {row["sha256"] for row in rows}


def test_a_replay_that_the_download_refuses_is_left_out_with_its_reason(replays: Path, tmp_path: Path) -> None:
    found = read_replays(replays, use_tqdm=False)
    first, *others = sorted(found.found, key=lambda row: not row.is_used)
    wrong = replace(first, race_time_ms=1)
    fetched = fetch_replays(replace(found, found=(wrong, *others)), tmp_path, use_tqdm=False)
    assert [row.is_used for row in fetched.found] == [False, *(row.is_used for row in others)]
    assert "refused by the download: other_time" in fetched.found[0].reason
    with pytest.raises(TrackmasterError, match="None of the replays came"):
        fetch_replays(replace(found, found=(wrong,)), tmp_path / "other", use_tqdm=False)


def test_the_evaluations_begin_untrained_and_end_with_the_final_weights(demo_dir: Path) -> None:
    run = demo_dir / "save" / "demo"
    rows = read_evaluations(run / "evaluations.jsonl")
    # How many lie between depends on what the machine manages in three seconds: perhaps none.
    assert (rows[0].train_steps, rows[0].env_steps) == (0, 0)
    done = json.loads((run / "accumulated_stats.json").read_text())["cumul_number_batches_done"]
    assert rows[-1].train_steps == done
    assert all(len(row.progress_m) == 2 for row in rows)


def test_the_numbers_of_the_page_are_those_of_the_run(demo_dir: Path) -> None:
    with (demo_dir / "encoder" / "demo" / "metrics.csv").open() as file:
        losses = [float(row["train_loss"]) for row in csv.DictReader(file)]
    assert losses[-1] < losses[0], "the encoder learned"
    page = (demo_dir / "report.html").read_text(encoding="utf-8")
    rows = read_evaluations(demo_dir / "save" / "demo" / "evaluations.jsonl")
    first, last, best = (sum(row.progress_m) / 2 for row in (rows[0], rows[-1], max(rows, key=rank)))
    for words in (
        f"before training {first:.0f} m",
        f"final weights {last:.0f} m",
        f"best evaluated weights {best:.0f} m",
    ):
        assert words in page, words
    assert "trackmaster demo --replays" in page, "the command that makes it again"


def rank(row: LoggedEvaluation) -> tuple[int, float]:
    """None of these short trainings finishes twice, so that the median time plays no part."""
    return sum(time is not None for time in row.race_time_ms), sum(row.progress_m)


def test_the_page_opens_in_chromium_without_a_console_error(
    demo_dir: Path, open_in_browser: Callable[[Path], tuple[list[str], str]]
) -> None:
    assert open_in_browser(demo_dir / "report.html")[0] == []


def test_the_encoder_is_inside_the_agent(demo_dir: Path) -> None:
    encoder = build_encoder()
    encoder.load_state_dict(torch.load(demo_dir / "encoder" / "demo" / "encoder.pt", weights_only=True))
    pictures = torch.randint(0, 256, (8, 1, 64, 64), generator=torch.Generator().manual_seed(1)).to(torch.uint8)
    for name in ("weights1.torch", "weights2.torch"):
        state = torch.load(demo_dir / "save" / name, weights_only=True)
        head = build_encoder()
        head.load_state_dict({key[9:]: value for key, value in state.items() if key.startswith("img_head.")})
        with torch.no_grad():  # each in its own scale of pixels
            seen, wanted = head(normalise(pictures, "iqn")), encoder(normalise(pictures, "01"))
        assert torch.allclose(seen, wanted, atol=1e-4)
        assert wanted.abs().max() > 1e-2


def test_a_second_call_keeps_what_is_finished(
    demo_dir: Path, replays: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (demo_dir / "encoder" / "demo" / "encoder.pt").stat().st_mtime_ns
    assert main(["demo", *flags(replays, demo_dir)]) == 0
    assert "kept from an earlier call" in capsys.readouterr().out
    assert (demo_dir / "encoder" / "demo" / "encoder.pt").stat().st_mtime_ns == before


def stop_after_replays(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(stages, "capture_frames", stop)


def test_a_demo_with_other_settings_is_moved_aside(
    tmp_path: Path, replays: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "demo"
    output.mkdir()
    (output / "demo_config.yaml").write_text("seed: 99\n")
    (output / "report.html").write_text("old")
    assert main(["demo", *flags(tmp_path / "nowhere", output)]) == 1
    assert (output / "report.html").read_text() == "old", "a typing error moves nothing"
    stop_after_replays(monkeypatch)
    monkeypatch.chdir(output)
    assert main(["demo", *flags(replays, Path())]) == 130
    assert "other settings; it was moved to" in capsys.readouterr().out
    assert (tmp_path / "demo-1" / "report.html").read_text() == "old"
    assert not (output / "report.html").exists()
    assert (output / "maps" / "replays").is_dir()


def test_a_demo_of_other_replays_is_moved_aside(
    tmp_path: Path, bundled: list[FoundReplay], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_after_replays(monkeypatch)
    folder, output = tmp_path / "replays", tmp_path / "demo"
    folder.mkdir()
    shutil.copy(bundled[0].source, folder / "a.Replay.Gbx")
    command = ["demo", *flags(folder, output)]
    assert main(command) == 130
    assert "Continue with: trackmaster demo --replays" in capsys.readouterr().err
    names = sorted(path.name for path in (output / "maps").rglob("*.gbx"))
    (folder / "a.Replay.Gbx").rename(folder / "b.Replay.Gbx")
    (folder / "cut.Replay.Gbx").write_bytes(b"GBX")
    main(command)
    assert "moved" not in capsys.readouterr().out, "the same replays are used"
    assert sorted(path.name for path in (output / "maps").rglob("*.gbx")) == names
    shutil.copy(bundled[-1].source, folder / "c.Replay.Gbx")
    main(command)
    assert "other replays, or of another version; it was moved to" in capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / "demo-1" / "maps").rglob("*.gbx")) == names
    monkeypatch.setattr("trackmaster.experiments.demo_folder.__version__", "999")
    main(command)
    assert (tmp_path / "demo-2").is_dir()


def test_replays_get_the_same_names_wherever_they_come_from(tmp_path: Path, bundled: list[FoundReplay]) -> None:
    tied = [replace_time(row) for row in bundled if row.track_id == bundled[0].track_id]
    for name, found in (("one", tied), ("two", tied[::-1])):
        lay_out(Collection(tuple(found), {}), tmp_path / name)
    one, two = ({path.name: path.read_bytes() for path in (tmp_path / k).rglob("*.gbx")} for k in ("one", "two"))
    assert one == two
    assert len(one) == len(tied) > 1


def replace_time(row: FoundReplay) -> FoundReplay:
    return replace(row, race_time_ms=10_000)


def test_an_interrupted_encoder_says_how_the_demo_goes_on(
    tmp_path: Path, replays: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise InterruptedRunError("stopped; continue with --resume somewhere.")

    monkeypatch.setattr(stages, "train_encoder", stop)
    assert main(["demo", *flags(replays, tmp_path / "demo")]) == 130
    said = capsys.readouterr().err
    assert "Continue with: trackmaster demo --replays" in said
    assert "--resume" not in said


def test_a_foreign_folder_is_left_alone(tmp_path: Path, replays: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"x")
    assert main(["demo", *flags(replays, tmp_path)]) == 1
    assert "no demo" in capsys.readouterr().err
    assert (tmp_path / "holiday.jpg").is_file()


@pytest.mark.parametrize(("make", "expected"), [(False, "no such folder"), (True, "No .Gbx file")])
def test_a_folder_without_replays_is_a_sentence(
    tmp_path: Path, make: bool, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "empty"
    if make:
        folder.mkdir()
    assert main(["demo", *flags(folder, tmp_path / "out")]) == 1
    assert expected in capsys.readouterr().err


def test_a_folder_of_damaged_replays_is_refused_by_file_in_whole_sentences(tmp_path: Path) -> None:
    whole = next(BUNDLED_DIR.rglob("*.replay.gbx")).read_bytes()
    (tmp_path / "cut.Replay.Gbx").write_bytes(whole[:700])
    with pytest.raises(
        TrackmasterError, match=r"none of the 1 replays .* The first one, cut\.Replay\.Gbx: "
    ) as refusal:
        read_replays(tmp_path, use_tqdm=False)
    assert ".." not in str(refusal.value).replace(str(tmp_path), "")

"""An agent that holds the accelerator, which is enough on the easiest track, is shown and exported."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from tests.experiments.driving_run import FLAT_OUT, NOTHING, make_run

from trackmaster import gbx
from trackmaster.cli import main
from trackmaster.distributed.racing.beginning import CONFIG_SNAPSHOT
from trackmaster.env import evaluation_starts
from trackmaster.experiments.drive import chosen_entry
from trackmaster.experiments.lap import Lap, lap_timeline
from trackmaster.rl.config.world import MapEntry
from trackmaster.rl.files.names import ONLINE_FILE
from trackmaster.view.drive_figure import LIFT_M, OtherLine, drive_figure

FAST = ["--width", "96", "--height", "64", "--no-use-tqdm"]


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("save") / "flat", FLAT_OUT)


@pytest.fixture(autouse=True, scope="module")
def same_torch_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def driven(run_dir: Path) -> Path:
    assert main(["drive", str(run_dir), "--episodes", "2", *FAST]) == 0
    return run_dir / "drive" / "first"


def replay_of(driven: Path) -> Path:
    return driven / str(json.loads((driven / "drive.json").read_text())["replay"])


def test_the_replay_is_verified_by_our_own_capture_without_any_error(driven: Path, tmp_path: Path) -> None:
    flags = ["--replays-dir", str(driven / "replays"), "--output-dir", str(tmp_path / "img"), "--fps", "5"]
    flags += ["--vcp-dir", str(tmp_path / "vcp"), "--tracks-dir", str(tmp_path / "tracks"), "--game", "simulator"]
    assert main(["capture", *flags, "--mode", "drive", "--no-use-tqdm"]) == 0
    metadata = json.loads(next((tmp_path / "img").glob("*/*/metadata.json")).read_text())
    (outcome,) = json.loads((tmp_path / "img" / "index.json").read_text())["replays"].values()
    assert outcome["mode"] == "drive"
    assert outcome["max_sample_error_m"] == 0.0
    assert metadata["race_time_ms"] == json.loads((driven / "drive.json").read_text())["race_time_ms"][0]


def test_the_episodes_are_those_of_an_evaluation(run_dir: Path, driven: Path, tmp_path: Path) -> None:
    outcome = tmp_path / "outcome.json"
    assert main(["evaluate", "--run-dir", str(run_dir), "--episodes", "2", "--output", str(outcome)]) == 0
    evaluated = json.loads(outcome.read_text())["first"]
    assert json.loads((driven / "drive.json").read_text())["race_time_ms"] == evaluated["race_time_ms"]


def test_script_and_replay_hold_the_same_inputs(driven: Path) -> None:
    replay = gbx.read_replay(replay_of(driven))
    ghost = replay.ghost
    assert ghost is not None
    assert ghost.events is not None
    assert ghost.race_time_ms is not None
    assert replay.race_time_ms == ghost.race_time_ms
    assert f"_{ghost.race_time_ms}ms" in replay_of(driven).name
    n = ghost.race_time_ms // 10 - 1
    duration_ms = ghost.race_time_ms + 10
    script = gbx.from_script((driven / "inputs.txt").read_text(), duration_ms)
    stored = gbx.InputTimeline.from_events(ghost.events, duration_ms)
    for ours, theirs in zip(script.effective(), stored.effective(), strict=True):
        np.testing.assert_array_equal(ours[:n], theirs[:n])
    assert script.effective()[1][:n].min() == 1.0, "this driver holds the accelerator from the first callback on"


def test_the_video_shows_the_whole_drive(driven: Path) -> None:
    race_time_ms = json.loads((driven / "drive.json").read_text())["race_time_ms"][0]
    with av.open(str(driven / "lap.mp4")) as video:
        stream = video.streams.video[0]
        assert (stream.width, stream.height) == (96, 64)
        frames = sum(1 for _ in video.decode(stream))
    assert abs(frames / 50 - race_time_ms / 1000) < 0.1


def test_the_page_opens_and_can_be_played(
    driven: Path, open_in_browser: Callable[[Path], tuple[list[str], str]]
) -> None:
    errors, page = open_in_browser(driven / "lap.html")
    assert errors == []
    assert "Play" in page
    assert "race time" in page


def test_the_same_drive_gives_the_same_files(run_dir: Path, driven: Path, tmp_path: Path) -> None:
    assert main(["drive", str(run_dir), "--episodes", "1", "--no-page", "--output", str(tmp_path), *FAST]) == 0
    assert replay_of(tmp_path).read_bytes() == replay_of(driven).read_bytes()
    assert (tmp_path / "lap.mp4").read_bytes() == (driven / "lap.mp4").read_bytes()
    assert not (tmp_path / "lap.html").exists()


def test_an_episode_beside_the_official_start_is_shown_but_not_exported(
    run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--episodes", "2", "--show", "1", "--no-page", "--no-video", "--output", str(tmp_path)]
    assert main(["drive", str(run_dir), *flags, *FAST]) == 0
    assert "began beside the official start" in capsys.readouterr().out
    assert not (tmp_path / "inputs.txt").exists()
    assert json.loads((tmp_path / "drive.json").read_text())["replay"] is None


def test_a_run_without_finish_gives_a_script_and_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_run(tmp_path / "lazy", NOTHING)
    assert main(["drive", str(run), "--episodes", "1", "--no-page", *FAST]) == 0
    out = capsys.readouterr().out
    assert "no finish" in out
    assert "No replay: the run did not reach the finish" in out
    assert (run / "drive" / "first" / "inputs.txt").is_file()
    assert (run / "drive" / "first" / "lap.mp4").stat().st_size > 0
    assert not list(run.rglob("*.replay.gbx"))


def test_what_cannot_be_driven_is_a_sentence(run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    no_weights = make_run(tmp_path / "young", FLAT_OUT)
    (no_weights / ONLINE_FILE).unlink()
    damaged = make_run(tmp_path / "damaged", FLAT_OUT)
    (damaged / ONLINE_FILE).write_bytes((run_dir / ONLINE_FILE).read_bytes()[:5_000])
    moved = make_run(tmp_path / "moved", FLAT_OUT)
    snapshot = moved / CONFIG_SNAPSHOT
    snapshot.write_text(snapshot.read_text().replace("bundled:first_steps", "gone/x.Challenge.Gbx"))
    for words, expected in (
        ([str(tmp_path / "nowhere")], "give the folder of a run"),
        ([str(no_weights)], "holds no weights"),
        ([str(damaged)], "cannot be read as weights"),
        ([str(moved)], "there is no such file"),
        ([str(run_dir), "--track", "A01"], "was not trained on it. Its tracks: first"),
        ([str(run_dir), "--show", "7"], "the episodes are 0 to 4"),
    ):
        assert main(["drive", *words, *FAST]) == 1
        assert expected in capsys.readouterr().err


def test_the_wanted_track_of_several_is_taken() -> None:
    entries = [MapEntry(short_name=name, map_path=f"bundled:{name}") for name in ("a", "b")]
    assert chosen_entry(["a", "b"], entries, "b", Path("x")) == entries[1]
    assert chosen_entry(["a", "b"], entries, "", Path("x")) == entries[0]


def test_keys_of_a_lap_are_pressed_one_callback_before_they_act() -> None:
    controls = {
        "steer": np.array([0, -1, 1, 0], np.float32),
        "gas": np.array([0, 1, 1, 0], np.float32),
        "brake": np.array([0, 0, 0, 1], np.float32),
    }
    lap = Lap(None, **controls, progress_m=np.zeros(4), race_time_ms=None, start=evaluation_starts(0, 1)[0])  # type: ignore[arg-type]
    for pressed, acted in zip(lap_timeline(lap).effective(), controls.values(), strict=True):
        np.testing.assert_array_equal(pressed, acted[1:])


def test_the_car_moves_along_the_line_and_ends_at_its_end() -> None:
    n = 205
    line = np.stack([np.arange(n) * 1.0, np.full(n, 9.0), np.arange(n) * -2.0], axis=1)
    figure = drive_figure(line, np.full(n, 10.0), np.arange(n) * 10, others=[OtherLine("1", line + 1.0)])
    assert len(figure.frames) == len(range(0, n, 10)) + 1
    last = figure.frames[-1].data[0]
    assert (last.x[0], last.y[0], last.z[0]) == (204.0, 408.0, 9.0 + LIFT_M)
    assert figure.frames[0].traces == (len(figure.data) - 1,)
    assert figure.layout.updatemenus[0].buttons[0].args[1]["frame"]["duration"] == 100
    assert len(drive_figure(line[:1], np.ones(1), np.zeros(1)).frames) == 1

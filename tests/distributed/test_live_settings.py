"""Safe settings change while a run goes on; everything else is refused and changes nothing."""

from pathlib import Path

import pytest
from tests.distributed.test_train import small
from tests.full_disk import full_disk

from trackmaster.distributed.racing.live_settings import LIVE_FILE, OF_IQN, OF_THE_LOOP, LiveSettings
from trackmaster.distributed.racing.train import train
from trackmaster.rl.config.training import TrainConfig
from trackmaster.rl.iqn.agent import IQNAgent


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[LiveSettings, IQNAgent, Path, list[str]]:
    monkeypatch.chdir(tmp_path)
    config = small()
    config.run_dir.mkdir(parents=True)
    agent, said = IQNAgent(config.to_iqn_config(), seed=0), []
    agent.set_frames(100)
    live = LiveSettings(config, agent, config.run_dir / "snapshot.yaml", said.append)
    return live, agent, config.run_dir / LIVE_FILE, said


def test_schedules_and_limits_change_at_once(watched: tuple[LiveSettings, IQNAgent, Path, list[str]]) -> None:
    live, agent, file, said = watched
    assert live.poll() is None
    file.write_text(
        "training: {lr_schedule: [[0, 0.25]], max_frames: 5}\nexploration: {epsilon_schedule: [[0, 0.125]]}\n"
        "evaluation: {every_frames: 7}\n"
    )
    changed = live.poll()
    assert changed is not None
    assert (changed.training.max_frames, changed.evaluation.every_frames) == (5, 7)
    assert {group["lr"] for group in agent.optimizer.param_groups} == {0.25}
    assert agent.rates().epsilon == 0.125
    assert "training.max_frames = 5" in said[0]
    kept = TrainConfig.load(config=file.with_name("snapshot.yaml"), environment={})
    assert kept.training.lr_schedule == ((0, 0.25),)
    assert kept.training.batch_size == 32
    assert live.poll() is None, "only a change counts"


def test_a_full_disk_does_not_end_a_run_whose_settings_change(
    watched: tuple[LiveSettings, IQNAgent, Path, list[str]],
) -> None:
    live, _, file, said = watched
    file.write_text("training: {max_frames: 5}\n")
    with full_disk():
        changed = live.poll()
    assert changed is not None
    assert changed.training.max_frames == 5
    assert "snapshot.yaml could not be written" in said[0]
    assert "training.max_frames = 5" in said[1]


@pytest.mark.parametrize(("text", "message"), [
    ("training: {batch_size: 7}", "training.batch_size cannot change"),
    ("training: {max_frames: 5, batch_size: 7}", "training.batch_size cannot change"),
    ("map_cycle: 3", "map_cycle cannot change"), ("nonsense: {a: 1}", "nonsense.a cannot change"),
    ("training: {lr_schedule: [[0, -1]]}", "expected values above 0"),
    ("training: {max_frames: many}", "max_frames"), ("training: [", "live.yaml"), ("3", "live.yaml"),
])  # fmt: skip
def test_what_is_not_safe_changes_nothing(
    watched: tuple[LiveSettings, IQNAgent, Path, list[str]], text: str, message: str
) -> None:
    live, agent, file, said = watched
    before, config = agent.config, live.config
    file.write_text(text)
    assert live.poll() is None
    assert message in said[0]
    assert "Nothing was changed" in said[0]
    assert live.config is config
    assert agent.config is before


@pytest.mark.parametrize(("text", "message"), [
    ("training: {max_frames: 5}", "training.max_frames = 0 holds. Save the file again while the run goes on for "
                                  "training.max_frames = 5"),
    ("training: {batch_size: 7}", "training.batch_size cannot change"), ("training: {max_frames: 0}", ""),
])  # fmt: skip
def test_a_file_that_was_there_before_is_mentioned_and_not_read(
    watched: tuple[LiveSettings, IQNAgent, Path, list[str]], text: str, message: str
) -> None:
    before, agent, file, said = watched
    config = before.config.model_copy(update={"training": before.config.training.model_copy(update={"max_frames": 0})})
    file.write_text(text)
    live = LiveSettings(config, agent, file.with_name("snapshot.yaml"), said.append)
    assert live.poll() is None
    assert live.config is config
    assert len(said) == bool(message)
    assert message in "".join(said)


def test_every_safe_setting_exists() -> None:
    config = TrainConfig.load([])
    for name in (*OF_THE_LOOP, *OF_IQN):
        section, field = name.split(".")
        assert field in type(getattr(config, section)).model_fields


def test_a_run_obeys_while_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        if not (tmp_path / "save" / "small" / LIVE_FILE).exists():
            (tmp_path / "save" / "small" / LIVE_FILE).write_text("training: {max_frames: 200}")

    monkeypatch.setattr("trackmaster.distributed.racing.trainer.CHECK_S", 0.0)
    stats = train(small("--training.max-frames", "100000"), say=say).stats
    assert 200 <= stats.cumul_number_frames_played < 5_000
    assert any("max_frames = 200" in line for line in said)

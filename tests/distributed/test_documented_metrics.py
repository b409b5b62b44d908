"""The documentation explains every metric that a run logs, and none that does not exist."""

import csv
import re
from pathlib import Path

import pytest
from tests.distributed.test_train import small

from trackmaster.distributed.racing.run_stats import RunStats
from trackmaster.distributed.racing.train import train
from trackmaster.rl.evaluation.episodes import Evaluation
from trackmaster.rl.samples.chunk import Chunk

PAGE = Path(__file__).parents[2] / "docs" / "train.md"
PLACES = {
    "track": r"first", "tensor": r"[A-Za-z_]+\.\d\.(?:weight|bias)", "action": r"\d+", "counter": r"[a-z_]+",
    "quantile": r"(?:q1|median|q3|d9|d98|max)", "statistic": r"(?:min|q1|mean|median|q3|d9|c98|max)",
    "work": r"(?:waiting_for_workers|receiving|training|testing|saving)",
}  # fmt: skip
ONLY_SOMETIMES = {"Training/loss_scale", "Guard/collapse"}
"""With float16, and of agents that collapse."""


def documented() -> list[str]:
    table = PAGE.read_text(encoding="utf-8").split("<!-- metrics -->")[1].split("\n\n")[0]
    cells = [line.split("|")[1] for line in table.strip().splitlines()[2:]]
    return [tag for cell in cells for tag in re.findall(r"`([^`]+)`", cell) if tag != "kept_eval"]


def pattern(tag: str) -> re.Pattern[str]:
    parts = re.split(r"<(\w+)>", tag)
    text = "".join(PLACES[part] if i % 2 else re.escape(part) for i, part in enumerate(parts))
    return re.compile(text.replace("_trained_", "_(?:trained|blind)_").replace("kept_explo", "kept_(?:explo|eval)"))


def finishing() -> set[str]:
    """Return the tags of episodes and evaluations that finish, which a short run need not have."""
    stats, tags = RunStats(), set()
    for is_exploration in (0.0, 1.0):
        for start_ms in (0.0, 1_000.0):
            end = {"is_exploration": is_exploration, "finished": 1.0, "progress_m": 9.0, "return": 1.0,
                   "race_time_ms": 5_000.0, "start_ms": start_ms}  # fmt: skip
            chunk = Chunk("s", 0, 0, 0, 0, 0, 1, {"action": []}, True, stats=end, track="first")  # type: ignore[dict-item]
            tags |= set(stats.note_chunk(chunk, 1.0))
    for times in ((6_000, 5_000), (5_000, 5_000)):
        tags |= set(stats.note_evaluation({"first": Evaluation(times, (9.0, 9.0), (1.0, 1.0))}, 1.0)[0])
    return tags


def test_every_metric_is_explained_and_every_explanation_has_its_metric(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    flags = [
        "--memory.prio-alpha", "0.5", "--performance.metrics-interval-s", "0.3", "--performance.save-interval-s", "0.3",
        "--environment.snapshot-start-fraction", "0.5", "--memory.buffer-test-ratio", "0.3",
        "--memory.min-times-single-memory-is-used", "0.1",
    ]  # fmt: skip
    train(small(*flags), say=lambda line: None)
    rows = csv.DictReader((tmp_path / "save" / "small" / "metrics.csv").read_text().splitlines())
    logged = {row["tag"] for row in rows} | finishing() | {"alltime_min_ms_first"}
    patterns = {tag: pattern(tag) for tag in documented()}
    assert len(patterns) > 40
    unexplained = sorted(tag for tag in logged if not any(p.fullmatch(tag) for p in patterns.values()))
    assert unexplained == []
    idle = {name for name, p in patterns.items() if not any(p.fullmatch(tag) for tag in logged)}
    assert idle <= ONLY_SOMETIMES

"""kill -9 at random moments, faults of every kind: nothing is lost, wrong, double or without a reason."""

from pathlib import Path

from benchmarks.exchange_under_fire import run_under_fire


def test_a_download_that_is_killed_again_and_again_ends_complete(tmp_path: Path) -> None:
    verdict = run_under_fire(tmp_path, tracks=60, replays=10, kills=5, fault_rate=0.1, workers=16, latency_ms=5.0)
    assert verdict.is_good, verdict
    assert verdict.available > 500
    assert verdict.deleted > 0, "some items were gone, and the catalogue says so"

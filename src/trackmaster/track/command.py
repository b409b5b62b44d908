"""``trackmaster track coverage``: which blocks of maps have geometry, per map and per block."""

from collections import Counter
from pathlib import Path

from pydantic_settings import CliPositionalArg, SettingsConfigDict

from trackmaster.config import Settings
from trackmaster.gbx import find_maps
from trackmaster.track.coverage import Coverage, CoverageRow, coverage, total


class CoverageConfig(Settings):
    """Which maps to count."""

    model_config = SettingsConfigDict(env_prefix="TRACK_COVERAGE_")

    paths: CliPositionalArg[list[Path]]
    """Maps or replays (their embedded map counts), or folders of them."""
    blocks: int = 20
    """Unknown blocks to list, most frequent first."""


def show_coverage(config: CoverageConfig) -> int:
    """Print one line per Stadium map and the unknown blocks of all of them."""
    rows = coverage([challenge for challenge, _ in find_maps(config.paths)])
    for row in rows:
        print(_line(row.name, row.coverage))
    print(_line(f"all {len(rows)} maps ({sum(row.coverage.is_complete for row in rows)} complete)", total(rows)))
    for name, count in _unknown(rows).most_common(config.blocks):
        print(f"  unknown: {count:5d} x {name}")
    return 0


def _line(name: str, found: Coverage) -> str:
    return (
        f"{100 * found.share:6.2f} % of {found.drivable:5d} drivable blocks, {found.scenery:5d} scenery, "
        f"{found.assumed:4d} of assumed shape  {name}"
    )


def _unknown(rows: list[CoverageRow]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for row in rows:
        counts.update(row.coverage.unknown)
    return counts

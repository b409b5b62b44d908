"""``trackmaster track fit``: the catalogue's surfaces against the wheels of real drives, per block and per family."""

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from pydantic_settings import CliPositionalArg, SettingsConfigDict

from trackmaster.config import Settings
from trackmaster.errors import TrackmasterError
from trackmaster.files import atomic_write_text
from trackmaster.gbx import find_gbx_files
from trackmaster.progress import progress
from trackmaster.track.catalogue import Evidence, is_scenery, known_blocks
from trackmaster.track.contacts import Drive, vanilla_drives
from trackmaster.track.fit import BlockResiduals, FitReport


class FitConfig(Settings):
    """Which drives to compare with the catalogue."""

    model_config = SettingsConfigDict(env_prefix="TRACK_FIT_")

    paths: CliPositionalArg[list[Path]]
    """Replays, or folders of them; with ``clips`` also maps."""
    clips: bool = False
    """Also the ghosts inside of clips, whose map may have been edited after the drive."""
    blocks: str = ""
    """Show only blocks whose name contains this regular expression; empty shows all."""
    json_file: str = ""
    """Write all numbers to this file ("-": standard output) instead of printing a table."""


def show_fit(config: FitConfig) -> int:
    """Print median and 90 % residual of every family and block, and where the catalogue's marks are not justified."""
    pattern = _pattern(config.blocks)
    out = sys.stderr if config.json_file == "-" else sys.stdout
    files = find_gbx_files(config.paths)
    drives = list(vanilla_drives(files, clips=config.clips, report=lambda line: print(line, file=out)))
    if not drives:
        raise TrackmasterError(
            f"No finished drive on a Stadium map in {', '.join(map(str, config.paths))}. Give replays (and maps with "
            "ghosts in their clips, with --clips)."
        )
    report = FitReport()
    for number, drive in enumerate(progress(drives, desc="drives", enabled=not config.json_file)):
        report.add_drive(number, drive)
    if config.json_file:
        _write_json(config.json_file, report, drives)
        return 0
    _print_report(report, pattern, len(drives))
    return 0


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise TrackmasterError(f"--blocks {text!r} is not a regular expression: {error}.") from error


def _print_report(report: FitReport, pattern: re.Pattern[str], n_drives: int) -> None:
    total = sum(len(found) for found in report.blocks.values())
    print(f"{total} wheel contacts of {n_drives} drives; surface minus wheel along the car's up axis")
    print(_HEADER)
    for name, found in sorted(report.families().items()):
        print(_line(name, found))
    print()
    for name, found in sorted(report.blocks.items()):
        if pattern.search(name):
            print(_line(name, found))
    print(
        f"\nno known surface within {_REACH_CM:.0f} cm: {report.unexplained_total} contacts, most often in columns of"
    )
    for name, count in sorted(report.unexplained.items(), key=lambda item: -item[1])[:_SHOWN]:
        print(f"  {count:6d} x {name}{' (scenery)' if is_scenery(name) else ''}")
    without = unjustified(report.blocks)
    if without:
        print("\nmarked as measured, but not touched by these drives: " + ", ".join(without))


_HEADER = f"{'':46s} {'n':>6s} {'median':>8s} {'90 %':>8s} {'bias':>8s} {'drives':>6s} {'other material':>14s}"
_REACH_CM = 50.0
_SHOWN = 12


def _line(name: str, found: BlockResiduals) -> str:
    return (
        f"{name:46s} {len(found):6d} {1000 * found.spread_m(50):5.1f} mm {1000 * found.spread_m(90):5.1f} mm "
        f"{1000 * found.bias_m:5.1f} mm {len(found.drives):6d} {found.other_material:14d}"
    )


def unjustified(touched: Mapping[str, BlockResiduals]) -> list[str]:
    """Return the catalogue's blocks that claim to be measured although no wheel touched one of that name."""
    claimed = {name for name, _, spec in known_blocks() if spec.evidence is Evidence.MEASURED}
    return sorted(claimed - set(touched))


def _write_json(target: str, report: FitReport, drives: list[Drive]) -> None:
    text = json.dumps(
        {
            "drives": len(drives),
            "unexplained": report.unexplained_total,
            "families": {name: _numbers(found) for name, found in sorted(report.families().items())},
            "blocks": {name: _numbers(found) for name, found in sorted(report.blocks.items())},
        },
        indent=1,
    )
    if target == "-":
        sys.stdout.write(text + "\n")
    else:
        atomic_write_text(Path(target), text + "\n")


def _numbers(found: BlockResiduals) -> dict[str, float | int | str]:
    return {
        "family": found.family,
        "n": len(found),
        "median_m": found.spread_m(50),
        "p90_m": found.spread_m(90),
        "bias_m": found.bias_m,
        "drives": len(found.drives),
        "other_material": found.other_material,
    }

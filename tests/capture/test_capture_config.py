"""Flags of the seeds, and where the picture size comes from."""

import re
from pathlib import Path

import pytest

from trackmaster.capture import CaptureConfig
from trackmaster.errors import ConfigError
from trackmaster.game.setup.settings import CONFIGURING, VARIABLES
from trackmaster.home import HOME_VARIABLE

VARIABLES_OF_GAME = [VARIABLES[name] for name in (*CONFIGURING, "login")]

SEED_COMMANDS = (
    "--replays-dir maps/replays --output-dir maps/img --workers 1 --width 256 --height 256 --running-speed 16 --fps 64 "
    "--track-ids maps/track_ids_no_respawn.txt --max-replays-per-track 1",
    "--replays-dir maps/replays-A01 --output-dir maps/img-A01 --workers 1 --width 256 --height 256 --running-speed 1 "
    "--fps 100 --track-ids maps/replays-A01/track_ids.txt --max-replays-per-track 2 --vcp-dir maps/vcp-A01",
    "--replays-dir maps/replays --output-dir maps/img --vcp-dir maps/vcp --skip-bad-float-samples",
    "--replays-dir maps/replays --output-dir out --per-frame-json",
    "--track-id 12345 --replays-dir maps/replays --output-dir out",
    "--workers 1 --width 256 --height 256 --fps 100 --running-speed 1 --input-time-offset-ms -10 --step-ms 10",
    "--no-vcp-auto-generate --vcp-distance 0.5 --vcp-suffix cl --vcp-source best --write-enter-maps enter.txt",
    "--exclude-enter-maps enter.txt --log-level INFO --base-tmi-port 8478 --fps-meta 50 --respawn-action enter",
)


@pytest.mark.parametrize("line", SEED_COMMANDS)
def test_the_command_lines_of_the_documents_are_understood(line: str) -> None:
    CaptureConfig.load(line.split())


def test_defaults() -> None:
    config = CaptureConfig()
    assert config.resolved_mode == "ghost"
    assert config.size_px == (64, 64)
    assert config.fps == 10
    assert CaptureConfig(game="tminterface").resolved_mode == "drive"


def test_the_rl_configuration_names_the_picture_size(tmp_path: Path) -> None:
    rl = tmp_path / "config_default.yaml"
    rl.write_text("neural_network:\n  w_downsized: 160\n  h_downsized: 120\ntraining: {}\n")
    assert CaptureConfig.load(["--config", str(rl)]).size_px == (160, 120)
    assert CaptureConfig.load([f"--config={rl}", "--width", "32"]).size_px == (32, 120)
    own = tmp_path / "capture.yaml"
    own.write_text("fps: 25\n")
    assert CaptureConfig.load(["--config", str(own)]).fps == 25
    rl.write_text("neural_network:\n  w_downsized: large\n")
    with pytest.raises(ConfigError, match="w_downsized"):
        _ = CaptureConfig.load(["--config", str(rl)]).size_px


@pytest.mark.parametrize(
    "flags",
    ["--fps 200", "--step-ms 15", "--input-time-offset-ms 5", "--vcp-suffix ../x", "--mode film", "--fsp 10"],
)
def test_impossible_flags_are_refused(flags: str) -> None:
    with pytest.raises(ConfigError):
        CaptureConfig.load(flags.split())


def test_every_flag_stands_in_a_table_of_the_documentation() -> None:
    page = Path(__file__).parents[2] / "docs" / "capture.md"
    rows = re.findall(r"^\| (`--[^|]*)\|", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    named = [name for row in rows for name in re.findall(r"--([a-z-]+)", row)]
    flags = {name.replace("_", "-") for name in CaptureConfig.model_fields}
    assert {name.removeprefix("no-") for name in named} - {"config"} == flags
    assert len(set(named)) == len(named), "each flag stands in one place"
    text = page.read_text(encoding="utf-8")
    assert all(f"| `{name}`" in text or f", `{name}`" in text for name in [*VARIABLES_OF_GAME, HOME_VARIABLE])

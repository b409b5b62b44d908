"""The catalogue against wheels: residuals, materials, and the command's sentences."""

import json
from pathlib import Path

import numpy as np
import pytest

from trackmaster.errors import TrackmasterError
from trackmaster.gbx import Challenge, Ghost, make_samples
from trackmaster.track.bundled import bundled_replays
from trackmaster.track.contacts import HUBS_M, WHEEL_RADIUS_M, Drive, wheel_contacts
from trackmaster.track.fit import FitReport
from trackmaster.track.fit_command import FitConfig, show_fit
from trackmaster.track.layout import RoadLayout
from trackmaster.track.surface import Material

REST_M = HUBS_M[0, 1] - WHEEL_RADIUS_M
"""Origin over the wheels' lowest points with springs at rest, upside down in sign."""


def drive(*, over_road_m: float, material: Material = Material.ASPHALT, jump_at: int | None = None) -> Drive:
    """A car that slides along a straight road with its wheels this far over the surface."""
    blocks = RoadLayout(10, 1, 5, 0).straights(6).add("StadiumRoadMainFinishLine").blocks
    challenge = Challenge(uid="fit", name="fit", environment="Stadium", blocks=tuple(blocks))
    z = np.linspace(7 * 32, 10 * 32, 40)
    if jump_at is not None:
        z[jump_at:] += 60.0
    position = np.stack([np.full(40, 10.5 * 32), np.full(40, 9.345 - REST_M + over_road_m), z], axis=1)
    samples = make_samples(
        position, np.tile(np.eye(3), (40, 1, 1)), np.tile([0.0, 0.0, 24.0], (40, 1)), wheel_contact=True,
        wheel_material=int(material),
    )  # fmt: skip
    return Drive("made up", challenge, Ghost(race_time_ms=4_000, samples=samples), from_clip=False)


def report_of(*drives: Drive) -> FitReport:
    report = FitReport()
    for number, one in enumerate(drives):
        report.add_drive(number, one)
    return report


@pytest.mark.parametrize("over_road_m", [0.0, 0.03, -0.05])
def test_residual_is_how_far_the_surface_lies_above_the_wheels(over_road_m: float) -> None:
    found = report_of(drive(over_road_m=over_road_m)).blocks["StadiumRoadMain"]
    assert len(found) == 160
    half_step = 0.009  # files hold the suspension in steps of 16 mm
    assert found.bias_m == pytest.approx(-over_road_m, abs=half_step)
    assert found.spread_m(90) == pytest.approx(abs(over_road_m), abs=half_step)
    assert (found.other_material, found.drives) == (0, {0})


def test_other_materials_and_contacts_in_the_air_are_counted() -> None:
    report = report_of(drive(over_road_m=0.0, material=Material.METAL), drive(over_road_m=3.0))
    assert report.blocks["StadiumRoadMain"].other_material == 160
    assert report.unexplained_total == 160
    assert report.unexplained == {"StadiumRoadMain": 160}
    assert set(report.families()) == {"road"}


def test_contacts_beside_a_respawn_are_left_out() -> None:
    assert len(wheel_contacts(drive(over_road_m=0.0).ghost)) == 160
    assert len(wheel_contacts(drive(over_road_m=0.0, jump_at=20).ghost)) == 160 - 4 * 10


@pytest.mark.parametrize(("json_file", "stream"), [("", "out"), ("-", "err")])
def test_command_names_damaged_files(
    json_file: str, stream: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "damaged.Replay.Gbx").write_bytes(b"GBX")
    replay = bundled_replays("first_steps")[0]
    assert show_fit(FitConfig(paths=[tmp_path, replay], json_file=json_file)) == 0
    said = capsys.readouterr()
    assert "left out: " in getattr(said, stream)
    assert "damaged.Replay.Gbx" in getattr(said, stream)
    if json_file:
        assert json.loads(said.out)["drives"] == 1


def test_command_says_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(TrackmasterError, match=r"No \.Gbx file"):
        show_fit(FitConfig(paths=[tmp_path]))
    (tmp_path / "damaged.Replay.Gbx").write_bytes(b"GBX")
    with pytest.raises(TrackmasterError, match="No finished drive"):
        show_fit(FitConfig(paths=[tmp_path]))
    with pytest.raises(TrackmasterError, match="no such file or folder"):
        show_fit(FitConfig(paths=[tmp_path / "missing"]))
    with pytest.raises(TrackmasterError, match="not a regular expression"):
        show_fit(FitConfig(paths=[tmp_path], blocks="("))


@pytest.mark.corpus
def test_command_writes_all_numbers(corpus_dir: Path, tmp_path: Path) -> None:
    replay = next(corpus_dir.rglob("*StadiumA2*.Replay.Gbx"))
    target = tmp_path / "fit.json"
    assert show_fit(FitConfig(paths=[replay], json_file=str(target))) == 0
    numbers = json.loads(target.read_text())
    assert numbers["drives"] == 1
    assert numbers["families"]["road"]["n"] > 50
    assert numbers["blocks"]["StadiumRoadMainStartLine"]["median_m"] < 0.03

"""What our own capture writes is what the probe reads: labels of a real run on a bundled track."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from trackmaster.capture import CaptureConfig, run_capture
from trackmaster.data import ReplayFolder, find_replays, read_manifest
from trackmaster.data.labels import SURFACE_NAMES, read_frame_labels
from trackmaster.pretrain import probe_maps
from trackmaster.pretrain.probe_maps import find_meshes
from trackmaster.track.border import REACH_M, border_distance_m
from trackmaster.track.bundled import bundled_replays
from trackmaster.units import MPS_TO_KMPH


@pytest.fixture(scope="module")
def replay(tmp_path_factory: pytest.TempPathFactory) -> ReplayFolder:
    root = tmp_path_factory.mktemp("probe")
    folder = root / "replays" / "first_steps"
    folder.mkdir(parents=True)
    shutil.copy(bundled_replays("first_steps")[0], folder)
    config = CaptureConfig(
        replays_dir=root / "replays", output_dir=root / "img", tracks_dir=root / "tracks", vcp_dir=root / "vcp", fps=2
    )
    assert not run_capture(config)
    (found,) = find_replays(root / "img")
    return found


def test_labels_of_a_capture_agree_with_its_entries(replay: ReplayFolder) -> None:
    labels = read_frame_labels(replay)
    entries = read_manifest(replay.path).entries
    shown_kmh = [entry.state["speeds"]["display_kmh"] for entry in entries if entry.state is not None]
    assert np.allclose(labels.speed_mps * MPS_TO_KMPH, shown_kmh, atol=5), "the display has the forward part only"
    assert labels.speed_mps[-1] > 20
    positions = [entry.state["position"] for entry in entries if entry.state is not None]
    rotations = [entry.state["rotation"] for entry in entries if entry.state is not None]
    assert np.array_equal(labels.position_m, np.array(positions))
    assert np.array_equal(labels.rotation.reshape(-1, 9), np.array(rotations))
    assert set(labels.steer) >= {1}
    road, kerb, air = (SURFACE_NAMES.index(name) for name in ("asphalt", "other", "air"))
    assert set(labels.surface) <= {road, kerb, air}, "the track has nothing else"
    assert labels.surface[0] == air, "a car is let fall onto the start"
    assert (labels.surface[1:] == road).mean() > 0.5


def test_the_road_of_a_capture_ends_beside_the_car(replay: ReplayFolder) -> None:
    labels = read_frame_labels(replay)
    assert replay.map_uid is not None
    meshes, notes = find_meshes({replay.map_uid}, ())
    assert notes == ()
    border_m = border_distance_m(meshes[replay.map_uid], labels.position_m, labels.rotation)
    on_road = border_m[labels.surface == 0]
    assert np.isfinite(on_road).all()
    assert (on_road <= REACH_M).all()
    assert np.median(on_road) > 1.0
    on_kerb = border_m[labels.surface == SURFACE_NAMES.index("other")]
    assert on_kerb.max() < np.median(on_road), "whoever stands on kerbs is near the border"


def test_maps_are_found_inside_of_replays(
    replay: ReplayFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert replay.map_uid is not None
    bundled = find_meshes({replay.map_uid}, ())[0][replay.map_uid]
    monkeypatch.setattr(probe_maps, "bundled_folder", lambda: tmp_path / "nothing")
    assert not find_meshes({replay.map_uid}, ())[0]
    shutil.copy(bundled_replays("first_steps")[0], tmp_path)
    meshes, notes = find_meshes({replay.map_uid}, (tmp_path,))
    assert notes == ()
    assert np.array_equal(meshes[replay.map_uid].triangles, bundled.triangles)


def test_maps_without_a_file_are_named(tmp_path: Path) -> None:
    (tmp_path / "damaged.Replay.Gbx").write_bytes(b"GBX no more")
    meshes, notes = find_meshes({"nowhere"}, (tmp_path, tmp_path / "missing"))
    assert not meshes
    assert "nowhere" in notes[0]
    assert "--maps-dirs" in notes[0]

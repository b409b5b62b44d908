"""A full disk ends a pre-training with the system's own error, and what was whole before stays whole."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tests.full_disk import full_disk
from tests.pretrain.conftest import MakeConfig

from trackmaster.nn.encoder import build_encoder
from trackmaster.pretrain.artifact import load_encoder, write_artifact
from trackmaster.pretrain.checkpoints import CheckpointKeeper
from trackmaster.pretrain.inject import init_iqn_from_encoder
from trackmaster.pretrain.runner import run

META = {"task": "ae", "image_size": 64, "image_normalization": "01"}


def weights(seed: int) -> dict[str, dict[str, torch.Tensor]]:
    return {"encoder": build_encoder(generator=torch.Generator().manual_seed(seed)).state_dict()}


@pytest.mark.parametrize("framework", ["native", "lightning"])
def test_a_training_state_that_cannot_be_written(
    make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch, framework: str
) -> None:
    save = CheckpointKeeper.save

    def without_room(self: CheckpointKeeper, *values: Any) -> None:
        with full_disk():
            save(self, *values)

    monkeypatch.setattr(CheckpointKeeper, "save", without_room)
    with pytest.raises(OSError, match="File too large"):
        run(make_config(framework=framework, epochs=1))


def test_an_artefact_and_a_pair_that_cannot_be_written(tmp_path: Path) -> None:
    write_artifact(tmp_path, weights(1), META)
    with full_disk():
        with pytest.raises(OSError, match="File too large"):
            write_artifact(tmp_path, weights(2), META)
        with pytest.raises(OSError, match="File too large"):
            init_iqn_from_encoder(tmp_path, tmp_path / "save")
    kept = load_encoder(tmp_path)
    assert all(torch.equal(kept[key], value) for key, value in weights(1)["encoder"].items())
    assert list((tmp_path / "save").iterdir()) == []

"""A fresh run begins with a pre-trained encoder, frozen for as long as it was asked to be."""

import json
from pathlib import Path

import pytest
import torch
from tests.distributed.test_train import small
from tests.pretrain.test_inject import write_run

from trackmaster.distributed.racing.pretrained import begin_with_encoder, write_record
from trackmaster.distributed.racing.train import train
from trackmaster.errors import ConfigError
from trackmaster.nn.encoder import build_encoder
from trackmaster.rl.iqn.agent import IQNAgent


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_both_networks_see_through_the_encoder(tmp_path: Path) -> None:
    encoder_pt = write_run(tmp_path / "run", image_size=36)
    agent = IQNAgent(small().to_iqn_config(), seed=0)
    record = begin_with_encoder(agent, encoder_pt.parent)
    assert "sees for both networks" in write_record(record, tmp_path / "save")
    encoder = build_encoder()
    encoder.load_state_dict(torch.load(encoder_pt, weights_only=True))
    pictures = torch.randint(0, 256, (4, 1, 36, 36), dtype=torch.uint8)
    with torch.no_grad():
        for network in (agent.online, agent.target):
            torch.testing.assert_close(
                network.img_head((pictures.float() - 128) / 128), encoder(pictures / 255), atol=1e-5, rtol=1e-5
            )
    record = json.loads((tmp_path / "save" / "init.json").read_text())
    assert len(record["tensors"]) == 8
    for k in range(3):  # bad weights bring back the encoder, not what was there before it
        agent.guard.after_update(healthy=k < 0)
    torch.testing.assert_close(agent.online.img_head[2].bias, encoder[2].bias)


def test_a_run_keeps_the_encoder_until_it_is_released(here: Path) -> None:
    encoder_pt = write_run(here / "run", image_size=36)
    flags = [
        "--training.pretrain-encoder-path", str(encoder_pt.parent), "--training.pretrain-encoder-freeze",
        "--training.pretrain-encoder-freeze-steps", "900",
    ]  # fmt: skip
    said: list[str] = []
    train(small(*flags), say=said.append)
    assert any("sees for both networks" in line for line in said)
    folder = here / "save" / "small"
    given = torch.load(encoder_pt, weights_only=True)
    kept = torch.load(folder / "weights1.torch", weights_only=True)
    assert torch.equal(kept["img_head.4.weight"], given["4.weight"]), "not one bit has moved"
    said.clear()
    train(small(*flags, "--training.max-frames", "1300"), say=said.append)
    assert not any("sees for both networks" in line for line in said), "a run that goes on has learnt its own"
    released = torch.load(folder / "weights1.torch", weights_only=True)
    assert not torch.equal(released["img_head.4.weight"], given["4.weight"])


def test_an_encoder_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    agent = IQNAgent(small().to_iqn_config(), seed=0)
    with pytest.raises(ConfigError, match="trained on single pictures of 64x64"):
        begin_with_encoder(agent, write_run(tmp_path / "run"))
    with pytest.raises(ConfigError, match=r"there is no encoder\.pt there"):
        begin_with_encoder(agent, tmp_path)

"""Begins a fresh run with a pre-trained encoder in both networks (``training.pretrain_encoder_path``)."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from torch import nn

from trackmaster import __version__
from trackmaster.errors import ConfigError
from trackmaster.files import atomic_write_text, sha256_of
from trackmaster.nn.weights import load_strict, plain_state
from trackmaster.pretrain.artifact import ENCODER_NAME, META_NAME, load_encoder, read_meta
from trackmaster.pretrain.earlier import INIT_NAME
from trackmaster.pretrain.inject import HEAD_PREFIX
from trackmaster.pretrain.prepared import PreparedEncoder, prepare_encoder, recorded_size
from trackmaster.rl.iqn.agent import IQNAgent


def begin_with_encoder(agent: IQNAgent, source: Path) -> dict[str, Any]:
    """Put an encoder into ``img_head`` of the online and the target network.

    Args:
        agent: fresh.
        source: ``encoder.pt``, or the folder of a pre-training run.

    Returns:
        The record of what was done, for ``write_record``.

    Raises:
        PretrainError: the encoder and its record do not belong together.
        ConfigError: there is no encoder, or it was trained for other pictures than the agent sees.
    """
    file = source / ENCODER_NAME if source.is_dir() else source
    if not file.is_file():
        raise ConfigError(
            f"training.pretrain_encoder_path {source}: there is no {file.name} there. Give the folder of a "
            "pre-training run or its encoder.pt."
        )
    encoder = prepare_encoder(load_encoder(file), read_meta(file.parent / META_NAME), "mean", file)
    _refuse_other_pictures(encoder.meta, agent, file)
    for network in (agent.online, agent.target):
        _put_in(encoder, network, file)
    agent.guard.keep()
    return _record(encoder, file)


def write_record(record: Mapping[str, Any], run_dir: Path) -> str:
    """Write ``init.json`` and return what it tells, in a sentence."""
    atomic_write_text(run_dir / INIT_NAME, json.dumps(record, indent=2, ensure_ascii=False) + "\n")
    return f"The encoder of {record['encoder']} sees for both networks; {INIT_NAME} tells how it was converted."


def _refuse_other_pictures(meta: Mapping[str, Any], agent: IQNAgent, file: Path) -> None:
    width, height = recorded_size(meta)
    seen = agent.config.image_width, agent.config.image_height
    if (width, height) != seen or agent.config.n_frames != 1:
        raise ConfigError(
            f"{file}: was trained on single pictures of {width}x{height}, the agent sees {agent.config.n_frames} of "
            f"{seen[0]}x{seen[1]}: change neural_network.w_downsized, h_downsized and n_frames, or train another "
            "encoder."
        )


def _put_in(encoder: PreparedEncoder, network: nn.Module, file: Path) -> None:
    head = {HEAD_PREFIX + key: value for key, value in encoder.state.items()}
    load_strict(network, {**plain_state(network), **head}, source=str(file))


def _record(encoder: PreparedEncoder, file: Path) -> dict[str, Any]:
    return {
        "encoder": str(file),
        "encoder_sha256": sha256_of(file),
        "conversions": list(encoder.steps),
        "feature_error": encoder.feature_error,
        "tensors": [HEAD_PREFIX + key for key in encoder.state],
        "pretrain_meta": dict(encoder.meta),
        "code_version": __version__,
        "timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
    }

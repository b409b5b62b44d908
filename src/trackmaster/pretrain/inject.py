"""Putting a pre-trained encoder into the driving agent: ``encoder.pt`` into ``img_head`` of both of its networks."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trackmaster import __version__
from trackmaster.files import atomic_path, atomic_write_text, sha256_of
from trackmaster.nn.encoder import encoder_dim
from trackmaster.nn.encoder_weights import KernelReduce
from trackmaster.nn.iqn import IQNNetwork
from trackmaster.nn.torch_writing import write_torch
from trackmaster.nn.weights import WeightsError, strip_prefixes
from trackmaster.pretrain.agent_shape import AgentShape, read_agent_shape
from trackmaster.pretrain.artifact import ENCODER_NAME, META_NAME, load_encoder, read_meta
from trackmaster.pretrain.config import RL_CONFIG_DEFAULT
from trackmaster.pretrain.earlier import INIT_NAME, NETWORK_FILES, has_saved_run, refuse_trained, set_aside
from trackmaster.pretrain.errors import PretrainError
from trackmaster.pretrain.prepared import PreparedEncoder, prepare_encoder, recorded_size

HEAD_PREFIX = "img_head."


@dataclass(frozen=True)
class TensorRow:
    """What happens to one tensor of the agent's networks."""

    key: str
    shape: tuple[int, ...]
    source: str
    applied: bool
    """Whether it comes from the encoder."""


@dataclass(frozen=True)
class InjectionReport:
    """What an injection did, or would do."""

    rows: tuple[TensorRow, ...]
    encoder: PreparedEncoder
    written: tuple[Path, ...]
    """Files; empty for a dry run."""
    earlier: Path | None = None
    """Where the trained run went that was in the way."""


def init_iqn_from_encoder(
    encoder_pt: Path,
    save_dir: Path,
    *,
    meta_json: Path | None = None,
    fresh: bool = True,
    dry_run: bool = False,
    overwrite: bool = False,
    kernel_reduce: KernelReduce = "mean",
    rl_config_path: Path = RL_CONFIG_DEFAULT,
    seed: int = 42,
) -> InjectionReport:
    """Make (or patch) the pair of networks that training starts from, with a pre-trained picture head.

    An encoder of stacked frames is reduced to one channel, one trained on x/255 is converted exactly to the agent's
    (x - 128)/128; anything else that does not fit is refused. A run that was saved in ``save_dir`` would be continued
    with its own weights, so it is moved to ``earlier-N/`` in there, whole, and training starts anew from the pair.

    Args:
        encoder_pt: weights, or the folder of a run.
        save_dir: where ``weights1.torch`` and ``weights2.torch`` are written; no optimiser state is.
        meta_json: record of the run; by default the one beside ``encoder_pt``.
        fresh: build new networks; False patches the pair in ``save_dir``.
        dry_run: check and report only.
        overwrite: set networks in ``save_dir`` aside that were trained since, instead of refusing.
        kernel_reduce: how first-layer kernels of stacked frames become one.
        rl_config_path: RL configuration that decides the networks' sizes.
        seed: of the fresh weights.

    Raises:
        PretrainError: encoder, record and agent do not fit together, or ``save_dir`` holds a trained agent.
        ConfigError: the RL configuration cannot be used.
        WeightsError: the pair to patch cannot be used.
    """
    encoder_file = encoder_pt / ENCODER_NAME if encoder_pt.is_dir() else encoder_pt
    weights = load_encoder(encoder_file)
    meta = read_meta(meta_json or encoder_file.parent / META_NAME)
    encoder = prepare_encoder(weights, meta, kernel_reduce, encoder_file)
    if fresh:
        shape = read_agent_shape(rl_config_path)
        _require_size(meta, shape, rl_config_path)
        pair = _fresh_pair(shape, seed)
    else:
        pair = _existing_pair(save_dir)
        _require_width(meta, pair, save_dir)
    origin = f"fresh (seed {seed})" if fresh else "kept"
    patched, rows = _patch(pair, encoder, origin, encoder_file.name)
    if dry_run:
        return InjectionReport(rows, encoder, ())
    if fresh and not overwrite:
        refuse_trained(save_dir)
    provenance = _provenance(encoder_file, encoder, rows, fresh=fresh, seed=seed)
    earlier = set_aside(save_dir) if fresh or has_saved_run(save_dir) else None
    return InjectionReport(rows, encoder, _write(save_dir, patched, provenance), earlier)


def _require_size(meta: Mapping[str, Any], shape: AgentShape, rl_config_path: Path) -> None:
    width, height = recorded_size(meta)
    if (width, height) != (shape.width, shape.height):
        raise PretrainError(
            f"the encoder was trained on {width}x{height} and {rl_config_path} makes an agent that sees "
            f"{shape.width}x{shape.height}: change w_downsized and h_downsized there, or train another encoder."
        )


def _require_width(meta: Mapping[str, Any], pair: list[dict[str, Tensor]], save_dir: Path) -> None:
    """The size of the pictures is not in a state dict, but the number of features it leads to is."""
    width, height = recorded_size(meta)
    features = pair[0]["A_head.0.weight"].shape[1] - pair[0]["float_feature_extractor.2.weight"].shape[0]
    if features != encoder_dim(height, width):
        raise PretrainError(
            f"{save_dir}: the agent there expects {features} picture features, an encoder on {width}x{height} gives "
            f"{encoder_dim(height, width)}: they are made for different picture sizes."
        )


def _fresh_pair(shape: AgentShape, seed: int) -> list[dict[str, Tensor]]:
    network = IQNNetwork(
        shape.height,
        shape.width,
        shape.embedding_dim,
        n_floats=shape.n_floats,
        float_mean=np.zeros(shape.n_floats, np.float32),  # no part of the weights: training brings the table of its run
        float_std=np.ones(shape.n_floats, np.float32),
        float_hidden_dim=shape.float_hidden_dim,
        dense_hidden_dimension=shape.dense_hidden_dimension,
        generator=torch.Generator().manual_seed(seed),
    )
    state = {key: value.detach().contiguous() for key, value in network.state_dict().items()}
    return [dict(state), dict(state)]


def _existing_pair(save_dir: Path) -> list[dict[str, Tensor]]:
    pair = []
    for name in NETWORK_FILES:
        path = save_dir / name
        if not path.is_file():
            raise PretrainError(
                f"{path}: no such file, so there is no pair to patch. Leave --no-fresh out to make one."
            )
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise WeightsError(f"{path}: is no file of weights that can be read ({reason}).") from None
        if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
            raise WeightsError(f"{path}: holds {type(state).__name__}, expected a state dict of tensors.")
        pair.append(strip_prefixes(state))
    for key in ("A_head.0.weight", "float_feature_extractor.2.weight"):
        if key not in pair[0]:
            raise WeightsError(f"{save_dir / NETWORK_FILES[0]}: has no {key}, so it is no network of this agent.")
    return pair


def _patch(
    pair: list[dict[str, Tensor]], encoder: PreparedEncoder, origin: str, encoder_name: str
) -> tuple[list[dict[str, Tensor]], tuple[TensorRow, ...]]:
    head = {HEAD_PREFIX + key: value for key, value in encoder.state.items()}
    for number, state in enumerate(pair):
        wrong = [key for key in head if key not in state or state[key].shape != head[key].shape]
        if wrong:
            raise PretrainError(
                f"{NETWORK_FILES[number]}: {wrong[0]} is "
                f"{tuple(state[wrong[0]].shape) if wrong[0] in state else 'missing'}, the encoder's is "
                f"{tuple(head[wrong[0]].shape)}. Nothing was written."
            )
    rows = tuple(
        TensorRow(
            key,
            tuple(value.shape),
            f"{encoder_name} {key.removeprefix(HEAD_PREFIX)}" if key in head else origin,
            key in head,
        )
        for key, value in pair[0].items()
    )
    return [{**state, **head} for state in pair], rows


def _write(save_dir: Path, pair: list[dict[str, Tensor]], provenance: dict[str, Any]) -> tuple[Path, ...]:
    save_dir.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, state in zip(NETWORK_FILES, pair, strict=True):
        with atomic_path(save_dir / name) as temporary:
            write_torch({key: value.clone() for key, value in state.items()}, temporary)
        paths.append(save_dir / name)
    record = {**provenance, "files": {path.name: sha256_of(path) for path in paths}}
    atomic_write_text(save_dir / INIT_NAME, json.dumps(record, indent=2, ensure_ascii=False) + "\n")
    return (*paths, save_dir / INIT_NAME)


def _provenance(
    encoder_file: Path, encoder: PreparedEncoder, rows: tuple[TensorRow, ...], *, fresh: bool, seed: int
) -> dict[str, Any]:
    return {
        "encoder": str(encoder_file),
        "encoder_sha256": sha256_of(encoder_file),
        "conversions": list(encoder.steps),
        "feature_error": encoder.feature_error,
        "fresh": fresh,
        "seed": seed if fresh else None,
        "tensors": [asdict(row) for row in rows],
        "pretrain_meta": dict(encoder.meta),
        "code_version": __version__,
        "timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
    }

"""The common score of every encoder: what a *linear* read-out of its frozen features knows about the car.

Read out are the speed, the steering keys, the distance to the border and the surface, on maps that the read-out was
not fitted on, beside an encoder of random weights and the principal components of the raw pixels.

Source: linear probes, Alain & Bengio 2016, arXiv:1610.01644.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trackmaster.files import atomic_write_text
from trackmaster.nn.encoder import arch_hash, build_encoder, encoder_dim
from trackmaster.nn.encoder_weights import FIRST_WEIGHT
from trackmaster.pretrain.config import ImageNormalization
from trackmaster.pretrain.errors import ProbeError
from trackmaster.pretrain.pixels import normalise
from trackmaster.pretrain.probe_data import CLASSES, REGRESSIONS, TARGETS, ProbeData, ProbeSide
from trackmaster.pretrain.probe_fit import (
    F64,
    Scale,
    balanced_accuracy,
    logistic_predict,
    principal_components,
    ridge_predict,
)

PROBE_NAME = "probe.json"
PROBE_VERSION = 1
READERS = ("encoder", "random_init", "pixel_pca")
MIN_ROWS = 20
"""Fewer labelled frames on a side give no score."""
MIN_CLASS_ROWS = 10
"""A class with fewer frames on a side is left out: a few frames would decide a class that weighs like any other."""

_BATCH = 256


def probe(state: Mapping[str, Tensor], scale: ImageNormalization, data: ProbeData, seed: int) -> dict[str, Any]:
    """Score an encoder.

    Args:
        state: its weights.
        scale: pixel scale that it was trained on.
        data: frames and labels.
        seed: of the random weights it is compared with; a run's own seed gives the weights that it began with.

    Returns:
        What ``probe.json`` holds: ``score`` per reader, ``targets`` with skill, error and counts, ``notes``.

    Raises:
        ProbeError: not one target has labels enough on both sides.
    """
    features = _features(state, scale, data, seed)
    targets: dict[str, dict[str, Any]] = {}
    notes = list(data.notes)
    for name in TARGETS:
        fit, test = data.fit.targets[name], data.test.targets[name]
        rows, test_rows = np.isfinite(fit), np.isfinite(test)
        if name in CLASSES:
            common = _common_classes(fit[rows], test[test_rows])
            rows, test_rows = np.isin(fit, common), np.isin(test, common)
        reason = _unfit(fit[rows], test[test_rows])
        if reason is not None:
            notes.append(f"{name} is not scored: {reason}.")
            continue
        targets[name] = _score(name, features, (fit, test), (rows, test_rows), data.fit.groups)
    if not targets:
        raise ProbeError(f"nothing can be read out of these frames. {' '.join(notes)}")
    return {
        "version": PROBE_VERSION,
        "score": {who: float(np.mean([one[who]["skill"] for one in targets.values()])) for who in READERS},
        "targets": targets,
        "n_features": {who: int(fit.shape[1]) for who, (fit, _) in features.items()},
        "n_fit_frames": len(data.fit.groups),
        "n_test_frames": len(data.test.groups),
        "encoder_saw_test_maps": data.encoder_saw_test_maps,
        "seed": seed,
        "notes": notes,
    }


def write_probe(run_dir: Path, result: Mapping[str, Any]) -> Path:
    """Write ``probe.json`` into the folder of a run."""
    path = run_dir / PROBE_NAME
    atomic_write_text(path, json.dumps(result, indent=2, ensure_ascii=False) + "\n")
    return path


def table(result: Mapping[str, Any]) -> str:
    """Return the scores as lines of text: one per target, the mean last, then what is to be known about them."""
    lines = [f"{'linear probe':<14}{'encoder':>10}{'random':>10}{'pixels':>10}   encoder's error (knowing nothing)"]
    for name, one in result["targets"].items():
        skills = "".join(f"{one[who]['skill']:>10.3f}" for who in READERS)
        lines.append(f"{name:<14}{skills}   {_error_text(name, one)}")
    lines.append(f"{'score':<14}" + "".join(f"{result['score'][who]:>10.3f}" for who in READERS))
    if result["encoder_saw_test_maps"]:
        lines.append(
            "The encoder was trained on pictures of the maps it is tested on (without their labels): use "
            "--val-fraction to hold maps out."
        )
    return "\n".join([*lines, *(f"Note: {note}" for note in result["notes"])])


def _error_text(name: str, one: Mapping[str, Any]) -> str:
    if name in REGRESSIONS:
        unit = REGRESSIONS[name]
        return f"{one['encoder']['mae']:.2f} {unit} ({one['baseline_mae']:.2f} {unit}) mean absolute"
    return f"{one['encoder']['accuracy']:.1%} right (most frequent class {one['majority_share']:.1%})"


def _unfit(fit: F64, test: F64) -> str | None:
    """Return why a target cannot be scored, or None."""
    if min(len(fit), len(test)) < MIN_ROWS:
        return (
            f"{len(fit)} labelled frames to fit on and {len(test)} to test on, at least {MIN_ROWS} of each are needed"
        )
    if len(np.unique(fit)) < 2 or len(np.unique(test)) < 2:
        return "its label is the same everywhere"
    return None


def _common_classes(fit: F64, test: F64) -> F64:
    """Return the classes that both sides have enough frames of."""
    names = np.unique(fit)
    return names[[min((fit == name).sum(), (test == name).sum()) >= MIN_CLASS_ROWS for name in names]]


def _score(
    name: str,
    features: Mapping[str, tuple[F64, F64]],
    labels: tuple[F64, F64],
    rows: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    groups: NDArray[np.int64],
) -> dict[str, Any]:
    (fit_rows, test_rows), (fit, test) = rows, labels
    fit, test, groups = fit[fit_rows], test[test_rows], groups[fit_rows]
    found: dict[str, Any] = {"n_fit": len(fit), "n_test": len(test)}
    score = _score_regression if name in REGRESSIONS else _score_classes
    for who, (fit_features, test_features) in features.items():
        found |= score(name, who, (fit_features[fit_rows], test_features[test_rows]), (fit, test), groups)
    return found


def _score_regression(
    name: str, who: str, features: tuple[F64, F64], labels: tuple[F64, F64], groups: NDArray[np.int64]
) -> dict[str, Any]:
    """Skill is 1 - squared error / squared error of the mean of the labels that were fitted on."""
    fit, test = labels
    mean = fit.mean()
    predicted = ridge_predict(features[0], fit, groups, features[1])
    skill = 1.0 - float(((predicted - test) ** 2).sum() / ((mean - test) ** 2).sum())
    return {
        "unit": REGRESSIONS[name],
        "baseline_mae": float(np.abs(test - mean).mean()),
        who: {"skill": skill, "mae": float(np.abs(predicted - test).mean())},
    }


def _score_classes(
    name: str, who: str, features: tuple[F64, F64], labels: tuple[F64, F64], groups: NDArray[np.int64]
) -> dict[str, Any]:
    """Skill is the balanced accuracy on a scale where guessing is 0 and always right is 1."""
    fit, test = (values.astype(np.int64) for values in labels)
    names = CLASSES[name]
    predicted = logistic_predict(features[0], fit, groups, features[1], len(names))
    balanced = balanced_accuracy(test, predicted)
    chance = 1.0 / len(np.unique(test))
    return {
        "classes": [names[number] for number in np.unique(test)],
        "majority_share": float((test == np.bincount(fit).argmax()).mean()),
        who: {
            "skill": (balanced - chance) / (1.0 - chance),
            "balanced_accuracy": balanced,
            "accuracy": float((predicted == test).mean()),
        },
    }


def _features(
    state: Mapping[str, Tensor], scale: ImageNormalization, data: ProbeData, seed: int
) -> dict[str, tuple[F64, F64]]:
    """Return features of both sides for the encoder, for random weights and for the pixels themselves."""
    channels = in_channels(state)
    trained = build_encoder(channels)
    trained.load_state_dict(dict(state))
    untrained = build_encoder(channels, generator=torch.Generator().manual_seed(seed))
    found = {}
    for who, network in (("encoder", trained), ("random_init", untrained)):
        fit, test = (_encode(network, side, channels, scale) for side in (data.fit, data.test))
        to_unit = Scale.of(fit)
        found[who] = to_unit(fit), to_unit(test)
    height, width = data.fit.frames_u8.shape[-2:]
    pixels = [_newest(side, channels).reshape(len(side.groups), -1) for side in (data.fit, data.test)]
    found["pixel_pca"] = principal_components(pixels[0], pixels[1], encoder_dim(height, width))
    return found


def in_channels(state: Mapping[str, Tensor]) -> int:
    """Return how many frames an encoder takes as channels.

    Raises:
        ProbeError: the weights are those of another architecture.
    """
    weight = state.get(FIRST_WEIGHT)
    channels = int(weight.shape[1]) if weight is not None and weight.dim() == 4 else 0
    if channels < 1 or arch_hash(build_encoder(channels).state_dict()) != arch_hash(state):
        raise ProbeError(f"the weights (arch_hash {arch_hash(state)}) are not those of an encoder that is known here.")
    return channels


def _newest(side: ProbeSide, channels: int) -> NDArray[np.uint8]:
    """The frames of each window that the encoder takes: all of them as channels, or the newest one."""
    return side.frames_u8[:, -channels:]


@torch.no_grad()
def _encode(network: torch.nn.Module, side: ProbeSide, channels: int, scale: ImageNormalization) -> F64:
    frames = torch.from_numpy(np.ascontiguousarray(_newest(side, channels)))
    parts = [network(normalise(frames[i : i + _BATCH], scale)) for i in range(0, len(frames), _BATCH)]
    return np.asarray(torch.cat(parts).double().numpy())

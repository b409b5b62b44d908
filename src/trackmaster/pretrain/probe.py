"""The common score of every encoder: what a *linear* read-out of its frozen features knows about the car.

Read out are the speed, the steering keys, the distance to the border and the surface, on maps that the read-out was
not fitted on, beside an encoder of random weights and the principal components of the raw pixels.

Source: linear probes, Alain & Bengio 2016, arXiv:1610.01644.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from trackmaster.files import atomic_write_text
from trackmaster.pretrain.config import ImageNormalization
from trackmaster.pretrain.errors import ProbeError
from trackmaster.pretrain.probe_data import CLASSES, REGRESSIONS, TARGETS, ProbeData
from trackmaster.pretrain.probe_features import READERS, features_of
from trackmaster.pretrain.probe_fit import F64
from trackmaster.pretrain.probe_score import guess, judge, read_out

PROBE_NAME = "probe.json"
PROBE_VERSION = 1
MIN_ROWS = 20
"""Fewer labelled frames on a side give no score."""
MIN_CLASS_ROWS = 10
"""A class with fewer frames on a side is left out: a few frames would decide a class that weighs like any other."""


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
    features = features_of(state, scale, (data.fit, data.test), seed)
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
        groups = data.fit.groups[rows]
        predictions = {
            who: read_out(name, (one[rows], other[test_rows]), fit[rows], groups)
            for who, (one, other) in features.items()
        }
        guesses = np.full(int(test_rows.sum()), guess(name, fit[rows]))
        found = judge(name, test[test_rows], predictions, guesses)
        targets[name] = {"n_fit": int(rows.sum()), "n_test": int(test_rows.sum())} | found
    return {
        "version": PROBE_VERSION,
        "score": mean_skills(targets, notes),
        "targets": targets,
        "n_features": {who: int(fit.shape[1]) for who, (fit, _) in features.items()},
        "n_fit_frames": len(data.fit.groups),
        "n_test_frames": len(data.test.groups),
        "encoder_saw_test_maps": data.encoder_saw_test_maps,
        "seed": seed,
        "notes": notes,
    }


def mean_skills(targets: Mapping[str, Mapping[str, Any]], notes: Iterable[str]) -> dict[str, float]:
    """Return the score of each reader: the mean skill of the targets that could be scored.

    Raises:
        ProbeError: there is none.
    """
    if not targets:
        raise ProbeError(f"nothing can be read out of these frames. {' '.join(notes)}")
    return {who: float(np.mean([one[who]["skill"] for one in targets.values()])) for who in READERS}


def write_probe(run_dir: Path, result: Mapping[str, Any], name: str = PROBE_NAME) -> Path:
    """Write a result into the folder of a run."""
    path = run_dir / name
    atomic_write_text(path, json.dumps(result, indent=2, ensure_ascii=False) + "\n")
    return path


def table(result: Mapping[str, Any]) -> str:
    """Return the scores as lines of text: one per target, the mean last, then what is to be known about them."""
    lines = [f"{'linear probe':<14}{'encoder':>10}{'random':>10}{'pixels':>10}   encoder's error (knowing nothing)"]
    for name, one in result["targets"].items():
        skills = "".join(f"{one[who]['skill']:>10.3f}" for who in READERS)
        lines.append(f"{name:<14}{skills}   {_error_text(name, one)}")
    lines.append(f"{'score':<14}" + "".join(f"{result['score'][who]:>10.3f}" for who in READERS))
    if result.get("every_map"):
        lines.append(
            "Each map was held out of the read-outs in turn. The encoder itself has seen pictures of those that its "
            "run trained on (without labels)."
        )
    elif result["encoder_saw_test_maps"]:
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

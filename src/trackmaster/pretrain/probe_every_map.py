"""The probe with every map held out of the read-outs in turn.

A run that holds one or two maps out is scored on those alone, and what they are like decides the score. Here every map
is tested once by read-outs that were fitted on all the others, and the answers are judged together.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from trackmaster.pretrain.config import ImageNormalization
from trackmaster.pretrain.probe import MIN_CLASS_ROWS, MIN_ROWS, PROBE_VERSION, mean_skills
from trackmaster.pretrain.probe_data import CLASSES, TARGETS, ProbeSide
from trackmaster.pretrain.probe_features import READERS, features_of_all
from trackmaster.pretrain.probe_fit import F64, I64, Rows, Scale
from trackmaster.pretrain.probe_score import guess, judge, read_out
from trackmaster.progress import progress

EVERY_MAP_NAME = "probe_every_map.json"
GUESS = "guess"


def probe_every_map(
    state: Mapping[str, Tensor],
    scale: ImageNormalization,
    side: ProbeSide,
    notes: Sequence[str],
    seed: int,
    *,
    use_tqdm: bool,
) -> dict[str, Any]:
    """Score an encoder on all maps.

    Args:
        state: its weights.
        scale: pixel scale that it was trained on.
        side: frames of all maps.
        notes: sentences about what is missing.
        seed: of the random weights it is compared with.
        use_tqdm: draw a progress bar on a terminal.

    Returns:
        As of :func:`~trackmaster.pretrain.probe.probe`, with ``every_map`` true and ``n_maps``.

    Raises:
        ProbeError: not one target can be scored.
    """
    maps = np.unique(side.groups)
    answers = {name: {who: np.full(len(side.groups), np.nan) for who in (*READERS, GUESS)} for name in TARGETS}
    labels = {name: _with_enough(name, side.targets[name], side.groups) for name in TARGETS}
    features = features_of_all(state, scale, side, seed)
    for number in progress(maps, desc="maps", total=len(maps), enabled=use_tqdm):
        held = side.groups == number
        for name in TARGETS:
            _answer(name, labels[name], features, side, held, answers[name])
    said = list(notes)
    targets: dict[str, dict[str, Any]] = {}
    for name, found in answers.items():
        rows = np.isfinite(found[GUESS])
        if rows.sum() < MIN_ROWS or len(np.unique(labels[name][rows])) < 2:
            said.append(f"{name} is not scored: {int(rows.sum())} frames of two maps have different labels.")
            continue
        predictions = {who: found[who][rows] for who in READERS}
        targets[name] = {"n_test": int(rows.sum())} | judge(name, labels[name][rows], predictions, found[GUESS][rows])
    return {
        "version": PROBE_VERSION,
        "score": mean_skills(targets, said),
        "targets": targets,
        "every_map": True,
        "n_maps": len(maps),
        "n_test_frames": len(side.groups),
        "seed": seed,
        "notes": said,
    }


def _with_enough(name: str, labels: F64, groups: I64) -> F64:
    """Return labels without the classes that hardly any frame has, or frames of one map only: who could learn those?"""
    if name not in CLASSES:
        return labels
    known, counts = np.unique(labels[np.isfinite(labels)], return_counts=True)
    learnable = [
        one
        for one, count in zip(known, counts, strict=True)
        if count >= MIN_CLASS_ROWS and len(np.unique(groups[labels == one])) > 1
    ]
    return np.where(np.isin(labels, learnable), labels, np.nan)


def _answer(
    name: str,
    labels: F64,
    features: Mapping[str, F64],
    side: ProbeSide,
    held: Rows,
    answers: Mapping[str, F64],
) -> None:
    """Fit on the other maps and note the answers for the one held out; none where the others tell nothing."""
    known = np.isfinite(labels)
    fitted, asked = known & ~held, known & held
    if fitted.sum() < MIN_ROWS or len(np.unique(labels[fitted])) < 2 or not asked.any():
        return
    for who, values in features.items():
        fit, test = values[fitted], values[asked]
        if who != "pixel_pca":  # whose spreads say how much of the picture a component is
            to_unit = Scale.of(values[~held])
            fit, test = to_unit(fit), to_unit(test)
        answers[who][asked] = read_out(name, (fit, test), labels[fitted], side.groups[fitted])
    answers[GUESS][asked] = guess(name, labels[fitted])

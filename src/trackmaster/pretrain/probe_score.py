"""What a read-out predicts, and how good that is."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from trackmaster.pretrain.probe_data import CLASSES, REGRESSIONS
from trackmaster.pretrain.probe_fit import F64, I64, balanced_accuracy, logistic_predict, ridge_predict


def read_out(name: str, features: tuple[F64, F64], labels: F64, groups: I64) -> F64:
    """Fit a linear model to a target and return its predictions (M,): values, or numbers of classes.

    Args:
        name: of the target.
        features: (N, D) to fit on, (M, D) to predict for.
        labels: (N,) of the rows to fit on.
        groups: (N,) number of the map of each, for the choice of the regularisation.
    """
    if name in REGRESSIONS:
        return ridge_predict(features[0], labels, groups, features[1])
    return logistic_predict(features[0], labels.astype(np.int64), groups, features[1], len(CLASSES[name])).astype(float)


def guess(name: str, labels: F64) -> float:
    """Return what someone who sees no picture would say: the mean, or the most frequent class."""
    return float(labels.mean()) if name in REGRESSIONS else float(np.bincount(labels.astype(np.int64)).argmax())


def judge(name: str, labels: F64, predictions: Mapping[str, F64], guesses: F64) -> dict[str, Any]:
    """Compare predictions with the truth.

    Args:
        name: of the target.
        labels: (M,) the truth.
        predictions: (M,) per reader.
        guesses: (M,) the answers without a picture.

    Returns:
        ``skill`` and errors per reader beside those of the guess. The skill of a value is 1 - squared error / squared
        error of the guess; that of a class is the balanced accuracy on a scale where guessing is 0 and always right 1.
    """
    judge_one = _judge_values if name in REGRESSIONS else _judge_classes
    return judge_one(name, labels, predictions, guesses)


def _judge_values(name: str, labels: F64, predictions: Mapping[str, F64], guesses: F64) -> dict[str, Any]:
    spread = float(((guesses - labels) ** 2).sum())
    return {
        "unit": REGRESSIONS[name],
        "baseline_mae": float(np.abs(labels - guesses).mean()),
        **{
            who: {
                "skill": 1.0 - float(((predicted - labels) ** 2).sum()) / spread,
                "mae": float(np.abs(predicted - labels).mean()),
            }
            for who, predicted in predictions.items()
        },
    }


def _judge_classes(name: str, labels: F64, predictions: Mapping[str, F64], guesses: F64) -> dict[str, Any]:
    truth = labels.astype(np.int64)
    present = np.unique(truth)
    chance = 1.0 / len(present)
    found: dict[str, Any] = {
        "classes": [CLASSES[name][number] for number in present],
        "majority_share": float((labels == guesses).mean()),
    }
    for who, predicted in predictions.items():
        balanced = balanced_accuracy(truth, predicted.astype(np.int64))
        found[who] = {
            "skill": (balanced - chance) / (1.0 - chance),
            "balanced_accuracy": balanced,
            "accuracy": float((predicted == labels).mean()),
        }
    return found

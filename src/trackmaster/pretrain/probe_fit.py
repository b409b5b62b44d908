"""Linear read-outs of frozen features: ridge regression, multinomial logistic regression, principal components.

How strongly a read-out is regularised is chosen on held-out *groups* of the training rows: neighbouring frames are all
but equal, and leaving single ones out would choose a read-out that learns the training maps by heart.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
Rows = NDArray[np.bool_]

RIDGE_PENALTIES = (1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)
LOGISTIC_PENALTIES = (1e-2, 1e-1, 1.0)
MAX_FOLDS = 3
LOGISTIC_FOLDS = 2
_LBFGS_STEPS = 30
_PIXEL_BLOCK = 4096


@dataclass(frozen=True)
class Scale:
    """Centre and spread of the training features."""

    mean: F64
    spread: F64

    @classmethod
    def of(cls, features: F64) -> "Scale":
        """Measure (N, D) features; one that never changes gets the spread 1 and so becomes 0."""
        spread = features.std(axis=0)
        return cls(features.mean(axis=0), np.where(spread > 1e-9, spread, 1.0))

    def __call__(self, features: F64) -> F64:
        """Return features with mean 0 and spread 1."""
        return (features - self.mean) / self.spread


def folds_of(groups: I64, most: int = MAX_FOLDS) -> list[Rows]:
    """Return disjoint parts of the rows to hold out in turn; no group stands on both sides.

    Args:
        groups: (N,) number of each row's group; a single one is cut into consecutive parts instead.
        most: parts at most.
    """
    names = np.unique(groups)
    if len(names) == 1:
        turn = np.arange(len(groups)) * most // max(len(groups), 1)
    else:
        turn = np.searchsorted(names, groups) % most
    return [turn == number for number in np.unique(turn)]


def ridge_predict(train: F64, target: F64, groups: I64, test: F64) -> F64:
    """Return the predictions (M,) of a ridge regression for the rows of ``test``.

    Minimises the mean squared error plus penalty times the squared length of the weights; the offset is free.

    Args:
        train: (N, D) features of mean 0 and spread 1.
        target: (N,).
        groups: (N,) for the choice of the penalty.
        test: (M, D).
    """
    errors = np.zeros(len(RIDGE_PENALTIES))
    for held in folds_of(groups):
        predictions = _ridge_path(train[~held], target[~held], test=train[held])
        errors += ((predictions - target[held]) ** 2).sum(axis=1)
    best: F64 = _ridge_path(train, target, test=test)[int(errors.argmin())]
    return best


def _ridge_path(train: F64, target: F64, *, test: F64) -> F64:
    """Return predictions (penalties, M) for all penalties from one decomposition of the smaller Gram matrix."""
    mean, middle = target.mean(), train.mean(axis=0)
    x, y, z = train - middle, target - mean, test - middle
    n = len(x)
    if x.shape[1] <= n:
        values, vectors = np.linalg.eigh(x.T @ x / n)
        inner, outer = vectors.T @ (x.T @ y / n), z @ vectors
    else:
        values, vectors = np.linalg.eigh(x @ x.T / n)
        inner, outer = vectors.T @ y / n, (z @ x.T) @ vectors
    values = np.maximum(values, 0.0)
    return np.stack([mean + outer @ (inner / (values + penalty)) for penalty in RIDGE_PENALTIES])


def logistic_predict(train: F64, target: I64, groups: I64, test: F64, n_classes: int) -> I64:
    """Return the classes (M,) that a multinomial logistic regression gives the rows of ``test``.

    Every class weighs the same, however rare it is.

    Args:
        train: (N, D) features of mean 0 and spread 1.
        target: (N,) classes from 0.
        groups: (N,) for the choice of the penalty.
        test: (M, D).
        n_classes: number of classes; one that ``target`` lacks is never predicted.
    """

    def score(penalty: float) -> float:
        rights = [
            balanced_accuracy(target[held], _logistic(train[~held], target[~held], train[held], n_classes, penalty))
            for held in folds_of(groups, LOGISTIC_FOLDS)
        ]
        return float(np.mean(rights))

    return _logistic(train, target, test, n_classes, _first_best(LOGISTIC_PENALTIES, score))


def _first_best(penalties: Sequence[float], score: Callable[[float], float]) -> float:
    """Return the strongest of the penalties with the highest score."""
    return max(reversed(penalties), key=score)


def _logistic(train: F64, target: I64, test: F64, n_classes: int, penalty: float) -> I64:
    counts = np.bincount(target, minlength=n_classes)
    present = counts > 0
    importance = np.where(present, len(target) / (present.sum() * np.maximum(counts, 1)), 0.0)
    x, y = torch.from_numpy(train).float(), torch.from_numpy(target)
    importance_of_class = torch.from_numpy(importance).float()
    weight = torch.zeros((train.shape[1], n_classes), requires_grad=True)
    bias = torch.zeros(n_classes, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=_LBFGS_STEPS, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(x @ weight + bias, y, weight=importance_of_class) + penalty * weight.square().sum() / 2
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    with torch.enable_grad():
        optimizer.step(closure)  # type: ignore[no-untyped-call]
    logits = (torch.from_numpy(test).float() @ weight.detach() + bias.detach()).numpy()
    return np.asarray(np.where(present, logits, -np.inf).argmax(axis=1), dtype=np.int64)


def balanced_accuracy(target: I64, predicted: I64) -> float:
    """Return the mean over the classes in ``target`` of the share of their rows that were recognised."""
    return float(np.mean([(predicted[target == name] == name).mean() for name in np.unique(target)]))


def principal_components(train: NDArray[Any], test: NDArray[Any], n_components: int) -> tuple[F64, F64]:
    """Return the first principal components of (N, P) and (M, P) pixels, the largest with spread 1.

    Their relative spreads stay as they are: bringing all to 1 would blow up noise. Only products of rows are formed, a
    block of pixels at a time, so that large pictures stay bytes in memory.

    Args:
        train: pixels that the components are found on, any type of number.
        test: pixels that are only projected.
        n_components: wanted; fewer come back where the rows span fewer.
    """
    n = len(train)
    within, across = np.zeros((n, n)), np.zeros((len(test), n))
    for first in range(0, train.shape[1], _PIXEL_BLOCK):
        columns = slice(first, first + _PIXEL_BLOCK)
        mean = train[:, columns].mean(axis=0)
        block = train[:, columns] - mean
        within += block @ block.T / n
        across += (test[:, columns] - mean) @ block.T / n
    values, vectors = np.linalg.eigh(within)
    kept = np.flatnonzero(values > 1e-10 * max(float(values[-1]), 1e-30))[::-1][:n_components]
    if not len(kept):
        return np.zeros((n, 1)), np.zeros((len(test), 1))
    inside = vectors[:, kept] * np.sqrt(n * values[kept] / values[kept[0]])
    return inside, across @ vectors[:, kept] * np.sqrt(n / (values[kept] * values[kept[0]]))

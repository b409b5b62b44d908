"""The history of a run: metrics per epoch, the best weights so far, and when to stop early."""

import csv
import io
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from trackmaster.files import atomic_write_text
from trackmaster.pretrain.errors import PretrainError

METRICS_NAME = "metrics.csv"
_COLUMNS = ("epoch", "train_loss", "val_loss")
Weights = dict[str, dict[str, Tensor]]
"""State dicts to be exported: ``encoder``, and ``fusion`` where there is one."""


class EpochRecorder:
    """Keeps one row per epoch, the weights of the best epoch, and counts epochs without improvement.

    Its state is part of every training state on disk, so a resumed run knows its best epoch.
    """

    def __init__(
        self, path: Path, monitor: str, *, patience: int | None, min_delta: float = 0.0, data_hash: str = ""
    ) -> None:
        """Start an empty history.

        Args:
            path: ``metrics.csv`` to keep up to date.
            monitor: metric whose minimum is the best epoch.
            patience: epochs without improvement before stopping; None never stops.
            min_delta: smallest fall that counts as improvement for stopping; any fall counts for the best epoch.
            data_hash: fingerprint of what is trained on; a history of other data is not continued.
        """
        self.path = path
        self.monitor = monitor
        self.rows: list[dict[str, float]] = []
        self.best_epoch: int | None = None
        self.best_value = math.inf
        self.best_weights: Weights | None = None
        self._data_hash = data_hash
        self._patience = patience
        self._min_delta = min_delta
        self._reference = math.inf
        self._waited = 0

    @property
    def epochs_done(self) -> int:
        """Number of complete epochs."""
        return len(self.rows)

    @property
    def should_stop(self) -> bool:
        """Whether patience has run out."""
        return self._patience is not None and self._waited >= self._patience

    def record(self, metrics: Mapping[str, float], weights: Callable[[], Weights]) -> bool:
        """Add an epoch and return whether it is the best so far; ``write`` brings it to ``metrics.csv``.

        Args:
            metrics: of the epoch, the monitored one among them.
            weights: gives the weights; only called when they are the best.
        """
        self.rows.append({"epoch": self.epochs_done, **metrics})
        value = metrics[self.monitor]
        is_best = value < self.best_value
        if is_best:
            self.best_epoch, self.best_value, self.best_weights = self.epochs_done - 1, value, weights()
        if value < self._reference - self._min_delta:
            self._reference, self._waited = value, 0
        else:
            self._waited += 1
        return is_best

    def last(self, name: str) -> float | None:
        """Return a metric of the last complete epoch, or None when there is none."""
        return self.rows[-1].get(name) if self.rows else None

    def write(self) -> None:
        """Write ``metrics.csv``; the losses come first, the other columns in order of their first appearance."""
        columns = list(dict.fromkeys((*_COLUMNS, *(name for row in self.rows for name in row))))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        atomic_write_text(self.path, text.getvalue())

    def state_dict(self) -> dict[str, Any]:
        """Return everything as plain types and tensors."""
        return {
            "data_hash": self._data_hash,
            "rows": self.rows,
            "best_epoch": self.best_epoch,
            "best_value": self.best_value,
            "best_weights": self.best_weights,
            "reference": self._reference,
            "waited": self._waited,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a saved history.

        Raises:
            PretrainError: it was made from other data.
        """
        if state["data_hash"] != self._data_hash:
            raise PretrainError(
                f"{self.path.parent}: the frames have changed since this run began; going on would mix two data sets. "
                "Start a new run."
            )
        self.rows = [dict(row) for row in state["rows"]]
        self.best_epoch, self.best_value = state["best_epoch"], state["best_value"]
        self.best_weights = state["best_weights"]
        self._reference, self._waited = state["reference"], state["waited"]
        self.write()


class LossMeter:
    """Mean of the losses of an epoch, weighted by batch size, without waiting for the device at every batch."""

    def __init__(self) -> None:
        """Start at nothing."""
        self._sums: dict[str, Tensor] = {}
        self.samples = 0

    def add(self, values: Mapping[str, Tensor], samples: int) -> None:
        """Add the mean values of a batch."""
        for name, value in values.items():
            weighted = value.detach().double() * samples if value.device.type != "mps" else value.detach() * samples
            self._sums[name] = self._sums[name] + weighted if name in self._sums else weighted
        self.samples += samples

    def means(self, prefix: str) -> dict[str, float]:
        """Return the means under ``<prefix>_<name>``."""
        return {f"{prefix}_{name}": float(total) / self.samples for name, total in self._sums.items()}

"""Where metrics go besides ``metrics.csv``: TensorBoard event files and a CSV of everything that was logged."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from trackmaster.files import atomic_write_text
from trackmaster.pretrain.config import LightningOptions


class MetricSinks:
    """Writes scalars to TensorBoard and to ``csv/metrics.csv``, whichever are wanted; use it as a context."""

    def __init__(self, run_dir: Path, options: LightningOptions, *, first_step: int = 0) -> None:
        """Open the sinks.

        Args:
            run_dir: folder of the run.
            options: which sinks, and their folders.
            first_step: of a resumed run; what the interrupted run logged from there on is dropped.
        """
        self._csv = run_dir / options.csv_dir / "metrics.csv" if options.csv_logger else None
        self._rows = _rows_before(self._csv, first_step) if self._csv is not None else []
        self._writer: Any = None
        if options.tensorboard:
            from torch.utils.tensorboard import SummaryWriter  # slow to import

            folder = str(run_dir / options.tensorboard_dir)
            self._writer = SummaryWriter(folder, purge_step=first_step + 1 if first_step else None)

    def log(self, metrics: Mapping[str, float], *, step: int, epoch: int) -> None:
        """Log scalars at an optimiser step."""
        if self._writer is not None:
            for name, value in metrics.items():
                self._writer.add_scalar(name, value, step)
        self._rows.append({"epoch": str(epoch), "step": str(step), **{name: repr(v) for name, v in metrics.items()}})

    def flush(self) -> None:
        """Bring everything to disk."""
        if self._writer is not None:
            self._writer.flush()
        if self._csv is not None and self._rows:
            columns = list(dict.fromkeys(name for row in self._rows for name in row))
            text = io.StringIO()
            writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
            writer.writeheader()
            writer.writerows(self._rows)
            atomic_write_text(self._csv, text.getvalue())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.flush()
        if self._writer is not None:
            self._writer.close()


def _rows_before(path: Path, first_step: int) -> list[dict[str, str]]:
    if not first_step or not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as handle:
        rows = [{name: value for name, value in row.items() if value != ""} for row in csv.DictReader(handle)]
    return [row for row in rows if int(row["step"]) <= first_step]

"""One stream of numbers about a run: TensorBoard under the grouped tag names, and the same as CSV."""

import contextlib
import csv
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

HEADER = ("wall_s", "env_steps", "train_steps", "tag", "value")


class MetricsLogger:
    """Writes scalars by wall time, environment steps and training steps.

    Args:
        tensorboard_dir: folder of the event file; None writes none.
        csv_path: long-format table; a resumed run appends to it.
        clock: seconds that only grow; a test passes its own.
        wall_offset_s: wall time of earlier lives of the run.
    """

    def __init__(
        self,
        tensorboard_dir: Path | None,
        csv_path: Path | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_offset_s: float = 0.0,
    ) -> None:
        self._clock, self._started = clock, clock() - wall_offset_s
        self._tensorboard_dir, self._is_refused = tensorboard_dir, False
        self._events = _event_writer(tensorboard_dir) if tensorboard_dir is not None else None
        self._file: TextIO | None = None
        if csv_path is not None:
            csv_path.parent.mkdir(parents=True, exist_ok=True)
            is_new = not csv_path.exists() or csv_path.stat().st_size == 0
            self._file = csv_path.open("a", newline="", encoding="utf-8")
            self._csv = csv.writer(self._file)
            if is_new:
                self._csv.writerow(HEADER)

    @property
    def wall_s(self) -> float:
        """Seconds since the run began, earlier lives included."""
        return self._clock() - self._started

    def log(self, values: Mapping[str, float], *, env_steps: int, train_steps: int) -> None:
        """Write numbers that belong to this moment of the run; the x axis of TensorBoard is ``env_steps``.

        Raises:
            OSError: the disk refuses. Lines of the table are kept for the next call; events are lost, and go on in a
                file of their own.
        """
        try:
            self._write(values, env_steps, train_steps)
            self._is_refused = False
        except OSError:
            self._is_refused = True
            raise

    def _write(self, values: Mapping[str, float], env_steps: int, train_steps: int) -> None:
        if self._file is not None:  # first, because a full disk is told here; the event writer's thread would die of it
            wall_s = self.wall_s
            for tag, value in values.items():
                self._csv.writerow((f"{wall_s:.3f}", env_steps, train_steps, tag, repr(float(value))))
            self._file.flush()
        if self._tensorboard_dir is None:
            return
        if self._events is None:
            self._events = _event_writer(self._tensorboard_dir)
        try:
            for tag, value in values.items():
                self._events.add_scalar(tag, value, env_steps)
            self._events.flush()
        except OSError:
            with contextlib.suppress(OSError):
                self._events.close()
            self._events = None
            raise

    def close(self) -> None:
        """Write what is buffered and close the files.

        Raises:
            OSError: the disk refuses, and no call of ``log`` has said so before.
        """
        with contextlib.suppress(*([OSError] if self._is_refused else [])):
            if self._events is not None:
                self._events.close()
            if self._file is not None:
                self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _EventWriter:
    """The two calls of torch's writer that are used, typed."""

    def __init__(self, folder: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter  # half a second to import

        self._writer = SummaryWriter(str(folder))

    def add_scalar(self, tag: str, value: float, step: int) -> None:
        self._writer.add_scalar(tag, value, step)

    def flush(self) -> None:
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


def _event_writer(folder: Path) -> _EventWriter:
    return _EventWriter(folder)

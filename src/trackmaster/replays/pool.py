"""Where files are checked: in processes of their own, or right here."""

import asyncio
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from trackmaster.replays.errors import FetchError

Job = TypeVar("Job")
Result = TypeVar("Result")


class WorkPool:
    """Runs functions beside the event loop.

    Args:
        processes: how many; 0 for a thread of this process, which is enough for a handful of files.
    """

    def __init__(self, processes: int) -> None:
        self._processes = processes
        self._executor = self._make()

    def _make(self) -> Executor:
        if self._processes == 0:
            return ThreadPoolExecutor(1, thread_name_prefix="check")
        return ProcessPoolExecutor(
            self._processes, mp_context=multiprocessing.get_context("spawn"), initializer=end_with_parent
        )

    async def run(self, function: Callable[[Job], Result], job: Job) -> Result:
        """Return ``function(job)``.

        Raises:
            FetchError: the process died of it; a new one takes its place.
        """
        executor = self._executor
        try:
            return await asyncio.get_running_loop().run_in_executor(executor, function, job)
        except BrokenProcessPool:
            if self._executor is executor:
                executor.shutdown(wait=False, cancel_futures=True)
                self._executor = self._make()
            raise FetchError("checker_died", "the process that checked files died, of this file or another") from None

    def close(self) -> None:
        """End the processes; jobs that have not begun are dropped."""
        self._executor.shutdown(wait=True, cancel_futures=True)


def end_with_parent() -> None:
    """End this process when its parent is gone, however that went: a pool's processes would wait for ever."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C reaches the whole group; the parent decides what it means
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="parent-watch").start()

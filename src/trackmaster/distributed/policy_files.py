"""The local copies of a policy: the newest one, and every n-th of those before it."""

import time
from collections.abc import Callable
from pathlib import Path

from trackmaster.files import atomic_path
from trackmaster.rl.actor import ActorModule


class PolicyFiles:
    """Where a worker or trainer keeps the policy.

    Args:
        model_path: the newest one; None keeps none.
        history_path: beginning of the names of the older ones; that of ``model_path`` when left out.
        every: keep every n-th as history; 0 keeps none.
        clock: seconds since 1970, for the names.
    """

    def __init__(
        self,
        model_path: str | Path | None,
        history_path: str | Path | None = None,
        every: int = 0,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.path = Path(model_path) if model_path else None
        self._history, self._every, self._clock = history_path, every, clock

    def load(self, actor: ActorModule, device: str, say: Callable[[str], None]) -> ActorModule:
        """Return the actor with the weights of the newest copy, or as it is if there is none.

        Raises:
            WeightsError: the file belongs to another network or is damaged.
        """
        if self.path is None or not self.path.exists():
            return actor
        loaded = actor.load(str(self.path), device)
        say(f"The policy in {self.path} is used until a newer one arrives.")
        return loaded

    def keep(self, actor: ActorModule, number: int) -> None:
        """Save the ``number``-th policy received."""
        if self.path is None:
            return
        self._save(actor, self.path)
        if self._every and number % self._every == 0:
            stem = str(self._history) if self._history else f"{self.path.with_suffix('')}_"
            stamp = time.strftime("%d_%m_%Y_%H_%M_%S", time.localtime(self._clock()))
            self._save(actor, Path(f"{stem}{stamp}.tmod"))

    @staticmethod
    def _save(actor: ActorModule, path: Path) -> None:
        """Let the actor write in its own way, through a temporary name."""
        with atomic_path(path) as temporary:
            actor.save(str(temporary))

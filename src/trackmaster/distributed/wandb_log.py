"""Numbers of a run at Weights & Biases: an extra that never stops a training."""

import importlib
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from trackmaster.errors import ConfigError


class WandbLog:
    """One run there.

    Args:
        entity: user or team.
        project: its project.
        run_id: name of the run; one that exists is continued.
        key: API key; the environment's ``WANDB_API_KEY`` goes first.
        config: what the run was started with.
        say: where lines for people go.

    Raises:
        ConfigError: the package is not installed.
    """

    def __init__(
        self, entity: str, project: str, run_id: str, *, key: str | None = None,
        config: Mapping[str, Any] | None = None, say: Callable[[str], None] = print,
    ) -> None:  # fmt: skip
        try:
            self._wandb: Any = importlib.import_module("wandb")
        except ImportError:
            raise ConfigError(
                "Logging to Weights & Biases needs a package of its own: pip install 'trackmaster[wandb]', or train "
                "without --wandb; the numbers are in TensorBoard and metrics.jsonl too."
            ) from None
        self._say, self._run_id = say, run_id
        self._run: Any = None
        try:
            if key and not os.environ.get("WANDB_API_KEY"):
                self._wandb.login(key=key)
            self._run = self._wandb.init(
                entity=entity, project=project, id=run_id, resume="allow", config=dict(config or {})
            )
        except Exception as error:
            self._give_up(error)

    def note(self, stats: Mapping[str, float]) -> None:
        """Send the numbers of a round."""
        if self._run is None:
            return
        try:
            self._run.log({name: value for name, value in stats.items() if math.isfinite(value)})
        except Exception as error:
            self._give_up(error)

    def keep(self, path: Path) -> None:
        """Send the policy of an epoch as the newest version of the run's model."""
        if self._run is None or not path.exists():
            return
        try:
            artifact = self._wandb.Artifact(f"{self._run_id}-policy", type="model")
            artifact.add_file(str(path))
            self._run.log_artifact(artifact)
        except Exception as error:
            self._give_up(error)

    def close(self) -> None:
        """End the run there."""
        if self._run is not None:
            try:
                self._run.finish()
            except Exception as error:
                self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        self._run = None
        self._say(f"Weights & Biases is left out from here on ({type(error).__name__}: {error}); training goes on.")

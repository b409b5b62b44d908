"""The gate of a racing run: deterministic attempts of an actor on every track."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from trackmaster.distributed.racing.environments import make_racing_env, track_names
from trackmaster.rl.actor import ActorModule
from trackmaster.rl.config.training import TrainConfig
from trackmaster.rl.evaluation.episodes import Evaluation, VectorEnvironment, evaluate

if TYPE_CHECKING:
    from trackmaster.track import Track


class RacingEvaluator:
    """Drives the deterministic attempts of an actor on every track of the run; environments are made once."""

    def __init__(self, config: TrainConfig, tracks: "Sequence[Track]", *, attempts: int | None = None) -> None:
        self._config = config
        self._tracks = dict(zip(track_names(config), tracks, strict=True))
        self._attempts = attempts or config.evaluation.attempts
        self._envs: dict[str, VectorEnvironment] = {}

    def __call__(self, actor: ActorModule) -> Mapping[str, Evaluation]:
        """Return the outcome by track."""
        from trackmaster.env import evaluation_starts

        starts = evaluation_starts(self._config.evaluation.seed, self._attempts)
        return {name: evaluate(actor, self._env(name), self._attempts, starts=starts) for name in self._tracks}

    def __enter__(self) -> "RacingEvaluator":
        return self

    def __exit__(self, *error: object) -> None:
        for env in self._envs.values():
            env.close()

    def _env(self, name: str) -> VectorEnvironment:
        if name not in self._envs:
            self._envs[name] = make_racing_env(
                self._config,
                {name: self._tracks[name]},
                [0] * self._attempts,
                seed=self._config.evaluation.seed,
                evaluation=True,
            )
        return self._envs[name]

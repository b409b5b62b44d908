"""Collects experience: drives N cars with the newest weights and sends what they lived through."""

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray

from trackmaster.distributed.transport.contract import WorkerEnd
from trackmaster.rl.actor import ActorModule, Observation
from trackmaster.rl.carried import CarriedState
from trackmaster.rl.evaluation.episodes import VectorEnvironment
from trackmaster.rl.samples.chunk import Chunk, Columns, SampleSpec

Info = Mapping[str, NDArray[Any]]

WAIT_S = 0.02
"""How long a worker rests before it looks for the first weights again; the first evaluation comes before them and needs
the processor itself."""
_CAR_FIELDS = ("cycle_position", "episode_id", "context", "first_step", "stats")


@runtime_checkable
class Resumable(Protocol):
    """An environment that goes on bit for bit from a state it gave."""

    def state(self) -> dict[str, Any]:
        """Return a tree of plain values and arrays."""
        ...

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where ``state`` was taken."""
        ...


@runtime_checkable
class ResumableActor(Protocol):
    """An actor whose draws can be continued."""

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return copies of everything that ``load_tensors`` of another instance needs."""
        ...

    def exploration_state(self) -> dict[str, Any]:
        """Return where the draws stand."""
        ...

    def restore_exploration(self, state: Mapping[str, Any]) -> None:
        """Go on with the draws where ``exploration_state`` was taken."""
        ...


@dataclass(frozen=True)
class EpisodeKind:
    """One entry of the cycle a car goes through."""

    track: str
    is_exploration: bool = True
    fill_buffer: bool = True


@dataclass
class _Car:
    """What one car of the batch is in the middle of."""

    cycle: Sequence[EpisodeKind]
    kind: EpisodeKind
    cycle_position: int = 0
    episode_id: int = -1
    context: int = 0
    first_step: int = 0
    stats: dict[str, float] = field(default_factory=dict)


class VectorRolloutWorker:
    """Drives the cars of a vector environment and sends the rows of each as chunks.

    A car keeps the weights it began an episode with until the episode ends, so every chunk names the one version that
    drove it; cars in different versions are acted for in groups.

    Args:
        env: N cars; ended ones stand until they are reset.
        make_actor: makes an actor without weights; one per version that is driving.
        end: link to the trainer.
        spec: columns to send.
        cycles: per car, the kinds of episodes it goes through.
        chunk_rows: rows after which a chunk is sent although the episode goes on.
        history: columns of stacked pictures, and how many a stack holds: only the newest one is sent, and a chunk that
            continues an episode repeats as many rows as its first new observation needs.
        worker_id: number of this worker.
        session: names this life of the worker; drawn when left out.
    """

    def __init__(
        self,
        env: VectorEnvironment,
        make_actor: Callable[[], ActorModule],
        end: WorkerEnd,
        *,
        spec: SampleSpec,
        cycles: Sequence[Sequence[EpisodeKind]],
        chunk_rows: int = 200,
        history: Mapping[str, int] | None = None,
        worker_id: int = 0,
        session: str | None = None,
    ) -> None:
        self._env, self._make_actor, self._end, self._spec = env, make_actor, end, spec
        self._chunk_rows, self._worker_id = chunk_rows, worker_id
        self._history = dict(history or {})
        self._repeated = max(self._history.values(), default=1)
        if self._repeated >= chunk_rows:
            raise ValueError(f"chunks of {chunk_rows} rows repeat {self._repeated}: there must be room for new ones")
        self._session = session or secrets.token_hex(8)
        self._cars = [_Car(cycle, cycle[0]) for cycle in cycles]
        if len(self._cars) != env.num_envs:
            raise ValueError(f"{len(self._cars)} cycles for {env.num_envs} cars: there must be one per car")
        self._buffers: Columns = {
            name: np.zeros((env.num_envs, chunk_rows, *column.shape), dtype=column.dtype)
            for name, column in spec.items()
        }
        self._rank = np.linspace(0.0, 1.0, env.num_envs)
        self._rows = np.zeros(env.num_envs, dtype=np.int64)  # rows in each car's buffer
        self._versions = np.full(env.num_envs, -1, dtype=np.int64)
        self._returns = np.zeros(env.num_envs)
        self._actors: dict[int, ActorModule] = {}
        self._carried = CarriedState()
        self._newest, self._newest_sha256 = -1, ""
        self._seq = self._episodes = 0
        self._observation: Observation | None = None
        self.env_steps = 0
        """Decisions driven, all cars together."""

    def run(self) -> None:
        """Collect until the trainer asks to stop."""
        while not self._end.should_stop():
            self.collect(1)
            if self._observation is None:
                time.sleep(WAIT_S)

    def collect(self, n_steps: int) -> None:
        """Drive every car for ``n_steps`` decisions; does nothing until the first weights have arrived."""
        for _ in range(n_steps):
            if self._observation is None:
                self._begin()
            if self._observation is None:
                return
            self._step(self._observation)

    def state(self) -> dict[str, Any] | None:
        """Return everything that ``restore`` of an equally made worker needs to go on as if it had never stopped.

        Returns:
            A tree of plain values and arrays; None before the first episode, and where environment or actors cannot
            tell their state.
        """
        actors = list(self._actors.values())
        if self._observation is None or not isinstance(self._env, Resumable):
            return None
        if not all(isinstance(actor, ResumableActor) for actor in actors):
            return None
        return {
            "session": self._session, "seq": self._seq, "episodes": self._episodes, "newest": self._newest,
            "env_steps": self.env_steps, "rows": self._rows.copy(), "versions": self._versions.copy(),
            "returns": self._returns.copy(), "observation": dict(self._observation), "buffers": self._buffers,
            "cars": [{name: getattr(car, name) for name in _CAR_FIELDS} for car in self._cars],
            "actors": [
                {
                    "version": version, "exploration": actor.exploration_state(),
                    "tensors": {name: tensor.numpy() for name, tensor in actor.tensors().items()},
                }
                for version, actor in self._actors.items()
                if isinstance(actor, ResumableActor)
            ],
            "env": self._env.state(), "carried": self._carried.state,
        }  # fmt: skip

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where ``state`` was taken."""
        if not isinstance(self._env, Resumable):
            raise TypeError(f"{type(self._env).__name__} cannot take up a state")
        for name, attribute in (("session", "_session"), ("seq", "_seq"), ("episodes", "_episodes")):
            setattr(self, attribute, state[name])
        self._newest, self.env_steps = int(state["newest"]), int(state["env_steps"])
        self._rows[:], self._versions[:], self._returns[:] = state["rows"], state["versions"], state["returns"]
        for name, buffer in self._buffers.items():
            buffer[:] = state["buffers"][name]
        for car, kept in zip(self._cars, state["cars"], strict=True):
            for name in _CAR_FIELDS:
                setattr(car, name, kept[name])
            car.kind = car.cycle[(car.cycle_position - 1) % len(car.cycle)]
        for kept in state["actors"]:
            actor = self._make_actor()
            actor.load_tensors({name: torch.from_numpy(array) for name, array in kept["tensors"].items()})
            if isinstance(actor, ResumableActor):
                actor.restore_exploration(kept["exploration"])
            self._actors[int(kept["version"])] = actor
        self._env.restore(state["env"])
        self._carried.state = state["carried"]
        self._observation = state["observation"]

    def _begin(self) -> None:
        self._poll_weights()
        if self._newest >= 0:
            self._observation, info = self._env.reset()
            self._open_episodes(np.arange(len(self._cars)), self._observation, info)

    def _poll_weights(self) -> None:
        weights = self._end.poll_weights(self._newest)
        if weights is None:
            return
        idle = next((version for version in self._actors if version not in self._versions), None)
        actor = self._actors.pop(idle) if idle is not None else self._make_actor()
        actor.load_tensors(weights.unpack())
        self._actors[weights.version] = actor
        self._newest, self._newest_sha256 = weights.version, weights.sha256

    def _look_for_weights(self) -> None:
        """Take newer weights for the episodes that begin now."""
        self._poll_weights()

    def _step(self, observation: Observation) -> None:
        actions, extras = self._act(self._carried.join(observation))
        self._carried.keep(extras)
        observation, reward, terminated, truncated, info = self._env.step(actions)
        self._observation = observation
        self.env_steps += len(self._cars)
        self._returns += reward
        over = terminated | truncated
        row = {
            "action": actions, "reward": reward, "terminated": terminated, "truncated": truncated,
            "potential": info["potential"], **observation, **extras,
        }  # fmt: skip
        self._write(np.arange(len(self._cars)), row)
        for i in np.flatnonzero(over | (self._rows == self._chunk_rows)):
            self._send(int(i), info if over[i] else None)
        if over.any():
            self._look_for_weights()
            observation, info = self._env.reset(options={"reset_mask": over})
            self._observation = observation
            self._open_episodes(np.flatnonzero(over), observation, info)

    def _act(self, observation: Observation) -> tuple[NDArray[Any], dict[str, NDArray[Any]]]:
        """Ask each version for the actions of its own cars."""
        test = np.array([not car.kind.is_exploration for car in self._cars])
        present = np.unique(self._versions)
        if len(present) == 1:
            return self._actors[int(present[0])].act_batch(observation, test, self._rank)
        merged: Columns = {}
        for version in present:
            mine = np.flatnonzero(self._versions == version)
            part = {name: array[mine] for name, array in observation.items()}
            actions, extras = self._actors[int(version)].act_batch(part, test[mine], self._rank[mine])
            for name, values in {"action": actions, **extras}.items():
                merged.setdefault(name, np.zeros((len(self._cars), *values.shape[1:]), values.dtype))[mine] = values
        return merged.pop("action"), merged

    def _open_episodes(self, cars: NDArray[np.int64], observation: Observation, info: Info) -> None:
        nothing = {name: np.zeros_like(buffer[:, 0]) for name, buffer in self._buffers.items()}
        greedy = np.ones(len(self._cars), dtype=bool)
        row = {**nothing, "greedy": greedy, "potential": info["potential"], **observation}
        self._carried.forget(cars)
        for i in cars:
            car = self._cars[i]
            car.kind = car.cycle[car.cycle_position % len(car.cycle)]
            car.cycle_position += 1
            car.episode_id, self._episodes = self._episodes, self._episodes + 1
            car.context = car.first_step = 0
            car.stats = {"start_ms": float(info["time_ms"][i])}
        self._versions[cars] = self._newest
        self._rows[cars] = 0
        self._returns[cars] = 0.0
        self._write(cars, row)

    def _write(self, cars: NDArray[np.int64], row: Columns) -> None:
        rows = self._rows[cars]
        for name, buffer in self._buffers.items():
            values = row[name][cars]
            buffer[cars, rows] = values[:, -1:] if name in self._history else values
        self._rows[cars] += 1

    def _send(self, i: int, end: Info | None) -> None:
        """Send what car ``i`` has gathered; ``end`` is the last information if its episode is over."""
        car, rows = self._cars[i], int(self._rows[i])
        # Where the learner may not learn from the rows it still learns of the episode's outcome.
        kept = slice(0, rows) if car.kind.fill_buffer else slice(rows - 1, rows)
        chunk = Chunk(
            session=self._session, seq=self._seq, worker_id=self._worker_id, episode_id=car.episode_id,
            first_step=car.first_step, context=car.context, weights_version=int(self._versions[i]),
            columns={name: buffer[i, kept] for name, buffer in self._buffers.items()}, end_of_episode=end is not None,
            n_steps=rows - max(1, car.context), fill_buffer=car.kind.fill_buffer, track=car.kind.track,
            stats={} if end is None else self._statistics(i, car, rows, end),
        )  # fmt: skip
        self._end.send_chunk(chunk)
        self._seq += 1
        repeated = min(rows, self._repeated)
        for buffer in self._buffers.values():
            buffer[i, :repeated] = buffer[i, rows - repeated : rows].copy()
        car.first_step, car.context = car.first_step + rows - repeated, repeated
        self._rows[i] = repeated

    def _statistics(self, i: int, car: _Car, rows: int, end: Info) -> dict[str, float]:
        return {
            **car.stats,
            "return": float(self._returns[i]),
            "steps": float(car.first_step + rows - 1),
            "finished": float(end["finished"][i]),
            "race_time_ms": float(end["race_time_ms"][i]),
            "progress_m": float(end["progress_m"][i]),
            "is_exploration": float(car.kind.is_exploration),
        }

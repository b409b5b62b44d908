"""Settings that may change while a run goes on: ``live.yaml`` in the folder of the run, read whenever it changes.

What is safe to change takes effect at once and is written into the run's configuration, so that a continued run keeps
it. A file that names anything else, or a value that is not allowed, changes nothing and is answered with a sentence.
"""

import dataclasses
import operator
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from trackmaster.distributed.disk_trouble import DiskTrouble
from trackmaster.errors import ConfigError
from trackmaster.files import atomic_write_text
from trackmaster.rl.agent import TrainingAgent
from trackmaster.rl.config.training import TrainConfig
from trackmaster.rl.iqn.agent import IQNAgent
from trackmaster.strict_yaml import read_yaml

LIVE_FILE = "live.yaml"

OF_THE_LOOP = (
    "evaluation.every_frames", "evaluation.stop_at_finish_rate",
    "memory.min_times_single_memory_is_used", "memory.number_times_single_memory_is_used_before_discard",
    "performance.metrics_interval_s", "performance.save_interval_s", "performance.send_shared_network_every_n_batches",
    "training.max_frames", "training.max_minutes",
)  # fmt: skip
"""Safe for every algorithm."""
OF_IQN = (
    "exploration.epsilon_boltzmann_schedule", "exploration.epsilon_schedule", "neural_network.clip_grad_norm",
    "training.gamma_schedule", "training.lr_schedule",
)  # fmt: skip
"""Safe for IQN, besides."""


class LiveSettings:
    """Watches the file of one run.

    Args:
        config: of the run so far.
        agent: learns; told new schedules.
        snapshot: file with the run's configuration, rewritten after a change.
        say: where sentences for people go.
    """

    def __init__(self, config: TrainConfig, agent: TrainingAgent, snapshot: Path, say: Callable[[str], None]) -> None:
        self.config, self._agent, self._snapshot, self._say = config, agent, snapshot, say
        self._path = config.run_dir / LIVE_FILE
        self._trouble = DiskTrouble(say)
        self._seen = self._stamp()  # a file from an earlier life has had its effect, or was overruled since
        self._mention_earlier()

    def poll(self) -> TrainConfig | None:
        """Return the configuration that holds from now on if the file has changed it."""
        stamp = self._stamp()
        if stamp == self._seen:
            return None
        self._seen = stamp
        if stamp is None:
            return None
        try:
            changed, names = self._merged(read_yaml(self._path))
        except ConfigError as error:
            self._say(f"{error} Nothing was changed; correct the file and save it again.")
            return None
        if not names:
            return None
        self.config = changed
        self._tell_agent()
        with self._trouble.survived(str(self._snapshot)):
            atomic_write_text(self._snapshot, changed.to_yaml())
        self._say(f"{self._path}: from now on {_listed(changed, names)}.")
        return changed

    def _mention_earlier(self) -> None:
        """Say what a file that lies there already would change, because it looks as if it held."""
        if self._seen is None:
            return
        try:
            changed, names = self._merged(read_yaml(self._path))
        except ConfigError as error:
            self._say(f"{error} Nothing was changed; correct the file and save it again.")
            return
        if names:
            self._say(
                f"{self._path}: was there before this start and is not read: {_listed(self.config, names)} holds. Save "
                f"the file again while the run goes on for {_listed(changed, names)}."
            )

    def _stamp(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size

    def _merged(self, values: Mapping[str, Any]) -> tuple[TrainConfig, list[str]]:
        """Return the configuration with the file's values, and the names of those that differ.

        Raises:
            ConfigError: a name or value is not allowed.
        """
        allowed = {*OF_THE_LOOP, *(OF_IQN if isinstance(self._agent, IQNAgent) else ())}
        named: dict[str, dict[str, Any]] = {}
        refused = []
        for section, fields in values.items():
            for field in fields if isinstance(fields, Mapping) else [None]:
                name = section if field is None else f"{section}.{field}"
                if name in allowed:
                    named.setdefault(section, {})[str(field)] = fields[field]
                else:
                    refused.append(name)
        if refused:
            raise ConfigError(
                f"{self._path}: {', '.join(refused)} cannot change while a run goes on. These can: "
                f"{', '.join(sorted(allowed))}."
            )
        update = {}
        for section, fields in named.items():
            part = getattr(self.config, section)
            try:
                update[section] = type(part)(**{**part.model_dump(), **fields})
            except ValidationError as error:
                first = error.errors()[0]
                where = ".".join(str(place) for place in first["loc"])
                raise ConfigError(f"{self._path}: {section}.{where}: {first['msg']}.") from None
        changed = self.config.model_copy(update=update)
        if isinstance(self._agent, IQNAgent):
            changed.to_iqn_config(self._agent.config.n_floats)  # refuses what the agent would refuse
        names = [f"{section}.{field}" for section, fields in named.items() for field in fields]
        return changed, [n for n in names if operator.attrgetter(n)(changed) != operator.attrgetter(n)(self.config)]

    def _tell_agent(self) -> None:
        agent = self._agent
        if isinstance(agent, IQNAgent):
            new = self.config.to_iqn_config(agent.config.n_floats)
            agent.config = dataclasses.replace(
                agent.config, lr=new.lr, gamma=new.gamma, epsilon=new.epsilon, clip_grad_norm=new.clip_grad_norm,
                epsilon_boltzmann=new.epsilon_boltzmann,
            )  # fmt: skip
            agent.set_frames(agent.frames)


def _listed(config: TrainConfig, names: list[str]) -> str:
    return ", ".join(f"{name} = {_plain(operator.attrgetter(name)(config))}" for name in names)


def _plain(value: object) -> object:
    return [list(point) for point in value] if isinstance(value, tuple) else value

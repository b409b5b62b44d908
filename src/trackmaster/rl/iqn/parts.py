"""Parts of the IQN network that may be frozen, for a while or for good, and learn at a rate of their own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from trackmaster.errors import ConfigError

if TYPE_CHECKING:
    from torch import nn

PartName = Literal["encoder", "float_head", "iqn_fc", "actions_head", "V_head"]

PREFIXES: Final[Mapping[PartName, str]] = {
    "encoder": "img_head.",
    "float_head": "float_feature_extractor.",
    "iqn_fc": "iqn_fc.",
    "actions_head": "A_head.",
    "V_head": "V_head.",
}
"""Beginning of the parameter names of every part."""

N_TENSORS: Final[Mapping[PartName, int]] = {
    "encoder": 8, "float_head": 4, "iqn_fc": 2, "actions_head": 4, "V_head": 4,
}  # fmt: skip
"""Parameters of every part."""


@dataclass(frozen=True)
class PartRule:
    """How one part learns."""

    part: PartName
    freeze: bool = False
    freeze_steps: int = 0
    """Decisions played after which a frozen part begins to learn; 0 keeps it frozen for the whole run."""
    lr_scale: float = 1.0
    """Its learning rate, as a multiple of the schedule's."""

    def is_frozen(self, frames: int) -> bool:
        """Return whether the part stands still after this many decisions."""
        return self.freeze and (self.freeze_steps == 0 or frames < self.freeze_steps)


def part_of(name: str) -> PartName:
    """Return the part that a parameter belongs to, by its plain name.

    Raises:
        ConfigError: no part begins like this; a compiled module's names do not either.
    """
    for part, prefix in PREFIXES.items():
        if name.startswith(prefix):
            return part
    raise ConfigError(f"{name} is no parameter of the IQN network: parts begin with {', '.join(PREFIXES.values())}.")


def apply_freezing(network: "nn.Module", rules: Mapping[PartName, PartRule], frames: int) -> tuple[PartName, ...]:
    """Freeze and unfreeze what the rules say at this moment and return the frozen parts.

    Freezing is set on the plain module, whatever is compiled around it: names of compiled modules begin differently,
    and matching them would freeze nothing without a word.

    Raises:
        ConfigError: a part has another number of tensors than the network is known to have.
    """
    frozen = tuple(part for part, rule in rules.items() if rule.is_frozen(frames))
    counts = dict.fromkeys(frozen, 0)
    for name, parameter in network.named_parameters():
        part = part_of(name)
        parameter.requires_grad_(part not in counts)
        if part in counts:
            counts[part] += 1
            parameter.grad = None
    for part, count in counts.items():
        if count != N_TENSORS[part]:
            raise ConfigError(f"{count} tensors of {part} were frozen, expected {N_TENSORS[part]}.")
    return frozen

"""The sections of a training configuration for the agents with analog actions: SAC, REDQ and PPO.

Defaults are the hyper-parameters that the TMRL seed recommends; the ``config_*.yaml`` files beside the default one hold
what was tuned on the simulator.
"""

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from trackmaster.nn.kinds import NetworkKind, TrunkActivation
from trackmaster.rl.config.base import FiniteSection

if TYPE_CHECKING:
    from trackmaster.nn.policy_networks import PolicyNetworks

Algorithm = Literal["iqn", "sac", "redq", "ppo"]
OptimizerKind = Literal["adam", "adamw", "sgd"]
Key = Literal["image", "floats"]
Beta = Annotated[float, Field(ge=0, lt=1)]
"""Share of a running average of Adam that stays per step."""


class PolicySection(FiniteSection):
    """What SAC, REDQ and PPO see, and their networks."""

    floats: Literal["telemetry", "lidar", "state"] = "state"
    """Numbers of the observation: 15 of telemetry beside pictures; with 4 scans of lidar (93); or with motion, the line
    ahead and one scan (115)."""
    images: bool = False
    """Whether there are pictures, ``neural_network.n_frames`` of them stacked."""
    network: NetworkKind = "auto"
    """``mlp`` for numbers alone; for pictures ``cnn`` (TMRL's), ``encoder`` (IQN's, an eighth of the multiplications),
    ``vit`` or the recurrent ``cnn_lstm``."""
    hidden_sizes: tuple[int, ...] = Field(default=(256, 256), min_length=1)
    """Widths of the layers of an MLP."""
    layer_norm: bool = False
    """Normalise the hidden layers of MLP critics, which lets them bear more updates per decision."""
    trunk_activation: TrunkActivation = "relu"
    """``tmrl`` leaves out the last activation of the CNN, so that actors trained there can be loaded."""
    actor_sees: tuple[Key, ...] = ()
    """Entries of the observation that the actor uses; all when empty."""
    actor_floats: int = Field(default=0, ge=0)
    """The actor uses the first so many numbers only, 15 being the telemetry; 0 all of them."""
    critic_sees: tuple[Key, ...] = ()
    """Entries that the critics use; more than the actor sees makes an asymmetric critic. All when empty."""
    begin_at: tuple[float, float, float] | None = None
    """Gas, brake and steer around which fresh weights act; the middle when left out, where no pedal is pressed."""
    begin_std: float = Field(default=1.0, gt=0)
    """Deviation of fresh weights before the squash, where ``begin_at`` is given."""

    @field_validator("hidden_sizes")
    @classmethod
    def _positive_widths(cls, sizes: tuple[int, ...]) -> tuple[int, ...]:
        if min(sizes) < 1:
            raise ValueError(f"a layer needs at least one unit, got widths {list(sizes)}")
        return sizes

    @model_validator(mode="after")
    def _pictures_where_they_are_used(self) -> Self:
        if not self.images and (self.network not in ("auto", "mlp") or "image" in self.actor_sees + self.critic_sees):
            raise ValueError(
                f"network: {self.network} with actor_sees {list(self.actor_sees)} and critic_sees "
                f"{list(self.critic_sees)} asks for pictures, but images is false: set policy.images to true"
            )
        return self

    @model_validator(mode="after")
    def _networks_of_pictures_see_them(self) -> Self:
        seeing = {"actor": self.actor_sees, "critics": self.critic_sees}
        blind = [who for who, keys in seeing.items() if keys and "image" not in keys]
        is_unused = len(blind) == 2 or ("actor" in blind and self.network == "cnn_lstm")
        if self.network not in ("auto", "mlp") and is_unused:
            raise ValueError(
                f"network: {self.network} looks at pictures, but with actor_sees {list(self.actor_sees)} and "
                f"critic_sees {list(self.critic_sees)} {' and '.join(blind)} would be plain layers for numbers: let "
                "them see image too, or leave network at auto"
            )
        return self

    def networks(self) -> "PolicyNetworks":
        """Return the builder of the networks."""
        from trackmaster.nn.policy_networks import PolicyNetworks

        return PolicyNetworks(
            network=self.network,
            hidden_sizes=self.hidden_sizes,
            layer_norm=self.layer_norm,
            trunk_activation=self.trunk_activation,
            actor_keys=self.actor_sees or None,
            actor_floats=self.actor_floats or None,
            critic_keys=self.critic_sees or None,
            begin_at=self.begin_at,
            begin_std=self.begin_std,
        )


class AgentSection(FiniteSection):
    """Arguments of an agent by the names of its constructor."""

    def options(self) -> dict[str, Any]:
        """Return the arguments of the agent."""
        return {name: getattr(self, name) for name in type(self).model_fields}


class SACSection(AgentSection):
    """Soft actor-critic."""

    gamma: float = Field(default=0.995, ge=0, lt=1)
    """Discount per decision."""
    polyak: float = Field(default=0.995, ge=0, lt=1)
    """Share of a target network that stays per update."""
    alpha: float = Field(default=0.01, gt=0)
    """Weight of the entropy; where it is learned, its beginning."""
    lr_actor: float = Field(default=1e-5, gt=0)
    """Learning rate of the actor."""
    lr_critic: float = Field(default=5e-5, gt=0)
    """Learning rate of the critics."""
    learn_entropy_coef: bool = False
    """Adapt alpha so that the entropy stays near its target."""
    target_entropy: float | None = None
    """Entropy that the learned alpha aims at; minus the number of actions when left out."""
    lr_entropy: float = Field(default=3e-4, gt=0)
    """Learning rate of the logarithm of alpha."""
    optimizer_actor: OptimizerKind = "adam"
    """Of the actor."""
    optimizer_critic: OptimizerKind = "adam"
    """Of the critics."""
    betas_actor: tuple[Beta, Beta] = (0.9, 0.999)
    """Of the actor's Adam."""
    betas_critic: tuple[Beta, Beta] = (0.9, 0.999)
    """Of the critics' Adam."""
    l2_actor: float = Field(default=0.0, ge=0)
    """Weight decay of the actor."""
    l2_critic: float = Field(default=0.0, ge=0)
    """Weight decay of the critics."""
    clip_grad_norm: float | None = Field(default=None, gt=0)
    """Longest gradient of actor and critics; no limit when left out."""
    actor_average: float = Field(default=0.0, ge=0, lt=1)
    """Share of an averaged actor that stays per update; the average is judged and kept. 0: the newest actor is."""


class REDQSection(SACSection):
    """Randomised ensembled double Q-learning: SAC with many critics."""

    n: int = Field(default=10, ge=1)
    """Critics."""
    m: int = Field(default=2, ge=1)
    """Critics drawn for each target."""
    q_updates_per_policy_update: int = Field(default=20, ge=1)
    """Updates of the critics for each of the actor."""

    @model_validator(mode="after")
    def _enough_critics(self) -> Self:
        if self.m > self.n:
            raise ValueError(f"m is {self.m} and n is {self.n}: no more critics can be drawn than there are")
        return self


class PPOSection(AgentSection):
    """Proximal policy optimisation."""

    gamma: float = Field(default=0.99, ge=0, lt=1)
    """Discount per decision."""
    gae_lambda: float = Field(default=0.95, ge=0, le=1)
    """0 trusts the critic, 1 the rewards."""
    clip_ratio: float = Field(default=0.2, gt=0)
    """How far the probability of a decision may move before it stops paying."""
    lr: float = Field(default=3e-4, gt=0)
    """Learning rate of actor and critic."""
    epochs_per_rollout: int = Field(default=10, ge=1)
    """Passes over each rollout."""
    batch_size: int = Field(default=64, ge=1)
    """Decisions per step of the optimiser."""
    n_steps: int = Field(default=2048, ge=2)
    """Decisions per rollout, all cars of all workers together."""
    value_coef: float = Field(default=0.5, ge=0)
    """Weight of the critic's loss."""
    entropy_coef: float = Field(default=0.0, ge=0)
    """Reward for a wide policy."""
    clip_grad_norm: float = Field(default=0.5, gt=0)
    """Longest gradient; a longer one is scaled down."""
    soft_kl: float = Field(default=0.2, gt=0)
    """Divergence from the policy that drove at which the passes over a rollout end."""
    hard_kl: float = Field(default=0.5, gt=0)
    """Divergence at which a rollout is undone and the learning rate halved."""

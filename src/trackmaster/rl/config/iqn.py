"""The sections of a training configuration about IQN and its memory; names as Linesight's and rulka's users know.

Frames in every schedule are decisions of 50 ms.
"""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from trackmaster.rl.config.base import FiniteSection, Points, check_frames, checked_points
from trackmaster.rl.iqn.config import CompileMode
from trackmaster.rl.iqn.parts import PREFIXES, PartName, PartRule


class NeuralNetworkSection(FiniteSection):
    """Picture size, network sizes, loss and target network."""

    w_downsized: int = Field(default=64, ge=36, le=1024)
    """Columns of the grey picture."""
    h_downsized: int = Field(default=64, ge=36, le=1024)
    """Rows of the grey picture."""
    n_frames: int = Field(default=1, ge=1, le=16)
    """Grey pictures per observation; 1 keeps weights interchangeable with Linesight."""
    iqn_embedding_dimension: int = Field(default=128, ge=1)
    """Cosines that encode one quantile fraction."""
    iqn_n: int = Field(default=8, ge=2)
    """Quantile fractions per sample in training; even."""
    iqn_k: int = Field(default=32, ge=2)
    """Quantile fractions for acting; even."""
    iqn_kappa: float = Field(default=0.005, gt=0)
    """Half-width of the quadratic zone of the loss, in reward units."""
    iqn_loss: Literal["paper", "reference"] = "reference"
    """``reference`` divides each sample's loss by the spread of its own target quantiles; ``paper`` does not."""
    float_hidden_dim: int = Field(default=256, ge=1)
    """Width of the head over the float inputs."""
    dense_hidden_dimension: int = Field(default=1024, ge=2)
    """Units of the hidden layers of both heads together."""
    use_ddqn: bool = True
    """The online network chooses the next action, the target network values it."""
    clip_grad_norm: float = Field(default=30.0, gt=0)
    """Longest gradient of one update; a longer one is scaled down."""
    clip_grad_value: float = Field(default=1000.0, gt=0)
    """Largest single gradient after that."""
    number_memories_trained_on_between_target_network_updates: int = Field(default=2_048, ge=1)
    """Transitions trained on between two updates of the target network."""
    soft_update_tau: float = Field(default=0.02, gt=0, le=1)
    """Part of the way that the target network moves to the online one per update; 1 copies it."""
    use_jit: bool | Literal["auto"] = "auto"
    """Compile the update with torch.compile; auto does on CUDA GPUs only. Where it fails the run goes on without."""
    compile_mode: CompileMode = "default"
    """How: reduce-overhead and max-autotune record CUDA graphs on a GPU."""


class TrainingSection(FiniteSection):
    """Optimiser, schedules and the n-step window."""

    seed: int = Field(default=444, ge=0)
    """Of weights, exploration and the draws from the memory."""
    batch_size: int = Field(default=512, ge=1)
    """Transitions per update."""
    optimizer: Literal["radam", "adamw"] = "radam"
    """RAdam as in Linesight, or AdamW."""
    adam_epsilon: float = Field(default=1e-4, gt=0)
    """Added to the root of the mean squared gradient."""
    adam_beta1: float = Field(default=0.9, ge=0, lt=1)
    """Memory of the mean gradient per update."""
    adam_beta2: float = Field(default=0.999, ge=0, lt=1)
    """Memory of the mean squared gradient per update."""
    weight_decay_lr_ratio: float = Field(default=0.02, ge=0)
    """Weight matrices shrink by this times the learning rate per update."""
    lr_schedule: Points = ((0, 1e-3), (3_000_000, 5e-5), (12_000_000, 5e-5), (15_000_000, 1e-5))
    """Exponential between the points."""
    gamma_schedule: Points = ((1_500_000, 0.999), (2_500_000, 1.0))
    """Linear between the points."""
    global_schedule_speed: float = Field(default=1.0, gt=0)
    """Every schedule of this file runs this many times faster."""
    n_steps: int = Field(default=3, ge=1, le=64)
    """Decisions whose rewards are summed before the network values the rest."""
    discard_non_greedy_actions_in_nsteps: bool = True
    """End such a sum before the first later action that was not greedy."""
    oversample_long_term_steps: int = Field(default=40, ge=0)
    """Clocks of 1 to this many decisions, less twice the next setting, are drawn twice as often as later ones."""
    oversample_maximum_term_steps: int = Field(default=5, ge=0)
    """A clock of 0 (all of the window ahead) is drawn 1 + twice this many times as often as a late one."""
    pretrain_encoder_path: Path | None = None
    """``encoder.pt`` or the folder of a pre-training run; a fresh run begins with it in both networks."""
    pretrain_encoder_freeze: bool = False
    """The encoder (``img_head``, 8 tensors) does not learn."""
    pretrain_encoder_freeze_steps: int = Field(default=0, ge=0)
    """Decisions after which it learns after all; 0 freezes it for the whole run."""
    pretrain_float_head_freeze: bool = False
    """The head over the floats (``float_feature_extractor``, 4 tensors) does not learn."""
    pretrain_float_head_freeze_steps: int = Field(default=0, ge=0)
    """Decisions after which it learns after all; 0 freezes it for the whole run."""
    pretrain_iqn_fc_freeze: bool = False
    """The embedding of the fractions (``iqn_fc``, 2 tensors) does not learn."""
    pretrain_iqn_fc_freeze_steps: int = Field(default=0, ge=0)
    """Decisions after which it learns after all; 0 freezes it for the whole run."""
    pretrain_actions_head_freeze: bool = False
    """The advantages (``A_head``, 4 tensors) do not learn."""
    pretrain_actions_head_freeze_steps: int = Field(default=0, ge=0)
    """Decisions after which they learn after all; 0 freezes them for the whole run."""
    pretrain_V_head_freeze: bool = False  # noqa: N815, the reference's spelling
    """The value (``V_head``, 4 tensors) does not learn."""
    pretrain_V_head_freeze_steps: int = Field(default=0, ge=0)  # noqa: N815
    """Decisions after which it learns after all; 0 freezes it for the whole run."""
    pretrain_lr_scale: float = Field(default=1.0, gt=0)
    """Learning rate, as a multiple of the schedule's, of a given encoder and of every part with a freeze flag."""
    max_minutes: float = Field(default=0.0, ge=0)
    """Stop after this wall time, earlier lives of the run included; 0 trains until Ctrl+C."""
    max_frames: int = Field(default=0, ge=0)
    """Stop after this many decisions; 0 sets no limit."""

    def part_rules(self) -> dict[PartName, PartRule]:
        """Return how the parts of the network learn that are frozen or have a rate of their own."""
        rules: dict[PartName, PartRule] = {}
        for part in PREFIXES:
            freeze = bool(getattr(self, f"pretrain_{part}_freeze"))
            if freeze or (part == "encoder" and self.pretrain_encoder_path is not None):
                steps = int(getattr(self, f"pretrain_{part}_freeze_steps"))
                rules[part] = PartRule(part, freeze, steps, self.pretrain_lr_scale)
        return rules

    @model_validator(mode="after")
    def _something_learns(self) -> Self:
        rules = self.part_rules()
        for part in PREFIXES:
            if getattr(self, f"pretrain_{part}_freeze_steps") and not getattr(self, f"pretrain_{part}_freeze"):
                raise ValueError(f"pretrain_{part}_freeze_steps has no effect without pretrain_{part}_freeze: true")
        if self.pretrain_lr_scale != 1 and not rules:
            raise ValueError("pretrain_lr_scale has no effect without pretrain_encoder_path or a freeze flag")
        if len(rules) == len(PREFIXES) and all(rule.is_frozen(0) for rule in rules.values()):
            raise ValueError("all five parts of the network are frozen, so nothing would learn: leave one free")
        return self

    @field_validator("lr_schedule")
    @classmethod
    def _positive_rates(cls, points: Points) -> Points:
        return checked_points(points, low=0.0, low_allowed=False)

    @field_validator("gamma_schedule")
    @classmethod
    def _discounts(cls, points: Points) -> Points:
        return checked_points(points, low=0.0, high=1.0)


class MemorySection(FiniteSection):
    """Replay memory."""

    memory_size_schedule: tuple[tuple[int, int, int], ...] = (
        (0, 50_000, 20_000), (5_000_000, 100_000, 75_000), (7_000_000, 200_000, 150_000),
    )  # fmt: skip
    """[frame, rows, rows before learning starts], in steps."""
    number_times_single_memory_is_used_before_discard: float = Field(default=32.0, gt=0)
    """The learner pauses when it has trained on each transition this often on average."""
    min_times_single_memory_is_used: float = Field(default=0.0, ge=0)
    """Workers pause while the learner has used transitions less often than this; 0 lets them run."""
    buffer_test_ratio: float = Field(default=0.05, ge=0, le=0.5)
    """Share of episodes kept out of training for the test loss."""
    prio_alpha: float = Field(default=0.0, ge=0, le=1)
    """How much the agent's error counts for the chance of a transition to be drawn; 0 draws all alike."""
    prio_epsilon: float = Field(default=2e-3, gt=0)
    """Added to every error, in reward units."""
    prio_beta_schedule: Points = ((0, 1.0),)
    """How far the loss makes up for unequal draws, 1 wholly; linear between the points."""
    save_with_checkpoint: bool = False
    """Write the memory beside the checkpoint, so that a resumed run continues as if never stopped."""

    @field_validator("prio_beta_schedule")
    @classmethod
    def _betas(cls, points: Points) -> Points:
        return checked_points(points, low=0.0, high=1.0)

    @field_validator("memory_size_schedule")
    @classmethod
    def _rows_to_keep(cls, points: tuple[tuple[int, int, int], ...]) -> tuple[tuple[int, int, int], ...]:
        check_frames([frame for frame, _, _ in points])
        for frame, rows, start in points:
            if rows < 1 or start < 0:
                raise ValueError(
                    f"expected at least 1 row and a start of at least 0 rows in each [frame, rows, rows before "
                    f"learning starts], got [{frame}, {rows}, {start}]"
                )
        return points


class ExplorationSection(FiniteSection):
    """How exploring cars stray from the best known action."""

    epsilon_schedule: Points = ((0, 1.0), (50_000, 1.0), (300_000, 0.1), (3_000_000, 0.03))
    """Share of random actions; exponential between the points."""
    epsilon_boltzmann_schedule: Points = ((0, 0.15), (3_000_000, 0.03))
    """Share of actions chosen after noise on the returns; exponential between the points."""
    tau_epsilon_boltzmann: float = Field(default=0.01, ge=0)
    """Standard deviation of that noise, in reward units."""
    epsilon_spread: float = Field(default=0.0, ge=0)
    """Cars stray unequally: the last of a worker's cars with epsilon to the power of 1 + spread."""
    random_action_weights: tuple[float, ...] = ()
    """Relative weights of the 12 random actions; empty means equal."""

    @field_validator("epsilon_schedule", "epsilon_boltzmann_schedule")
    @classmethod
    def _shares(cls, points: Points) -> Points:
        return checked_points(points, low=0.0, high=1.0)

    @model_validator(mode="after")
    def _twelve_weights(self) -> Self:
        weights = self.random_action_weights
        if weights and (len(weights) != 12 or min(weights) < 0 or sum(weights) <= 0):
            raise ValueError("random_action_weights needs 12 numbers that are not negative, or none")
        return self

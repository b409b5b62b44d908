"""What a ``config.json`` says: one model for the seed's spelling of it and for tmrl's.

Names are upper case because they are the file's; defaults are the seed's, and tmrl's where the seed has none.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from trackmaster.config import Section

Beta = Annotated[float, Field(ge=0, lt=1)]
"""Share of a running average of Adam that stays per step."""


class AlgSection(Section):
    """``ALG``: the algorithm and its numbers."""

    ALGORITHM: Literal["SAC", "REDQSAC", "PPO", "IQN"] = "SAC"
    LEARN_ENTROPY_COEF: bool = False
    """Adapt the entropy weight instead of keeping ALPHA."""
    LR_ACTOR: float = Field(default=1e-5, gt=0)
    LR_CRITIC: float = Field(default=5e-5, gt=0)
    LR_ENTROPY: float = Field(default=3e-4, gt=0)
    GAMMA: float = Field(default=0.995, ge=0, le=1)
    POLYAK: float = Field(default=0.995, ge=0, le=1)
    TARGET_ENTROPY: float | None = -0.5
    ALPHA: float = Field(default=0.01, gt=0)
    REDQ_N: int = Field(default=10, ge=1)
    """Critics of REDQ."""
    REDQ_M: int = Field(default=2, ge=1)
    """Critics drawn for a target."""
    REDQ_Q_UPDATES_PER_POLICY_UPDATE: int = Field(default=20, ge=1)
    OPTIMIZER_ACTOR: Literal["adam", "adamw", "sgd"] = "adam"
    OPTIMIZER_CRITIC: Literal["adam", "adamw", "sgd"] = "adam"
    BETAS_ACTOR: tuple[Beta, Beta] | None = (0.997, 0.997)
    BETAS_CRITIC: tuple[Beta, Beta] | None = (0.997, 0.997)
    L2_ACTOR: float = Field(default=0.0, ge=0)
    L2_CRITIC: float = Field(default=0.0, ge=0)


class EnvSection(Section):
    """``ENV``: what is driven, and the real-time environment around it."""

    RTGYM_INTERFACE: str = "SIMULATOR"
    """SIMULATOR, SIMULATORLIDAR, SIMULATORLIDARPROGRESS, TM20FULL, TM20LIDAR, TM20LIDARPROGRESS, TMNF …"""
    SLEEP_TIME_AT_RESET: float = Field(default=1.5, ge=0)
    """Seconds until the light is green."""
    LINUX_X_OFFSET: int = 64
    LINUX_Y_OFFSET: int = 70
    IMG_SCALE_CHECK_ENV: float = Field(default=1.0, gt=0)
    RTGYM_CONFIG: dict[str, Any] = Field(default_factory=dict)
    """Entries of rtgym's dictionary."""
    REWARD_CONFIG: dict[str, float] = Field(default_factory=dict)
    """Constants of the reward along a demonstration."""

    @field_validator("RTGYM_CONFIG")
    @classmethod
    def _arguments_by_name(cls, entries: dict[str, Any]) -> dict[str, Any]:
        kwargs = entries.get("interface_kwargs")
        if kwargs is not None and not isinstance(kwargs, dict):
            raise ValueError(f"interface_kwargs is {kwargs!r}, expected an object with arguments by name")
        return entries


class RunConfig(Section):
    """The whole file."""

    RUN_NAME: str = Field(default="trackmaster_v1", min_length=1, max_length=80)
    WINDOW_WIDTH: int | None = Field(default=None, gt=0)
    """Of the game; 256, or 958 for a lidar, when left out."""
    WINDOW_HEIGHT: int | None = Field(default=None, gt=0)
    """Of the game; 128, or 488 for a lidar, when left out."""
    IMG_WIDTH: int = Field(default=64, gt=0)
    IMG_HEIGHT: int = Field(default=64, gt=0)
    IMG_GRAYSCALE: bool = True
    IMG_HIST_LEN: int = Field(default=4, ge=1, le=64)
    ACT_BUF_LEN: int = Field(default=4, ge=1, le=64)

    LOCALHOST_WORKER: bool = True
    """Workers look for the server on their own machine."""
    LOCALHOST_TRAINER: bool = False
    """The trainer looks for the server on its own machine."""
    PUBLIC_IP_SERVER: str = "127.0.0.1"
    """Address of the server, or the join string that ``trackmaster server --show-join`` prints."""
    PORT: int = Field(default=6666, ge=0, le=65535)
    PASSWORD: str = Field(default="trackmaster_secure_pwd", repr=False)
    SECURITY: Literal["TLS"] | None = None
    ALLOW_INSECURE: bool = False
    """Plain text off this machine, in a network that is yours alone."""
    TLS_HOSTNAME: str = "default"
    TLS_CREDENTIALS_DIRECTORY: str = ""
    """Folder of the server's certificate and tokens; the user's own when empty."""

    MAX_EPOCHS: int = Field(default=100, ge=1)
    ROUNDS_PER_EPOCH: int = Field(default=10, ge=1)
    TRAINING_STEPS_PER_ROUND: int = Field(default=1_000, ge=1)
    UPDATE_MODEL_INTERVAL: int = Field(default=1_000, ge=1)
    UPDATE_BUFFER_INTERVAL: int = Field(default=100, ge=1)
    MEMORY_SIZE: int = Field(default=1_000_000, ge=1)
    BATCH_SIZE: int = Field(default=256, ge=1)
    ENVIRONMENT_STEPS_BEFORE_TRAINING: int = Field(default=2_000, ge=0)
    MAX_TRAINING_STEPS_PER_ENVIRONMENT_STEP: float = Field(default=1.0, gt=0)
    RESET_TRAINING: bool = False
    """Continue with the memory and a new agent."""
    CUDA_TRAINING: bool = True
    CUDA_INFERENCE: bool = False

    WANDB_PROJECT: str = "trackmaster"
    WANDB_ENTITY: str = ""
    WANDB_RUN_ID: str = ""
    """RUN_NAME when empty."""
    WANDB_KEY: str = Field(default="", repr=False)
    """The environment's WANDB_API_KEY goes first."""

    BUFFERS_MAXLEN: int = Field(default=500_000, ge=1)
    RW_MAX_SAMPLES_PER_EPISODE: int = Field(default=1_000, ge=1)
    VIRTUAL_GAMEPAD: bool = True
    NB_WORKERS: int = -1
    """Workers that the server takes; -1 sets no limit."""
    SAVE_MODEL_EVERY: int = Field(default=0, ge=0)
    """Keep every n-th policy received; 0 keeps none."""
    DEBUG_MODE: bool = False
    """Compare every rebuilt sample with the checksum of the original."""

    LOCAL_PORT_SERVER: int | None = None
    LOCAL_PORT_TRAINER: int | None = None
    LOCAL_PORT_WORKER: int | None = None
    BUFFER_SIZE: int | None = None
    HEADER_SIZE: int | None = None
    VERSION: str | None = Field(default=None, alias="__VERSION__")

    ALG: AlgSection = AlgSection()
    ENV: EnvSection = EnvSection()

    @property
    def server_for_worker(self) -> str:
        """Where workers find the server."""
        return "127.0.0.1" if self.LOCALHOST_WORKER else self.PUBLIC_IP_SERVER

    @property
    def server_for_trainer(self) -> str:
        """Where the trainer finds the server."""
        return "127.0.0.1" if self.LOCALHOST_TRAINER else self.PUBLIC_IP_SERVER


UNUSED = ("LOCAL_PORT_SERVER", "LOCAL_PORT_TRAINER", "LOCAL_PORT_WORKER", "BUFFER_SIZE", "HEADER_SIZE")
"""Keys that are accepted and mean nothing here: there is one port and no helper process."""

"""Settings of visual pre-training (Level 0)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import SettingsConfigDict

from trackmaster.config import Section, Settings
from trackmaster.errors import ConfigError

ImageNormalization = Literal["01", "iqn"]
Framework = Literal["lightning", "native", "lightly"]
TaskName = Literal["ae", "vae", "simclr"]
StackMode = Literal["channel", "concat"]

RL_CONFIG_DEFAULT = Path("config_files/rl/config_default.yaml")
MAPS_DIRS_DEFAULT = (Path("maps/tracks"), Path("maps/replays"))
_FLAT_FLAGS = (
    "tensorboard", "tensorboard-dir", "csv-logger", "csv-dir", "checkpoint-dir", "save-top-k", "early-stopping",
    "patience", "accelerator", "precision", "log-every-n-steps", "deterministic", "profiler",
)  # fmt: skip


class LightningOptions(Section):
    """How the training loop runs: logging, checkpoints, early stopping, device. The native loop honours them too."""

    tensorboard: bool = True
    """Write TensorBoard event files."""
    tensorboard_dir: str = "tb"
    """Their folder inside the run."""
    csv_logger: bool = True
    """Write the logged values as CSV."""
    csv_dir: str = "csv"
    """Its folder inside the run."""
    checkpoint_dir: str = "checkpoints"
    """Folder of the resumable training states inside the run."""
    save_top_k: int = Field(default=1, ge=-1)
    """Best training states kept: -1 all, 0 only the last."""
    checkpoint_monitor: Literal["auto", "train_loss", "val_loss"] = "auto"
    """What 'best' means: the validation loss where there is one, else the training loss."""
    early_stopping: bool = True
    """Stop when the monitored loss no longer falls."""
    patience: int = Field(default=10, ge=1)
    """Epochs without improvement before stopping."""
    min_delta: float = Field(default=0.0, ge=0)
    """Smallest fall that counts as improvement."""
    accelerator: Literal["auto", "cpu", "gpu", "cuda", "mps"] = "auto"
    """Device; auto takes a GPU where one is."""
    precision: Literal["auto", "32-true", "16-mixed", "bf16-mixed"] = "auto"
    """Arithmetic; auto is 16-mixed on CUDA and 32-true elsewhere."""
    devices: Literal[1] | None = None
    """Number of devices; these networks are too small to gain from a second one."""
    log_every_n_steps: int = Field(default=50, ge=1)
    """Batches between two logged training losses."""
    deterministic: bool = False
    """Refuse operations whose result depends on the order of threads."""
    enable_model_summary: bool = True
    """Print layers and parameter counts at the start."""
    profiler: Literal["simple", "advanced"] | None = None
    """Profiler of the lightning framework."""
    float32_matmul_precision: Literal["highest", "high", "medium"] = "medium"
    """How exactly a GPU multiplies float32 matrices."""


class PretrainConfig(Settings):
    """Visual pre-training: which frames, which objective, for how long."""

    model_config = SettingsConfigDict(
        env_prefix="PRETRAIN_", cli_shortcuts={f"lightning.{name}": name for name in _FLAT_FLAGS}
    )
    default_yaml: ClassVar[tuple[str, ...]] = (
        "config_files/pretrain_config.yaml",
        "config_files/pretrain/vis/pretrain_config.yaml",
    )
    foreign_env_prefixes: ClassVar[tuple[str, ...]] = ("PRETRAIN_BC_",)

    data_dir: Path = Path("maps/img")
    """Captured frames: data_dir/<track_id>/<replay_name>/frame_*_*ms.jpeg."""
    output_dir: Path = Path("pretrain_visual_out")
    """Where runs are kept, one folder each."""
    run_name: str | None = None
    """Name of the run's folder; by default run_001, run_002 and so on."""
    overwrite: bool = False
    """Replace an earlier run of the same name; refused otherwise."""
    resume: Path | None = None
    """Folder of an interrupted run to continue with its own settings; flags may raise --epochs."""
    preprocess_cache_dir: Path | None = None
    """Decode all frames once into this folder and train from there; without it frames are decoded in every epoch."""
    cache_load_in_ram: bool = False
    """Load the cache into memory instead of mapping it."""
    cache_build_workers: int = Field(default=0, ge=0)
    """Threads that build the cache; 0 takes one per core."""
    cache_dtype: Literal["uint8", "float32"] | None = None
    """What a cache holds: bytes with every frame once, or the windows as float32 for other tools. Default: uint8."""
    rl_config_path: Path = RL_CONFIG_DEFAULT
    """RL configuration that decides the picture size (neural_network.w_downsized and h_downsized)."""
    task: TaskName = "ae"
    """What the encoder learns from: rebuild the frame, rebuild it from a distribution, tell frames apart."""
    framework: Framework = "lightning"
    """Who runs the training loop; network, loss and result are the same."""
    image_normalization: ImageNormalization = "01"
    """Scale of the pixels: 01 is x/255, iqn is the agent's (x-128)/128. Both can be injected into an agent."""
    n_stack: int = Field(default=1, ge=1, le=32)
    """Consecutive frames per sample; windows never cross a replay."""
    stack_mode: StackMode = "channel"
    """Frames as input channels of one encoder, or one encoder per frame with features concatenated and fused."""
    epochs: int = Field(default=50, ge=1)
    """Passes over the training set."""
    batch_size: int = Field(default=128, ge=1)
    """Samples per step."""
    lr: float = Field(default=1e-3, gt=0)
    """Learning rate of Adam."""
    workers: int = Field(default=4, ge=0)
    """Threads that make batches; 0 makes them in the training thread."""
    pin_memory: bool = True
    """Copy batches through page-locked memory to a GPU."""
    prefetch_factor: int = Field(default=2, ge=1)
    """Batches in the making per thread."""
    grad_clip: float = Field(default=1.0, ge=0)
    """Largest norm of the gradient; 0 does not limit it."""
    vae_latent: int = Field(default=64, ge=1)
    """Latent numbers of the VAE."""
    proj_dim: int = Field(default=128, ge=1)
    """Dimensions of the space SimCLR compares views in."""
    temperature: float = Field(default=0.5, gt=0)
    """Temperature of SimCLR's softmax."""
    kl_weight: float = Field(default=1e-3, ge=0)
    """Weight of the VAE's distance to the standard normal distribution."""
    val_fraction: float = Field(default=0.0, ge=0, lt=1)
    """Share of the maps held out; splitting frames instead would leak neighbours 10 ms apart."""
    seed: int = Field(default=42, ge=0)
    """Of the split, the weights, the order of the batches and all noise."""
    use_tqdm: bool = True
    """Draw progress bars (--no-tqdm: plain lines)."""
    probe: bool = True
    """Score the encoder at the end: what a linear read-out of its features knows about the car."""
    maps_dirs: tuple[Path, ...] = MAPS_DIRS_DEFAULT
    """Folders with the maps of the frames, or with replays that hold them: for the probe's distance to the border."""
    lightning: LightningOptions = LightningOptions()
    """Options of the training loop; their flags work without the prefix too."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.framework == "lightly" and (self.task != "simclr" or self.n_stack != 1):
            raise ValueError("framework lightly trains simclr on single frames only: use lightning or native")
        if self.framework == "native" and self.lightning.profiler is not None:
            raise ValueError("the native loop has no profiler: use framework lightning, or leave the profiler out")
        return self

    @classmethod
    def load(
        cls,
        argv: Sequence[str] = (),
        *,
        config: str | Path | None = None,
        prog: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Self:
        """Resolve all sources; a run that is resumed brings its own YAML file.

        Raises:
            ConfigError: as ``Settings.load``; or the folder to resume holds no configuration.
        """
        flags = ["--no-use-tqdm" if word == "--no-tqdm" else word for word in argv]
        resumed = _flag_value(flags, "--resume")
        if resumed is not None and config is None and _flag_value(flags, "--config") is None:
            config = Path(resumed) / "resolved_config.yaml"
            if not config.is_file():
                raise ConfigError(
                    f"--resume {resumed}: no resolved_config.yaml there. Name the folder of a run (run_NNN)."
                )
        return super().load(flags, config=config, prog=prog, environment=environment)


def _flag_value(flags: Sequence[str], name: str) -> str | None:
    for position, word in enumerate(flags):
        if word == name and position + 1 < len(flags):
            return flags[position + 1]
        if word.startswith(name + "="):
            return word.partition("=")[2]
    return None

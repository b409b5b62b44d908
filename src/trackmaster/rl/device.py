"""Where a learner computes."""

from typing import Literal

from trackmaster.errors import ConfigError

DeviceChoice = Literal["auto", "cpu", "cuda"]


def resolve_device(choice: DeviceChoice) -> str:
    """Return the device to compute on; ``auto`` takes a CUDA GPU where PyTorch sees one.

    Raises:
        ConfigError: CUDA was asked for and PyTorch sees none.
    """
    import torch  # a configuration names the choices without it

    if choice == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            "device is cuda, but PyTorch sees no CUDA GPU: install a build with CUDA and a driver, or use --device cpu."
        )
    if choice == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return choice

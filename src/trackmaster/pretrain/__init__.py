"""Pre-training: tasks that teach an encoder to see, their artefacts, and the way into an agent."""

from typing import TYPE_CHECKING, Any

from trackmaster.pretrain.config import PretrainConfig
from trackmaster.pretrain.errors import PretrainError

if TYPE_CHECKING:
    from trackmaster.pretrain.artifact import Artifact
    from trackmaster.pretrain.inject import init_iqn_from_encoder
    from trackmaster.pretrain.runner import run, run_pretrain

__all__ = ["Artifact", "PretrainConfig", "PretrainError", "init_iqn_from_encoder", "run", "run_pretrain"]


def __getattr__(name: str) -> Any:
    """Import what needs torch only when it is asked for: a configuration and its help do without."""
    if name == "Artifact":
        from trackmaster.pretrain.artifact import Artifact

        return Artifact
    if name == "init_iqn_from_encoder":
        from trackmaster.pretrain.inject import init_iqn_from_encoder

        return init_iqn_from_encoder
    if name in ("run", "run_pretrain"):
        from trackmaster.pretrain import runner

        return getattr(runner, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""Calls with some arguments filled in, and copies for acting."""

from trackmaster.distributed.config_json.partials import partial
from trackmaster.rl.torch_actor import no_grad_copy

__all__ = ["no_grad_copy", "partial"]

"""What acts, and the JSON form of its weights."""

from trackmaster.rl.actor import ActorModule
from trackmaster.rl.files.weights_files import TorchJSONDecoder, TorchJSONEncoder
from trackmaster.rl.torch_actor import TorchActorModule, no_grad_copy

__all__ = ["ActorModule", "TorchActorModule", "TorchJSONDecoder", "TorchJSONEncoder", "no_grad_copy"]

"""What acts, and the JSON form of its weights."""

from trackmaster.rl.actor import ActorModule
from trackmaster.rl.torch_actor import TorchActorModule, no_grad_copy
from trackmaster.rl.weights_files import TorchJSONDecoder, TorchJSONEncoder

__all__ = ["ActorModule", "TorchActorModule", "TorchJSONDecoder", "TorchJSONEncoder", "no_grad_copy"]

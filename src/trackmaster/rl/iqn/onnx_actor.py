"""Acting through ONNX Runtime: the network of an IQN actor as one small graph, rebuilt when weights arrive.

Acting uses fixed quantile fractions, so their embedding is a constant of the graph. The mean over the fractions is
taken before the last layer, which is linear. The graph is written down here, node by node, and weights become its
constants: ONNX Runtime packs constants for its matrix products when a session is made, which it cannot do with inputs.
"""

from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from trackmaster.nn.encoder import LEAKY_SLOPE
from trackmaster.nn.iqn import IQNNetwork

OPSET: Final = 18
IR_VERSION: Final = 9
"""Old enough for every ONNX Runtime of the last years."""

_STRIDES: Final = ((0, 2), (2, 2), (4, 2), (6, 1))
"""Index of each convolution in ``img_head`` and its stride."""


class OnnxPolicy:
    """Expected returns, or advantages, of a network with its weights of this moment, on one CPU thread.

    Args:
        network: the weights are copied; later changes do not reach the graph.
        tau_grid: (K,) fractions to average over.
        threads: of one call; more than one keeps cores spinning for little.

    Raises:
        ImportError: ``onnx`` or ``onnxruntime`` is not installed.
    """

    def __init__(self, network: IQNNetwork, tau_grid: torch.Tensor, *, threads: int = 1) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            acting_graph(network, tau_grid), options, providers=["CPUExecutionProvider"]
        )

    def advantages(self, image: NDArray[np.uint8], floats: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the mean advantage of every action, (N, A): enough to choose one."""
        found: NDArray[np.float32] = self._session.run(["advantage"], {"image": image, "floats": floats})[0]
        return found


def acting_graph(network: IQNNetwork, tau_grid: torch.Tensor) -> bytes:
    """Return a serialised ONNX model: ``image`` (N, C, H, W) uint8, ``floats`` (N, F) to ``advantage`` (N, A)."""
    from onnx import TensorProto, helper, numpy_helper

    state = {name: value.detach().cpu().contiguous().numpy() for name, value in network.state_dict().items()}
    with torch.no_grad():
        embedding = network.embed_tau(tau_grid[:, None].to(network.float_mean.device)).cpu().numpy()  # (K, D)
    constants: dict[str, NDArray[Any]] = {
        "pixel_offset": np.array(128.0, np.float32), "pixel_scale": np.array(1 / 128, np.float32),
        "float_mean": network.float_mean.cpu().numpy(), "float_std": network.float_std.cpu().numpy(),
        "embedding": embedding[None], "middle": np.array([1], dtype=np.int64),
        "hidden_weight": np.ascontiguousarray(state["A_head.0.weight"].T), "hidden_bias": state["A_head.0.bias"],
        **{name: value for name, value in state.items() if not name.startswith(("A_head.0", "V_head", "iqn_fc"))},
    }  # fmt: skip
    nodes: list[Any] = []

    def add(kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def leaky(name: str) -> str:
        return add("LeakyRelu", [name], f"{name}.active", alpha=LEAKY_SLOPE)

    x = add("Cast", ["image"], "pixels", to=TensorProto.FLOAT)
    x = add("Mul", [add("Sub", [x, "pixel_offset"], "centred"), "pixel_scale"], "scaled")
    for index, stride in _STRIDES:
        name = f"img_head.{index}"
        x = leaky(add("Conv", [x, f"{name}.weight", f"{name}.bias"], name, strides=[stride, stride]))
    x = add("Flatten", [x], "picture", axis=1)
    f = add("Div", [add("Sub", ["floats", "float_mean"], "moved"), "float_std"], "normalised")
    for index in (0, 2):
        name = f"float_feature_extractor.{index}"
        f = leaky(add("Gemm", [f, f"{name}.weight", f"{name}.bias"], name, transB=1))
    features = add("Unsqueeze", [add("Concat", [x, f], "features", axis=1), "middle"], "features.wide")
    mixed = add("Mul", [features, "embedding"], "mixed")  # (N, K, D)
    hidden = leaky(add("Add", [add("MatMul", [mixed, "hidden_weight"], "product"), "hidden_bias"], "hidden"))
    mean = add("ReduceMean", [hidden, "middle"], "mean", keepdims=0)
    add("Gemm", [mean, "A_head.2.weight", "A_head.2.bias"], "advantage", transB=1)
    channels, height, width = network.n_frames, network.image_height, network.image_width
    graph = helper.make_graph(
        nodes, "iqn_actor",
        [
            helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", channels, height, width]),
            helper.make_tensor_value_info("floats", TensorProto.FLOAT, ["n", network.n_floats]),
        ],
        [helper.make_tensor_value_info("advantage", TensorProto.FLOAT, ["n", network.n_actions])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    content: bytes = model.SerializeToString()
    return content

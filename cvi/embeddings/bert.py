"""BERT's encoder (Devlin et al. 2019) as an ONNX network with 8-bit weights, made from plain tensors.

Weights have a scale for each output; activations are quantized as they come, by the range of the whole call,
so a call is one text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvi.embeddings.base import Vectors

_SMALL = 1e-12


@dataclass(frozen=True, slots=True)
class BertShape:
    """`name` is the network's; `epsilon` of its layer normalizations."""

    name: str
    layers: int
    heads: int
    width: int
    epsilon: float = 1e-12


class _Graph:
    """An ONNX graph as it is written, node by node."""

    def __init__(self, epsilon: float) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._epsilon = epsilon

    def constant(self, value: NDArray[Any]) -> str:
        from onnx import numpy_helper

        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def add(self, operator: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        from onnx import helper

        names = [f"n{len(self.nodes)}_{index}" for index in range(outputs)]
        self.nodes.append(helper.make_node(operator, list(inputs), names, **attributes))
        return names[0] if outputs == 1 else names

    def linear(self, x: str, weight: Vectors, bias: Vectors) -> str:
        """x @ weight.T + bias, the weight in 8 bits with a scale for each output, x quantized as it comes."""
        scale = np.maximum(np.abs(weight).max(axis=1), _SMALL) / 127
        rounded = np.round(weight / scale[:, None]).astype(np.int8).T
        quantized, x_scale, x_zero = self.add("DynamicQuantizeLinear", x, outputs=3)
        product = self.add("MatMulInteger", quantized, self.constant(rounded), x_zero)
        scales = self.add("Mul", x_scale, self.constant(scale.astype(np.float32)))
        scaled = self.add("Mul", self.add("Cast", product, to=1), scales)
        return str(self.add("Add", scaled, self.constant(bias)))

    def normalized(self, x: str, weight: Vectors, bias: Vectors) -> str:
        gain, offset = self.constant(weight), self.constant(bias)
        return str(self.add("LayerNormalization", x, gain, offset, axis=-1, epsilon=self._epsilon))


def bert_network(tensors: dict[str, Vectors], shape: BertShape) -> bytes:
    """Embedded tokens [batch, tokens, width] -> the mean of their last states [batch, width].

    `tensors` have the names of Hugging Face's `BertModel`.
    """
    from onnx import TensorProto, helper

    graph = _Graph(shape.epsilon)

    def weights(name: str) -> tuple[Vectors, Vectors]:
        return tensors[f"{name}.weight"], tensors[f"{name}.bias"]

    size = shape.width // shape.heads
    heads = graph.constant(np.array([0, 0, shape.heads, size]))
    flat = graph.constant(np.array([0, 0, shape.width]))
    scale = graph.constant(np.array(1 / np.sqrt(size), np.float32))
    half, root, one = (graph.constant(np.array(v, np.float32)) for v in (0.5, 1 / np.sqrt(2), 1.0))
    x = graph.normalized("states", *weights("embeddings.LayerNorm"))
    for layer in range(shape.layers):
        at = f"encoder.layer.{layer}"

        def split(name: str, order: list[int], at: str = at, x: str = x) -> str:
            each = graph.add("Reshape", graph.linear(x, *weights(f"{at}.attention.self.{name}")), heads)
            return str(graph.add("Transpose", each, perm=order))

        scores = graph.add("MatMul", split("query", [0, 2, 1, 3]), split("key", [0, 2, 3, 1]))
        attention = graph.add("Softmax", graph.add("Mul", scores, scale), axis=-1)
        seen = graph.add("MatMul", attention, split("value", [0, 2, 1, 3]))
        joined = graph.add("Reshape", graph.add("Transpose", seen, perm=[0, 2, 1, 3]), flat)
        out = graph.linear(joined, *weights(f"{at}.attention.output.dense"))
        x = graph.normalized(graph.add("Add", out, x), *weights(f"{at}.attention.output.LayerNorm"))
        wide = graph.linear(x, *weights(f"{at}.intermediate.dense"))
        error = graph.add("Add", graph.add("Erf", graph.add("Mul", wide, root)), one)
        gelu = graph.add("Mul", graph.add("Mul", wide, error), half)
        out = graph.linear(gelu, *weights(f"{at}.output.dense"))
        x = graph.normalized(graph.add("Add", out, x), *weights(f"{at}.output.LayerNorm"))
    graph.nodes.append(helper.make_node("ReduceMean", [x], ["mean"], axes=[1], keepdims=0))
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            shape.name,
            [helper.make_tensor_value_info("states", TensorProto.FLOAT, ["batch", "tokens", shape.width])],
            [helper.make_tensor_value_info("mean", TensorProto.FLOAT, ["batch", shape.width])],
            graph.constants,
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=9,
    )
    return bytes(model.SerializeToString())

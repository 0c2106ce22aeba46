"""A thin layer over onnx protobufs: nodes with generated names, constants inline, weights by reference."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from export.weights.layout import Section

OPSET = 21
CONTRIB = "com.microsoft"
IR_VERSION = 10
TYPES = {"float32": TensorProto.FLOAT, "uint8": TensorProto.UINT8, "int8": TensorProto.INT8}


class GraphBuilder:
    """Collects one graph. Values are plain strings, as in ONNX itself."""

    def __init__(self, name: str, weights_file: str) -> None:
        self.name = name
        self.weights_file = weights_file
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: dict[str, TensorProto] = {}
        self.inputs: list[onnx.ValueInfoProto] = []
        self.outputs: list[onnx.ValueInfoProto] = []

    def input(self, name: str, dtype: int, shape: Sequence[Any]) -> str:
        self.inputs.append(helper.make_tensor_value_info(name, dtype, shape))
        return name

    def output(self, name: str, dtype: int, shape: Sequence[Any]) -> None:
        self.outputs.append(helper.make_tensor_value_info(name, dtype, shape))

    def node(
        self,
        op: str,
        inputs: Sequence[str],
        outputs: str | Sequence[str],
        domain: str = "",
        **attributes: Any,
    ) -> str:
        """Adds a node and returns the name of its first output; the first output also names the node."""
        names = [outputs] if isinstance(outputs, str) else list(outputs)
        self.nodes.append(helper.make_node(op, inputs, names, name=f"{names[0]}/{op}", domain=domain, **attributes))
        return names[0]

    def constant(self, name: str, value: np.ndarray) -> str:
        """A small constant, stored in the graph itself."""
        self.initializers[name] = onnx.numpy_helper.from_array(value, name)
        return name

    def weight(self, section: Section, shape: Sequence[int] | None = None, alias: str = "") -> str:
        """A byte range of the weights file. The same range may be seen under another shape by an alias."""
        name = alias or section.name
        if name not in self.initializers:
            tensor = TensorProto(name=name, data_type=TYPES[section.dtype], dims=shape or section.shape)
            tensor.data_location = TensorProto.EXTERNAL
            for key, value in (
                ("location", self.weights_file),
                ("offset", section.offset),
                ("length", section.length),
            ):
                tensor.external_data.add(key=key, value=str(value))
            self.initializers[name] = tensor
        return name

    def choice(self, condition: str, then: "GraphBuilder", otherwise: "GraphBuilder", outputs: Sequence[str]) -> None:
        """One of two branches, made by `branch`; their own outputs are declared in the order of `outputs`."""
        bodies = [helper.make_graph(one.nodes, one.name, [], one.outputs) for one in (then, otherwise)]
        self.node("If", [condition], outputs, then_branch=bodies[0], else_branch=bodies[1])

    def branch(self, name: str) -> "GraphBuilder":
        """Sees all values of this graph, and its constants become constants of this graph."""
        made = GraphBuilder(name, self.weights_file)
        made.initializers = self.initializers
        return made

    def serialize(self) -> bytes:
        graph = helper.make_graph(
            self.nodes, self.name, self.inputs, self.outputs, initializer=list(self.initializers.values())
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid(CONTRIB, 1)],
            ir_version=IR_VERSION,
            producer_name="phi-edge",
        )
        return model.SerializeToString(deterministic=True)

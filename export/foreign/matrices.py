"""Where a traced decoder multiplies by its weights: the nodes that our formats can replace."""

from dataclasses import dataclass

import onnx
from onnx import NodeProto, helper

from export.foreign.onnx_tensors import TRANSPOSED, OnnxTensors

SMALLEST = 1 << 12
"""Weights of a matrix that is worth a node of its own."""

SHORTEST = 32
"""Columns of it: those of the smallest block."""

ELEMENTWISE = {"Cast", "Mul", "Div", "Tanh", "Add", "Identity"}
"""What may stand between the head and the logits, row by row."""


@dataclass(frozen=True, slots=True)
class Matrix:
    """`node` multiplies the value `x` by `tensor` [N, K] and adds `bias`, or, for an embedding, picks rows by `x`."""

    node: NodeProto
    x: str
    tensor: str
    bias: str = ""

    @property
    def is_embedding(self) -> bool:
        return self.node.op_type == "Gather"


class Graph:
    """The nodes of `tensors.model`, by what they make."""

    def __init__(self, tensors: OnnxTensors) -> None:
        self.tensors = tensors
        self.proto = tensors.model.graph
        self.makers = {name: node for node in self.proto.node for name in node.output if name}
        self.constants = {one.name for one in self.proto.initializer}
        self.constants |= {name for name, node in self.makers.items() if node.op_type == "Constant"}

    def matrices(self, vocab_size: int) -> list[Matrix]:
        """Multiplications in the order of the graph, and lookups in tables with a row for each of `vocab_size`."""
        found = (self._matrix(node, vocab_size) for node in self.proto.node)
        return [one for one in found if one and self._worthwhile(one.tensor)]

    def head(self, matrices: list[Matrix], logits: str) -> Matrix | None:
        """The multiplication whose rows are the rows of `logits`, if nothing mixes them in between."""
        by_output = {one.node.output[0]: one for one in matrices if one.node.op_type == "MatMul"}
        value = logits
        while value not in by_output:
            node = self.makers.get(value)
            if node is None or node.op_type not in ELEMENTWISE:
                return None
            variable = [name for name in node.input if name not in self.constants]
            if len(variable) != 1:
                return None
            value = variable[0]
        return by_output[value]

    def _matrix(self, node: NodeProto, vocab_size: int) -> Matrix | None:
        if node.op_type == "MatMul" and (tensor := self._right(node.input[1])):
            return Matrix(node, node.input[0], tensor)
        if node.op_type == "Gemm":
            attributes = {one.name: helper.get_attribute_value(one) for one in node.attribute}
            plain = all(
                attributes.get(name, one) == one for name, one in (("alpha", 1.0), ("beta", 1.0), ("transA", 0))
            )
            tensor = node.input[1] if attributes.get("transB") else self._right(node.input[1])
            if plain and tensor.removesuffix(TRANSPOSED) in self.tensors.tensors:
                return Matrix(node, node.input[0], tensor, node.input[2] if len(node.input) > 2 else "")
        if node.op_type == "Gather" and all(not one.i for one in node.attribute if one.name == "axis"):
            info = self.tensors.tensors.get(node.input[0])
            if info and len(info.shape) == 2 and info.shape[0] == vocab_size:
                return Matrix(node, node.input[1], node.input[0])
        return None

    def _right(self, value: str) -> str:
        """The tensor [N, K] that is multiplied as [K, N] under the name `value`, "" if it is computed."""
        maker = self.makers.get(value)
        if maker is not None and maker.op_type == "Transpose":
            order = [list(one.ints) for one in maker.attribute if one.name == "perm"] or [[1, 0]]
            source = self.tensors.tensors.get(maker.input[0])
            return maker.input[0] if source and len(source.shape) == 2 and order[0] == [1, 0] else ""
        return value + TRANSPOSED if value + TRANSPOSED in self.tensors.tensors else ""

    def _worthwhile(self, tensor: str) -> bool:
        info = self.tensors.tensors.get(tensor)
        if info is None or len(info.shape) != 2:
            return False
        rows, columns = info.shape
        return columns >= SHORTEST and rows * columns >= SMALLEST


def needed(nodes: list[NodeProto], outputs: list[str]) -> list[NodeProto]:
    """Those nodes, in their order, that an output depends on."""
    makers = {name: node for node in nodes for name in node.output if name}
    kept: set[int] = set()
    waiting = list(outputs)
    while waiting:
        node = makers.get(waiting.pop())
        if node is not None and id(node) not in kept:
            kept.add(id(node))
            waiting += read_by(node)
    return [node for node in nodes if id(node) in kept]


def read_by(node: NodeProto) -> list[str]:
    """All values that a node reads, also inside its branches."""
    names = [name for name in node.input if name]
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs) if attribute.type in _GRAPHS else ():
            names += [name for inner in graph.node for name in read_by(inner)]
            names += [output.name for output in graph.output]
    return names


_GRAPHS = (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS)

"""A traced float decoder with its matrices in our formats: the same graph, other nodes where weights are read."""

from dataclasses import dataclass
from math import prod

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper

from edge.bundle.contract import FOREIGN
from edge.bundle.external_data import MAX_GRAPH_BYTES
from edge.bundle.manifest import TensorGroup
from edge.errors import CheckpointError
from export.architectures.weights import Recipe
from export.foreign.matrices import Graph, Matrix, needed, read_by
from export.foreign.onnx_tensors import OnnxTensors
from export.graph.blocks import embedding, linear
from export.graph.builder import CONTRIB, GraphBuilder
from export.graphs import WEIGHTS
from export.weights.layout import Part, PlacedWeight, WeightSource, place
from quant.formats import BlockFormat, FloatFormat, WeightFormat, fitting

ROWS = "logit_rows"
"""Our input, int64 [R]: the rows whose logits are wanted. It has a default, the last row, so that runtimes which know
Optimum's contract only can run the graph as well."""

FEW_BYTES = 4096
"""Float tensors of fewer bytes stay in the graph: in the weights file each would take a page."""


@dataclass(frozen=True, slots=True)
class Rewriting:
    """What will be written: weights in file order, and then `graph` over them. `rows`: is there an input ROWS."""

    tensors: OnnxTensors
    weights: list[PlacedWeight]
    matrices: list[Matrix]
    head: Matrix | None

    @property
    def rows(self) -> bool:
        return self.head is not None

    def groups(self) -> list[TensorGroup]:
        """One row of the quantisation table for each group and format."""
        found: dict[tuple[str, WeightFormat], list[PlacedWeight]] = {}
        for weight in self.weights:
            found.setdefault((weight.source.group, weight.source.format), []).append(weight)
        return [
            TensorGroup(
                group, fmt.bits, fmt.block, fmt.symmetric, len(ws), sum(w.bytes for w in ws), fmt.activation_bits
            )
            for (group, fmt), ws in found.items()
        ]

    def graph(self) -> bytes:
        """The serialized model. Raises CheckpointError when it is too large to be read with our limits."""
        model = onnx.ModelProto()
        model.CopyFrom(self.tensors.model)
        proto, builder = model.graph, GraphBuilder("text", WEIGHTS)
        placed = {weight.source.name: weight for weight in self.weights}
        replaced = {one.node.output[0]: one for one in self.matrices if one.tensor in placed}
        for node in proto.node:
            one = replaced.get(node.output[0]) if node.output else None
            if one:
                _replace(builder, one, placed[one.tensor], one == self.head)
            elif self.head and node.output[0] == self.head.node.output[0]:
                builder.nodes.append(_only_rows(builder, node))
            else:
                builder.nodes.append(node)
        nodes = needed(builder.nodes, [one.name for one in proto.output])
        read = {name for node in nodes for name in read_by(node)}
        constants = [self._stored(builder, one, placed) for one in proto.initializer if one.name in read]
        known = {one.name for one in constants}
        constants += [tensor for name, tensor in builder.initializers.items() if name in read and name not in known]
        del proto.node[:], proto.initializer[:], proto.value_info[:]
        proto.node.extend(nodes)
        proto.initializer.extend(constants)
        if self.head:
            proto.input.append(helper.make_tensor_value_info(ROWS, TensorProto.INT64, ["rows"]))
            proto.initializer.append(onnx.numpy_helper.from_array(np.array([-1]), ROWS))
            proto.output[0].type.tensor_type.shape.dim[1].dim_param = "rows"
        if not any(one.domain == CONTRIB for one in model.opset_import):
            model.opset_import.append(helper.make_opsetid(CONTRIB, 1))
        data = model.SerializeToString(deterministic=True)
        if len(data) > MAX_GRAPH_BYTES:
            raise CheckpointError(
                f"the graph alone would have {len(data) >> 20} MB, {MAX_GRAPH_BYTES >> 20} are allowed",
                "its constants are too large; run the folder of Optimum itself",
            )
        return data

    def _stored(self, builder: GraphBuilder, tensor: TensorProto, placed: dict[str, PlacedWeight]) -> TensorProto:
        if tensor.name not in self.tensors.tensors:
            return tensor
        if weight := placed.get(tensor.name):
            builder.weight(weight.values)
            return builder.initializers[tensor.name]
        info = self.tensors.tensors[tensor.name]
        return onnx.numpy_helper.from_array(np.array(self.tensors.rows(tensor.name, 0, info.shape[0])), tensor.name)


def plan_rewriting(tensors: OnnxTensors, vocab_size: int, logits: str, recipe: Recipe) -> Rewriting:
    """Decides which matrix gets which format; nothing is read yet. The first output of the graph is `logits`."""
    graph = Graph(tensors)
    matrices = graph.matrices(vocab_size)
    head = graph.head(matrices, logits)
    sources: dict[str, WeightSource] = {}
    for one in matrices:
        role, fmt = _role(one, head, recipe)
        rows, columns = tensors.tensors[one.tensor].shape
        fmt = fitting(fmt, columns)
        if isinstance(fmt, BlockFormat) and one.tensor not in sources:
            sources[one.tensor] = WeightSource(one.tensor, role, (Part(one.tensor, rows),), columns, fmt)
    replaced = {one.node.output[0] for one in matrices if one.tensor in sources}
    rest = [node for node in graph.proto.node if node.output and node.output[0] not in replaced]
    biases = [one.bias for one in matrices if one.tensor in sources and one.bias]
    bare = {one.node.output[0]: one.x for one in matrices if one.tensor in sources}
    # what only replaced nodes have read, such as a transposed table, is not stored once more
    kept = needed([*rest, *(helper.make_node("Identity", [x], [out]) for out, x in bare.items())],
                  [one.name for one in graph.proto.output] + biases)  # fmt: skip
    read = {name for node in kept for name in read_by(node)} | set(biases)
    for name, info in tensors.tensors.items():
        if name in read and name not in sources and prod(info.shape) * 4 >= FEW_BYTES:
            shape = info.shape
            columns = prod(shape[1:]) if len(shape) > 1 else 0
            sources[name] = WeightSource(name, "norms", (Part(name, shape[0]),), columns, FloatFormat(), shape)
    return Rewriting(tensors, place([*sources.values()]), matrices, head)


def _role(one: Matrix, head: Matrix | None, recipe: Recipe) -> tuple[str, WeightFormat]:
    if head and one.tensor == head.tensor:
        return ("embedding" if one.is_embedding else "head"), recipe.head
    return ("embedding", recipe.embedding) if one.is_embedding else (FOREIGN, recipe.body)


def _replace(builder: GraphBuilder, one: Matrix, weight: PlacedWeight, few_rows: bool) -> None:
    out = one.node.output[0]
    if one.is_embedding:
        embedding(builder, one.x, weight, out)
        return
    x = builder.node("Gather", [one.x, ROWS], f"{out}.wanted", axis=1) if few_rows else one.x
    product = linear(builder, x, weight, f"{out}.product" if one.bias else out)
    if one.bias:
        builder.node("Add", [product, one.bias], out)


def _only_rows(builder: GraphBuilder, node: NodeProto) -> NodeProto:
    """A head that stays in float32, for the wanted rows."""
    fewer = NodeProto()
    fewer.CopyFrom(node)
    fewer.input[0] = builder.node("Gather", [node.input[0], ROWS], f"{node.output[0]}.wanted", axis=1)
    return fewer

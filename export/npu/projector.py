"""A projector for a fixed number of rows: encoder frames or ordered patches to embeddings of the decoder.

input    encoded float32 [1, N, in]
output   embeddings float32 [1, N, hidden]
Rows do not see each other, so those behind the last real one may hold anything.
"""

from pathlib import Path

from onnx import TensorProto

from export.npu.builder import FixedGraph
from export.npu.linear import linear
from export.weights.layout import PlacedWeight


def build_fixed_projector(
    name: str,
    up: PlacedWeight,
    up_bias: PlacedWeight,
    down: PlacedWeight,
    down_bias: PlacedWeight,
    weights_path: Path,
    rows: int,
) -> bytes:
    """Linear, GELU in its exact form x · Φ(x), Linear; the serialized ONNX model."""
    graph = FixedGraph(name, weights_path)
    encoded = graph.input("encoded", TensorProto.FLOAT, [1, rows, up.source.columns])
    graph.output("embeddings", TensorProto.FLOAT, [1, rows, down.source.rows])
    raised = linear(graph, encoded, up, "up", up_bias)
    linear(graph, graph.node("Gelu", [raised], "activated"), down, "embeddings", down_bias)
    return graph.serialize()

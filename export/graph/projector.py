"""A projector graph: encoder frames to embeddings of the decoder.

input    encoded float32 [N, in]
output   embeddings float32 [N, hidden]
A graph of its own, so that a conversation which gains an image projects its clips again without encoding them again.
"""

from onnx import TensorProto

from export.graph import blocks
from export.graph.builder import GraphBuilder
from export.weights.layout import PlacedWeight


def build_projector(
    name: str, up: PlacedWeight, up_bias: PlacedWeight, down: PlacedWeight, down_bias: PlacedWeight, weights_file: str
) -> bytes:
    """Linear, GELU in its exact form x · Φ(x), Linear; the serialized ONNX model."""
    graph = GraphBuilder(name, weights_file)
    encoded = graph.input("encoded", TensorProto.FLOAT, ["N", up.source.columns])
    graph.output("embeddings", TensorProto.FLOAT, ["N", down.source.rows])
    raised = blocks.linear(graph, encoded, up, "up", up_bias)
    blocks.linear(graph, graph.node("Gelu", [raised], "activated"), down, "embeddings", down_bias)
    return graph.serialize()

"""The image projector graph: pooled patches of one image, put in reading order, become decoder embeddings.

inputs   patches float32 [P, hidden], what the encoder gave for all crops, one crop after the other;
         order int64 [N], for every image token a row of [row end, part end, patch 0 … patch P-1]
output   embeddings float32 [N, decoder hidden]
"""

from collections.abc import Mapping

from onnx import TensorProto

from export.architectures.vision import VisionSpec
from export.graph import blocks
from export.graph.builder import CONTRIB, GraphBuilder
from export.weights.layout import PlacedWeight


def build_image_projector(spec: VisionSpec, weights: Mapping[str, PlacedWeight], weights_file: str) -> bytes:
    """The serialized ONNX model. `weights` is keyed by the names `vision_weights` gives."""
    graph = GraphBuilder("image_projector", weights_file)
    graph.input("patches", TensorProto.FLOAT, ["P", spec.hidden])
    graph.input("order", TensorProto.INT64, ["N"])
    graph.output("embeddings", TensorProto.FLOAT, ["N", spec.decoder_hidden])
    ends = [graph.weight(weights[f"vision.{name}"].values) for name in ("row_end", "part_end")]
    rows = graph.node("Concat", [*ends, "patches"], "rows", axis=0)
    ordered = graph.node("Gather", [rows, "order"], "ordered", axis=0)
    up = blocks.linear(graph, ordered, weights["vision.projector.up"], "up")
    active = graph.node("BiasGelu", [up, graph.weight(weights["vision.projector.up.bias"].values)], "active", CONTRIB)
    down, bias = weights["vision.projector.down"], weights["vision.projector.down.bias"]
    blocks.linear(graph, active, down, "embeddings", bias)
    return graph.serialize()

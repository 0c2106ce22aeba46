"""Pooled patches of one image in reading order, for the CPU: rows are only copied.

inputs   patches float32 [P, hidden]; order int64 [N], rows of [row end, part end, patch 0 … patch P-1]
output   ordered float32 [1, N, hidden], what the picture's projector takes
"""

from collections.abc import Mapping
from pathlib import Path

from onnx import TensorProto

from export.architectures.vision import VisionSpec
from export.npu.builder import FixedGraph
from export.weights.layout import PlacedWeight


def build_patch_order(spec: VisionSpec, weights: Mapping[str, PlacedWeight], weights_path: Path) -> bytes:
    """The serialized ONNX model; its sizes are not fixed."""
    graph = FixedGraph("patch_order", weights_path)
    graph.input("patches", TensorProto.FLOAT, ["P", spec.hidden])
    graph.input("order", TensorProto.INT64, [1, "N"])
    graph.output("ordered", TensorProto.FLOAT, [1, "N", spec.hidden])
    ends = [graph.weight(weights[f"vision.{name}"].values) for name in ("row_end", "part_end")]
    graph.node("Gather", [graph.node("Concat", [*ends, "patches"], "rows", axis=0), "order"], "ordered", axis=0)
    return graph.serialize()

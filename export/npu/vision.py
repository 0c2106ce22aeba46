"""The vision encoder for one whole crop.

inputs   pixels float32 [1, 3, crop, crop]; positions int32 [1, P], a row of the position table for every patch;
         key_bias float32 [1, 1, 1, P], 0 or HIDDEN for padding
output   patches float32 [1, P / 4, hidden], the 2×2 means of the patch grid, row by row
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from onnx import TensorProto

from export.architectures.vision import CHANNELS, VisionSpec
from export.npu.attention import full_attention
from export.npu.builder import FixedGraph
from export.npu.linear import linear
from export.weights.layout import PlacedWeight


def build_fixed_vision_encoder(spec: VisionSpec, weights: Mapping[str, PlacedWeight], weights_path: Path) -> bytes:
    """The serialized ONNX model."""
    graph = FixedGraph("vision", weights_path)
    graph.input("pixels", TensorProto.FLOAT, [1, CHANNELS, spec.crop, spec.crop])
    graph.input("positions", TensorProto.INT32, [1, spec.patches])
    graph.input("key_bias", TensorProto.FLOAT, [1, 1, 1, spec.patches])
    graph.output("patches", TensorProto.FLOAT, [1, spec.pooled, spec.hidden])

    def stored(name: str) -> str:
        return graph.weight(weights[f"vision.{name}"].values)

    def product(x: str, name: str, out: str) -> str:
        return linear(graph, x, weights[f"vision.{name}"], out, weights[f"vision.{name}.bias"])

    def norm(x: str, name: str) -> str:
        inputs = [x, stored(f"{name}.weight"), stored(f"{name}.bias")]
        return graph.node("LayerNormalization", inputs, f"{name}.out", axis=-1, epsilon=spec.norm_epsilon)

    embedded = product(_flat_patches(graph, spec), "patch", "embedded")
    position = graph.node("Gather", [stored("positions"), "positions"], "position", axis=0)
    x = graph.node("Add", [embedded, position], "start")
    for layer in range(spec.layers):
        name = f"layers.{layer}"
        qkv = product(norm(x, f"{name}.norm1"), f"{name}.qkv", f"{name}.qkv")
        mixed = full_attention(
            graph, qkv, "key_bias", spec.patches, spec.heads, spec.head_size, name, spec.attention_scale
        )
        x = graph.node("Add", [x, product(mixed, f"{name}.out", f"{name}.attention")], f"{name}.middle")
        wide = product(norm(x, f"{name}.norm2"), f"{name}.fc1", f"{name}.wide")
        active = graph.node("Gelu", [wide], f"{name}.gelu", approximate="tanh")
        x = graph.node("Add", [x, product(active, f"{name}.fc2", f"{name}.mlp")], f"{name}.end")
    _pooled(graph, spec, x)
    return graph.serialize()


def _flat_patches(graph: FixedGraph, spec: VisionSpec) -> str:
    """[1, P, 3 · patch²]. The convolution's stride is its kernel size, so it is one product over flat patches."""
    side, patch = spec.side, spec.patch
    cut = graph.constant("cut", np.array([1, CHANNELS, side, patch, side, patch], np.int64))
    tiles = graph.node("Transpose", [graph.node("Reshape", ["pixels", cut], "grid")], "tiles", perm=[0, 2, 4, 1, 3, 5])
    flat = graph.constant("flat", np.array([1, spec.patches, CHANNELS * patch**2], np.int64))
    return graph.node("Reshape", [tiles, flat], "flat_tiles")


def _pooled(graph: FixedGraph, spec: VisionSpec, x: str) -> None:
    grid = graph.constant("pool.grid", np.array([1, spec.side, spec.side, spec.hidden], np.int64))
    image = graph.node("Transpose", [graph.node("Reshape", [x, grid], "pool.rows")], "pool.image", perm=[0, 3, 1, 2])
    means = graph.node("AveragePool", [image], "pool.means", kernel_shape=[2, 2], strides=[2, 2])
    rows = graph.node("Transpose", [means], "pool.by_cell", perm=[0, 2, 3, 1])
    flat = graph.constant("pool.flat", np.array([1, spec.pooled, spec.hidden], np.int64))
    graph.node("Reshape", [rows, flat], "patches")

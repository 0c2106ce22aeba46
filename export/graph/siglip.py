"""The vision encoder graph: crops of an image in, pooled patch features out.

inputs   pixels float32 [C, 3, H, W], (value / 255 - 0.5) / 0.5: whole crops, or as much of them from the top left
         as is of use; H and W are multiples of two patches, P = H · W / patch² patches are numbered row by row;
         positions int64 [C, P], a row of the position table for every patch (0 for padding);
         key_bias float32 [C, P], added to every attention score of a patch: 0, or for padding -inf or a number so
         negative that nothing is left of it after the softmax
output   patches float32 [C, P / 4, hidden]: the 2×2 means of the patch grid, row by row
Attention is bidirectional and within a crop. Padding is invisible to other patches but has features of its own,
which the mean of a partly padded 2×2 cell takes in, as in the original. Cells that are padding only are of no use to
anyone: cut them off before the call, and time and memory shrink with them.
"""

from collections.abc import Mapping

import numpy as np
from onnx import TensorProto

from export.architectures.vision import CHANNELS, VisionSpec
from export.graph import blocks
from export.graph.builder import CONTRIB, GraphBuilder
from export.weights.layout import PlacedWeight

NOTHING = -1e30
"""Stands in for -inf, which would turn a crop without any visible patch into NaN."""


def build_vision_encoder(spec: VisionSpec, weights: Mapping[str, PlacedWeight], weights_file: str) -> bytes:
    """The serialized ONNX model. `weights` is keyed by the names `vision_weights` gives."""
    return _Encoder(spec, weights, weights_file).build()


class _Encoder:
    """The graph under construction with what every step of it needs: sizes and weights."""

    def __init__(self, spec: VisionSpec, weights: Mapping[str, PlacedWeight], weights_file: str) -> None:
        self.graph = GraphBuilder("vision", weights_file)
        self.spec, self.weights = spec, weights

    def build(self) -> bytes:
        graph, spec = self.graph, self.spec
        graph.input("pixels", TensorProto.FLOAT, ["C", CHANNELS, "H", "W"])
        graph.input("positions", TensorProto.INT64, ["C", "P"])
        graph.input("key_bias", TensorProto.FLOAT, ["C", "P"])
        graph.output("patches", TensorProto.FLOAT, ["C", "cells", spec.hidden])
        self._prepare_key_bias()
        residual = self._embedded_patches()
        for layer in range(spec.layers):
            name = f"layers.{layer}"
            x = self._attention(self._norm(residual, f"{name}.norm1"), name)
            x = self._linear(x, f"{name}.out", f"{name}.attention")
            residual = graph.node("Add", [residual, x], f"{name}.middle")
            x = self._linear(self._norm(residual, f"{name}.norm2"), f"{name}.fc1", f"{name}.wide", bias=False)
            # the kernel adds the bias: the widest array of all goes through memory once less
            x = graph.node("FastGelu", [x, self._stored(f"{name}.fc1.bias")], f"{name}.gelu", CONTRIB)
            x = self._linear(x, f"{name}.fc2", f"{name}.mlp")
            residual = graph.node("Add", [residual, x], f"{name}.end")
        self._pool(residual)
        return graph.serialize()

    def _stored(self, name: str) -> str:
        return self.graph.weight(self.weights[f"vision.{name}"].values)

    def _linear(self, x: str, name: str, out: str, bias: bool = True) -> str:
        weights, name = self.weights, f"vision.{name}"
        return blocks.linear(self.graph, x, weights[name], out, weights[f"{name}.bias"] if bias else None)

    def _norm(self, x: str, name: str) -> str:
        """One node of its own: SkipLayerNormalization, which adds the residual too, is several times slower here."""
        inputs = [x, self._stored(f"{name}.weight"), self._stored(f"{name}.bias")]
        return self.graph.node("LayerNormalization", inputs, f"{name}.out", axis=-1, epsilon=self.spec.norm_epsilon)

    def _reshape(self, x: str, out: str, *dimensions: int | str) -> str:
        """A dimension is a number (0 keeps it, -1 is what remains) or the name of an int64 [1] in the graph."""
        graph = self.graph
        if any(isinstance(one, str) for one in dimensions):
            parts = [one if isinstance(one, str) else self._number(one) for one in dimensions]
            shape = graph.node("Concat", parts, f"{out}.shape", axis=0)
        else:
            shape = graph.constant(f"{out}.shape", np.array(dimensions, np.int64))
        return graph.node("Reshape", [x, shape], out)

    def _number(self, value: int) -> str:
        return self.graph.constant(f"number.{value}", np.array([value], np.int64))

    def _width(self, pixels_each: int, out: str) -> str:
        """How many pieces of `pixels_each` pixels lie side by side."""
        width = self.graph.node("Shape", ["pixels"], f"{out}.pixels", start=3)
        return self.graph.node("Div", [width, self._number(pixels_each)], out)

    def _embedded_patches(self) -> str:
        """[C, P, hidden]. The convolution's stride is its kernel size, so it is one product over flat patches."""
        graph, patch = self.graph, self.spec.patch
        grid = self._reshape("pixels", "grid", 0, CHANNELS, -1, patch, self._width(patch, "patches_across"), patch)
        tiles = graph.node("Transpose", [grid], "tiles", perm=[0, 2, 4, 1, 3, 5])
        flat = self._reshape(tiles, "flat", 0, -1, CHANNELS * patch * patch)
        position = graph.node("Gather", [self._stored("positions"), "positions"], "position", axis=0)
        return graph.node("Add", [self._linear(flat, "patch", "embedded"), position], "start")

    def _prepare_key_bias(self) -> None:
        """As "key_column" [C, P, heads, 1]; divided by the scale that attention multiplies its scores with."""
        graph, heads = self.graph, self.spec.heads
        finite = graph.node("Max", ["key_bias", graph.constant("nothing", np.array(NOTHING, np.float32))], "finite")
        scale = graph.constant("scale", np.array(self.spec.attention_scale, np.float32))
        keys = self._reshape(graph.node("Div", [finite, scale], "unscaled"), "keys", 0, -1, 1, 1)
        graph.node("Expand", [keys, graph.constant("per_head", np.array([1, 1, heads, 1], np.int64))], "key_column")

    def _attention(self, x: str, name: str) -> str:
        """The bias enters as one more column of every head, 1 in the queries and the bias in the keys.

        With a bias input the kernel would write all scores to memory: a third slower, and 64 MB for a crop.
        """
        graph, heads, size = self.graph, self.spec.heads, self.spec.head_size
        query, key, value = (f"{name}.{one}" for one in ("query", "key", "value"))
        graph.node(
            "Split", [self._linear(x, f"{name}.qkv", f"{name}.qkv")], [query, key, value], axis=-1, num_outputs=3
        )
        query, key = (self._reshape(one, f"{one}.heads", 0, 0, heads, size) for one in (query, key))
        one_more = graph.constant("one_more", np.array([0, 1], np.int64))
        last, one = (
            graph.constant("last_axis", np.array([-1], np.int64)),
            graph.constant("one", np.array(1, np.float32)),
        )
        query = graph.node("Pad", [query, one_more, one, last], f"{query}.wider")
        key = graph.node("Concat", [key, "key_column"], f"{key}.wider", axis=-1)
        query, key = (self._reshape(one, f"{one}.flat", 0, 0, heads * (size + 1)) for one in (query, key))
        return graph.node(
            "MultiHeadAttention",
            [query, key, value],
            f"{name}.attended",
            CONTRIB,
            num_heads=heads,
            scale=self.spec.attention_scale,
        )

    def _pool(self, x: str) -> str:
        """A cell is the mean of two patches side by side and the two below."""
        across = self._width(2 * self.spec.patch, "cells_across")
        cells = self._reshape(x, "cells", 0, -1, 2, across, 2, self.spec.hidden)
        axes = self.graph.constant("cell_axes", np.array([2, 4], np.int64))
        means = self.graph.node("ReduceMean", [cells, axes], "means", keepdims=0)
        return self._reshape(means, "patches", 0, -1, self.spec.hidden)

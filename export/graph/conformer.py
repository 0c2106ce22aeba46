"""The speech encoder graph: one window of one clip, log-mel frames in, encoder frames out.

inputs   features float32 [1, T, mel], raw log-mel; skip int64 [1], subsampled frames to drop at the left (0 or 1);
         key_bias float32 [F], F ≥ the frames that are left: added to the attention score of each key, 0 for a frame
         that may be seen, -inf for a padded one that must not be
output   encoded float32 [F, dim]

A clip of at most 500 frames is one window with F = its frames. A longer one is cut every 500 frames (4000 mel frames),
its last window is padded with zeros to F = 500. A frame depends on mel frames 8t - 7 .. 8t + 7, so window b > 0 takes
mel frames 4000 b - 8 .. 4000 (b + 1) - 1 and skips one frame: that is what subsampling the whole clip would give.
"""

from collections.abc import Mapping

import numpy as np
from onnx import TensorProto

from export.architectures.speech import SpeechSpec
from export.graph import blocks
from export.graph.builder import CONTRIB, GraphBuilder
from export.graph.subsampler import subsample
from export.weights.layout import PlacedWeight

EPSILON = 1e-5
"""Of the layer norms: torch's default, no config has it."""


def build_speech_encoder(spec: SpeechSpec, weights: Mapping[str, PlacedWeight], weights_file: str) -> bytes:
    """The serialized ONNX model. `weights` is keyed by the names `speech_weights` gives."""
    graph = GraphBuilder("speech_encoder", weights_file)
    graph.input("features", TensorProto.FLOAT, [1, "T", spec.mel_bins])
    graph.input("skip", TensorProto.INT64, [1])
    graph.input("key_bias", TensorProto.FLOAT, ["F"])
    graph.output("encoded", TensorProto.FLOAT, ["F", spec.dim])
    conformer = Conformer(graph, spec, weights)
    frames = conformer.window(subsample(graph, spec, weights, "features"))
    bias = conformer.attention_bias()
    for index in range(spec.blocks):
        frames = conformer.block(frames, bias, f"blocks.{index}")
    graph.node("Squeeze", [frames, graph.constant("axis.0", np.array([0], np.int64))], "encoded")
    return graph.serialize()


class Conformer:
    """Frames are float32 [1, F, dim] throughout. Half a feed-forward, attention, convolution, half a feed-forward."""

    def __init__(self, graph: GraphBuilder, spec: SpeechSpec, weights: Mapping[str, PlacedWeight]) -> None:
        self._graph, self._spec, self._weights = graph, spec, weights

    def window(self, subsampled: str) -> str:
        """Drops `skip` frames at the left and appends zeros until there is one frame per key."""
        graph = self._graph
        axis = graph.constant("axis.1", np.array([1], np.int64))
        end = graph.constant("slice.end", np.array([np.iinfo(np.int64).max], np.int64))
        kept = graph.node("Slice", [subsampled, "skip", end, axis], "frames.kept")
        found = graph.node("Shape", [kept], "frames.found", start=1, end=2)
        missing = graph.node("Sub", [graph.node("Shape", ["key_bias"], "frames.wanted"), found], "frames.missing")
        zero = graph.constant("zero", np.array([0], np.int64))
        pads = graph.node("Concat", [zero, missing], "frames.pads", axis=0)
        return graph.node("Pad", [kept, pads, "", axis], "frames")

    def attention_bias(self) -> str:
        """[1, H, F, F]: table[clip(key - query, -max, max - 1) + max] of each head, plus the bias of the key."""
        graph, reach = self._graph, self._spec.bias_max_distance
        zero, one = (graph.constant(f"scalar.{n}", np.array(n, np.int64)) for n in (0, 1))
        count = graph.node("Squeeze", ["frames.wanted"], "frames.count")
        keys = graph.node("Range", [zero, count, one], "bias.keys")
        queries = graph.node("Unsqueeze", [keys, graph.constant("axis.1", np.array([1], np.int64))], "bias.queries")
        distance = graph.node("Sub", [keys, queries], "bias.distance")
        limits = [graph.constant(f"bias.{n}", np.array(n, np.int64)) for n in (-reach, reach - 1, reach)]
        near = graph.node("Clip", [distance, *limits[:2]], "bias.near")
        index = graph.node("Add", [near, limits[2]], "bias.index")
        table = graph.node("Transpose", [self._weight("relative_bias")], "bias.by_head", perm=[1, 0])
        relative = graph.node("Gather", [table, index], "bias.relative", axis=1)
        whole = graph.node("Add", [relative, "key_bias"], "bias.whole")
        return graph.node("Unsqueeze", [whole, graph.constant("axis.0", np.array([0], np.int64))], "bias")

    def block(self, x: str, bias: str, name: str) -> str:
        x = self._add(x, self._half_feed_forward(x, f"{name}.feed_forward_in"), f"{name}.fed_in")
        x = self._add(x, self._attention(x, bias, f"{name}.attention"), f"{name}.attended")
        x = self._add(x, self._convolution(x, f"{name}.conv"), f"{name}.convolved")
        x = self._add(x, self._half_feed_forward(x, f"{name}.feed_forward_out"), f"{name}.fed_out")
        return self._norm(x, f"{name}.norm")

    def _half_feed_forward(self, x: str, name: str) -> str:
        both = self._linear(self._norm(x, f"{name}.norm"), f"{name}.gate_up")
        down = self._linear(self._gated(both, self._spec.ffn_size, name), f"{name}.down")
        return blocks.scaled(self._graph, down, 0.5, f"{name}.half")

    def _attention(self, x: str, bias: str, name: str) -> str:
        graph, dim, heads = self._graph, self._spec.dim, self._spec.heads
        qkv = self._product(self._norm(x, f"{name}.norm"), self._weights[f"speech.{name}.qkv"], f"{name}.qkv")
        parts = [f"{name}.{part}" for part in ("query", "key", "value")]
        graph.node("Split", [qkv, graph.constant("thirds", np.array([dim] * 3, np.int64))], parts, axis=-1)
        mixed = graph.node(
            "MultiHeadAttention",
            [*parts, self._weight(f"{name}.qkv_bias"), "", bias],
            f"{name}.mixed",
            CONTRIB,
            num_heads=heads,
            scale=(dim // heads) ** -0.5,
        )
        return self._linear(mixed, f"{name}.out")

    def _convolution(self, x: str, name: str) -> str:
        graph = self._graph
        # constants only, so the session adds the three biases once, when it loads
        both_biases = [self._weight(f"{name}.{half}_bias") for half in ("up", "gate")]
        joined = graph.node("Concat", both_biases, f"{name}.both_bias", axis=0)
        shift = graph.node("Add", [joined, self._weight(f"{name}.glu_bias")], f"{name}.shift")
        both = self._product(self._norm(x, f"{name}.norm"), self._weights[f"speech.{name}.glu"], f"{name}.glu")
        x = self._gated(graph.node("Add", [both, shift], f"{name}.shifted"), self._spec.dim, name)
        x = graph.node("Transpose", [x], f"{name}.by_channel", perm=[0, 2, 1])
        kernel = [self._weight(f"{name}.depthwise"), self._weight(f"{name}.depthwise_bias")]
        past = [self._spec.kernel - 1, 0]  # causal: no frame to the right is seen
        x = graph.node("Conv", [x, *kernel], f"{name}.depthwise", group=self._spec.dim, pads=past)
        x = graph.node("Transpose", [x], f"{name}.by_frame", perm=[0, 2, 1])
        return self._linear(self._swish(self._linear(x, f"{name}.pointwise"), f"{name}.swish"), f"{name}.out")

    def _gated(self, both: str, half: int, name: str) -> str:
        """up · swish(gate); up is the first half, unlike in the decoder."""
        halves = self._graph.constant(f"halves.{half}", np.array([half, half], np.int64))
        self._graph.node("Split", [both, halves], [f"{name}.up", f"{name}.gate"], axis=-1)
        return self._graph.node(
            "Mul", [f"{name}.up", self._swish(f"{name}.gate", f"{name}.swish_gate")], f"{name}.gated"
        )

    def _swish(self, x: str, out: str) -> str:
        return self._graph.node("Mul", [x, self._graph.node("Sigmoid", [x], f"{out}.sigmoid")], out)

    def _linear(self, x: str, name: str) -> str:
        weight, bias = self._weights[f"speech.{name}"], self._weights[f"speech.{name}_bias"]
        return self._product(x, weight, f"{name}.out", bias)

    def _product(self, x: str, weight: PlacedWeight, out: str, bias: PlacedWeight | None = None) -> str:
        return blocks.linear(self._graph, x, weight, out, bias)

    def _norm(self, x: str, name: str) -> str:
        scale_and_shift = [self._weight(name), self._weight(f"{name}_bias")]
        return self._graph.node("LayerNormalization", [x, *scale_and_shift], f"{name}.out", axis=-1, epsilon=EPSILON)

    def _add(self, x: str, branch: str, out: str) -> str:
        return self._graph.node("Add", [x, branch], out)

    def _weight(self, name: str) -> str:
        return self._graph.weight(self._weights[f"speech.{name}"].values)

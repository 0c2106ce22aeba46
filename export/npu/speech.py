"""The speech encoder for a fixed number of frames: one window of one clip.

inputs   features float32 [1, 8 (F + skip), mel], raw log-mel, any numbers behind the clip's own rows;
         rows.0|1|2 float32 [1, 1, T, 1], [.., T / 2, 1], [.., T / 4, 1]: 1 where a row comes from the clip, else 0;
         key_bias float32 [1, 1, 1, F], HIDDEN for a frame behind the clip
output   encoded float32 [1, F, dim]
The convolutions of the subsampler pad with zeros behind a clip's end, at each of their three resolutions. Here the end
is somewhere within, so what lies behind it is made zero at each of them: the clip's frames are what they would be.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from onnx import TensorProto

from export.architectures.speech import REDUCTION, SpeechSpec
from export.graph.conformer import Conformer
from export.graph.subsampler import HALVING
from export.npu.attention import full_attention
from export.npu.builder import FixedGraph
from export.npu.linear import linear
from export.weights.layout import PlacedWeight

Weights = Mapping[str, PlacedWeight]


def build_fixed_speech_encoder(
    spec: SpeechSpec, weights: Weights, weights_path: Path, frames: int, skip: int = 0
) -> bytes:
    """The serialized ONNX model for `frames` frames, after `skip` (0 or 1) that only the convolutions see."""
    graph = FixedGraph("speech_encoder", weights_path)
    rows = REDUCTION * (frames + skip)
    graph.input("features", TensorProto.FLOAT, [1, rows, spec.mel_bins])
    for stage in range(3):
        graph.input(f"rows.{stage}", TensorProto.FLOAT, [1, 1, rows >> stage, 1])
    graph.input("key_bias", TensorProto.FLOAT, [1, 1, 1, frames])
    graph.output("encoded", TensorProto.FLOAT, [1, frames, spec.dim])
    conformer = _FixedConformer(graph, spec, weights, frames)
    x = conformer.frames(_subsampled(graph, spec, weights), skip)
    bias = conformer.attention_bias()
    for index in range(spec.blocks):
        x = conformer.block(x, bias, f"blocks.{index}")
    graph.node("Identity", [x], "encoded")
    return graph.serialize()


def _subsampled(graph: FixedGraph, spec: SpeechSpec, weights: Weights) -> str:
    def parameters(name: str) -> list[str]:
        return [graph.weight(weights[f"speech.subsample.{name}{part}"].values) for part in ("", "_bias")]

    def kept(x: str, stage: int) -> str:
        return graph.node("Mul", [x, f"rows.{stage}"], f"{x}.kept")

    def mixed(x: str, stage: int) -> str:
        x = graph.node("Conv", [x, *parameters(f"depthwise.{stage}")], f"{x}.halved", group=channels, **HALVING)
        return graph.node("Relu", [graph.node("Conv", [x, *parameters(f"pointwise.{stage}")], f"{x}.mixed")], f"{x}.up")

    channels = spec.conv_channels
    mean, invstd = (graph.weight(weights[f"speech.{name}"].values) for name in ("mean", "invstd"))
    x = graph.node("Mul", [graph.node("Sub", ["features", mean], "centred"), invstd], "normalised")
    x = kept(graph.node("Unsqueeze", [x, graph.constant("axis.1", np.array([1], np.int64))], "image"), 0)
    x = graph.node("Relu", [graph.node("Conv", [x, *parameters("conv")], "fine0", **HALVING)], "fine")
    x = mixed(kept(mixed(kept(x, 1), 1), 2), 2)
    x = graph.node("Transpose", [x], "by_frame", perm=[0, 2, 1, 3])
    flat = graph.constant("flat", np.array([1, -1, channels * spec.subsampled_bins], np.int64))
    x = graph.node("Reshape", [x, flat], "flat_frames")
    out, bias = weights["speech.subsample.out"], weights["speech.subsample.out_bias"]
    return linear(graph, x, out, "subsampled", bias)


class _FixedConformer(Conformer):
    def __init__(self, graph: FixedGraph, spec: SpeechSpec, weights: Weights, frames: int) -> None:
        super().__init__(graph, spec, weights)
        self._fixed, self._frames = graph, frames

    def frames(self, subsampled: str, skip: int) -> str:
        if not skip:
            return subsampled
        graph = self._graph
        limits = [graph.constant(f"skip.{n}", np.array([n], np.int64)) for n in (skip, self._frames + skip, 1)]
        return graph.node("Slice", [subsampled, *limits], "frames")

    def attention_bias(self) -> str:
        """[1, H, F, F]; distances are known, so the table's rows are looked up at load."""
        graph, reach = self._graph, self._spec.bias_max_distance
        places = np.arange(self._frames)
        index = np.clip(places[None] - places[:, None], -reach, reach - 1) + reach
        indices = graph.constant("bias.index", index.reshape(1, -1).astype(np.int64))
        table = graph.node("Transpose", [self._weight("relative_bias")], "bias.by_head", perm=[1, 0])
        flat = graph.node("Gather", [table, indices], "bias.flat", axis=1)
        shape = graph.constant("bias.shape", np.array([1, self._spec.heads, self._frames, self._frames], np.int64))
        return graph.node("Add", [graph.node("Reshape", [flat, shape], "bias.relative"), "key_bias"], "bias")

    def _attention(self, x: str, bias: str, name: str) -> str:
        graph, dim, heads = self._graph, self._spec.dim, self._spec.heads
        weight, shift = self._weights[f"speech.{name}.qkv"], self._weights[f"speech.{name}.qkv_bias"]
        qkv = self._product(self._norm(x, f"{name}.norm"), weight, f"{name}.qkv", shift)
        return self._linear(full_attention(graph, qkv, bias, self._frames, heads, dim // heads, name), f"{name}.out")

    def _product(self, x: str, weight: PlacedWeight, out: str, bias: PlacedWeight | None = None) -> str:
        return linear(self._fixed, x, weight, out, bias)

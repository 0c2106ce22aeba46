"""Log-mel frames to an eighth as many encoder frames: three convolutions of stride 2 and a Linear."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from export.architectures.speech import SpeechSpec
from export.graph import blocks
from export.graph.builder import GraphBuilder
from export.weights.layout import PlacedWeight

HALVING: dict[str, Any] = {"strides": [2, 2], "pads": [1, 1, 1, 1]}
SLICES = 4
"""Channels go through the first two convolutions in this many slices: half the mel resolution in 1024 channels is
330 MB for 40 s, and nothing mixes channels before the first pointwise convolution. More slices save no more."""


def subsample(graph: GraphBuilder, spec: SpeechSpec, weights: Mapping[str, PlacedWeight], features: str) -> str:
    """float32 [1, T, mel] raw log-mel to [1, ceil(T / 8), dim]. Frame t depends on mel frames 8t - 7 .. 8t + 7."""

    def parameters(name: str) -> list[str]:
        return [graph.weight(weights[f"speech.subsample.{name}{part}"].values) for part in ("", "_bias")]

    mean, invstd = (graph.weight(weights[f"speech.{name}"].values) for name in ("mean", "invstd"))
    centred = graph.node("Sub", [features, mean], "features.centred")
    x = graph.node("Mul", [centred, invstd], "features.normalised")
    x = graph.node("Unsqueeze", [x, graph.constant("axis.1", np.array([1], np.int64))], "subsample.image")
    x = _first_two(graph, x, parameters("conv"), parameters("depthwise.1"), spec.conv_channels)
    x = _pointwise(graph, x, parameters("pointwise.1"), "subsample.1")
    x = graph.node("Conv", [x, *parameters("depthwise.2")], "subsample.halved.2", group=spec.conv_channels, **HALVING)
    x = _pointwise(graph, x, parameters("pointwise.2"), "subsample.2")
    x = graph.node("Transpose", [x], "subsample.by_frame", perm=[0, 2, 1, 3])
    flat = graph.constant("subsample.flat", np.array([1, -1, spec.conv_channels * spec.subsampled_bins], np.int64))
    x = graph.node("Reshape", [x, flat], "subsample.rows")
    out, bias = weights["speech.subsample.out"], weights["speech.subsample.out_bias"]
    return blocks.linear(graph, x, out, "subsampled", bias)


def _first_two(graph: GraphBuilder, x: str, first: list[str], second: list[str], channels: int) -> str:
    """Convolution from 1 to all channels, ReLU, depthwise convolution."""
    slices = math.gcd(SLICES, channels)
    parts = [[f"{name}.{index}" for index in range(slices)] for name in (*first, *second)]
    for name, own in zip((*first, *second), parts, strict=True):
        graph.node("Split", [name], own, axis=0, num_outputs=slices)  # of constants: done once, at load
    halved = []
    for index, (weight, bias, weight2, bias2) in enumerate(zip(*parts, strict=True)):
        fine = graph.node("Conv", [x, weight, bias], f"subsample.fine.{index}", **HALVING)
        fine = graph.node("Relu", [fine], f"subsample.0.{index}")
        out, group = f"subsample.halved.1.{index}", channels // slices
        halved.append(graph.node("Conv", [fine, weight2, bias2], out, group=group, **HALVING))
    return graph.node("Concat", halved, "subsample.halved.1", axis=1)


def _pointwise(graph: GraphBuilder, x: str, parameters: list[str], out: str) -> str:
    return graph.node("Relu", [graph.node("Conv", [x, *parameters], f"{out}.mixed")], out)

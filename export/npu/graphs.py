"""Which graphs of fixed shapes a bundle for a neural processor holds, beside those for the CPU and over its weights."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from edge.bundle.manifest import FIXED
from export.architectures.phi4_multimodal import MediaSpec
from export.architectures.spec import DecoderSpec
from export.npu.attention import Window
from export.npu.decoder import build_embedding, build_head, build_layers
from export.npu.patch_order import build_patch_order
from export.npu.projector import build_fixed_projector
from export.npu.shapes import FixedShapes
from export.npu.speech import build_fixed_speech_encoder
from export.npu.vision import build_fixed_vision_encoder
from export.weights.layout import PlacedWeight

if TYPE_CHECKING:
    from export.plan import ExportPlan

Weights = Mapping[str, PlacedWeight]
Build = Callable[[Weights, Path], bytes]
"""Weights with their places, and the file that holds them, to a serialized ONNX model."""


def plan_fixed_graphs(spec: DecoderSpec, media: MediaSpec | None, shapes: FixedShapes) -> dict[str, Build]:
    """By the names that `edge.runtime.fixed_decoder` and `fixed_encoders` ask for."""
    graphs: dict[str, Build] = {"embedding": partial(build_embedding, spec), "head": partial(build_head, spec)}
    for mode, lora in (("text", ""), ("speech", "speech"), ("vision", "vision")):
        if media or not lora:
            for part, tokens in (("chunk", shapes.chunk), ("step", 1)):
                window = Window(tokens, shapes.window)
                graphs[f"{mode}.{part}"] = partial(build_layers, spec, window=window, lora=lora)
    if media:
        graphs |= _encoders(media, shapes)
    return {FIXED + name: build for name, build in graphs.items()}


def build_fixed_graphs(plan: "ExportPlan", weights_path: Path) -> Iterator[tuple[str, bytes]]:
    """(file name, serialized model), one at a time; nothing for a bundle that has none."""
    weights = plan.by_role
    for name, build in plan.fixed_graphs.items():
        yield f"{name}.onnx", build(weights, weights_path)


def _encoders(media: MediaSpec, shapes: FixedShapes) -> dict[str, Build]:
    branches = {"speech_projector": "speech.projector.speech", "vision_speech_projector": "speech.projector.vision"}
    speech = {name: _projector(name, branch, "_bias", shapes.rows) for name, branch in branches.items()}
    return speech | {
        # a frame more, which a clip's first window leaves empty, and later ones fill with their past
        "speech_encoder": partial(build_fixed_speech_encoder, media.speech, frames=shapes.frames, skip=1),
        "vision_encoder": partial(build_fixed_vision_encoder, media.vision),
        "vision_projector": _projector("vision_projector", "vision.projector", ".bias", shapes.rows),
        "patch_order": partial(build_patch_order, media.vision),
    }


def _projector(name: str, branch: str, bias: str, rows: int) -> Build:
    def build(weights: Weights, path: Path) -> bytes:
        up, up_bias, down, down_bias = (weights[f"{branch}.{p}"] for p in ("up", f"up{bias}", "down", f"down{bias}"))
        return build_fixed_projector(name, up, up_bias, down, down_bias, path, rows)

    return build

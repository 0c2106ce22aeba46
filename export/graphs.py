"""Which graphs a bundle holds, all over the same weights file."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from edge.bundle.manifest import PREFILL
from export.architectures.phi4_multimodal import MediaSpec
from export.architectures.spec import DecoderSpec
from export.graph.conformer import build_speech_encoder
from export.graph.decoder import Variant, build_decoder
from export.graph.image_projector import build_image_projector
from export.graph.int8_cache import CacheSteps
from export.graph.projector import build_projector
from export.graph.siglip import build_vision_encoder
from export.weights.layout import PlacedWeight

if TYPE_CHECKING:
    from export.plan import ExportPlan

WEIGHTS = "weights.bin"
Weights = Mapping[str, PlacedWeight]
Steps = Mapping[str, Sequence[CacheSteps]]


@dataclass(frozen=True, slots=True)
class GraphPlan:
    """A graph by its name in the manifest, and how to write it once its weights have places."""

    name: str
    build: Callable[[Weights], bytes]

    @property
    def file(self) -> str:
        return f"{self.name}.onnx"


def plan_graphs(spec: DecoderSpec, media: MediaSpec | None, fast_prefill: bool, steps: Steps) -> list[GraphPlan]:
    """Decoders first. The names are those of `edge.bundle.manifest.GRAPHS_OF`."""
    graphs = []
    for mode, lora in (("text", ""), ("speech", "speech"), ("vision", "vision")):
        if media or not lora:
            graphs.append(GraphPlan(mode, partial(_decoder, spec, Variant(lora, steps=steps.get(mode, ())))))
            if fast_prefill:
                graphs.append(
                    GraphPlan(mode + PREFILL, partial(_decoder, spec, Variant(lora, True, steps.get(mode, ()))))
                )
    return graphs + (encoder_graphs(media) if media else [])


def build_graphs(plan: "ExportPlan", steps: Steps) -> Iterator[tuple[str, bytes]]:
    """(file name, serialized model), one at a time. `steps` are those of an int8 KV cache, by mode."""
    weights = plan.by_role
    for graph in plan_graphs(plan.spec, plan.media, plan.options.fast_prefill, steps):
        yield graph.file, graph.build(weights)


def _decoder(spec: DecoderSpec, variant: Variant, weights: Weights) -> bytes:
    return build_decoder(spec, weights, WEIGHTS, variant)


def encoder_graphs(media: MediaSpec) -> list[GraphPlan]:
    def projector(name: str, branch: str) -> GraphPlan:
        def build(weights: Weights) -> bytes:
            up, up_bias, down, down_bias = (
                weights[f"speech.projector.{branch}.{part}"] for part in ("up", "up_bias", "down", "down_bias")
            )
            return build_projector(name, up, up_bias, down, down_bias, WEIGHTS)

        return GraphPlan(name, build)

    return [
        GraphPlan("speech_encoder", lambda weights: build_speech_encoder(media.speech, weights, WEIGHTS)),
        projector("speech_projector", "speech"),
        projector("vision_speech_projector", "vision"),
        GraphPlan("vision_encoder", lambda weights: build_vision_encoder(media.vision, weights, WEIGHTS)),
        GraphPlan("vision_projector", lambda weights: build_image_projector(media.vision, weights, WEIGHTS)),
    ]

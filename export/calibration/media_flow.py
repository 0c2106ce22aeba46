"""Flows that begin with what the encoders make of recordings and pictures: in float32, and as the bundle has them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edge.errors import InputError
from edge.evaluation.labels import Item
from edge.runtime.encoder import Encoders
from export.architectures.phi4_multimodal import MediaSpec
from export.architectures.speech import speech_weights
from export.architectures.vision import vision_weights
from export.calibration.flow import EXACT, SEEN, Flow, Span
from export.calibration.layer import LayerMath
from export.calibration.prompts import Prompts
from export.graphs import WEIGHTS, encoder_graphs
from export.weights.layout import place
from export.weights.writer import WeightsWriter
from quant.formats import FloatFormat, WeightFormat

if TYPE_CHECKING:
    from export.plan import ExportPlan

MEASURED = 4
"""Every fourth question is only measured, or the last one of fewer."""


def media_flow(prompts: Prompts, folder: Path, media: MediaSpec, mode: str, questions: Sequence[Item]) -> Flow:
    """`mode` is that of the decoder graph, speech or vision; all `questions` belong to it. Some are only measured, and
    of these what comes after recordings and pictures. Raises InputError for a single question."""
    plan = prompts.plan
    if len(questions) < 2:
        raise InputError(
            f"labels.jsonl has one line for the mode {mode}, and one to learn from and one to measure with are needed",
            "add lines, or leave that one out",
        )
    every = min(MEASURED, len(questions))
    states = {
        kind: [prompts.states(kind, encoders, question) for question in questions]
        for kind, encoders in (
            (EXACT, _encoders(media, plan, FloatFormat(), folder / "encoders.exact")),
            (SEEN, _encoders(media, plan, plan.options.recipe().encoder, folder / "encoders.seen")),
        )
    }
    spans, start = [], 0
    for number, (question, rows) in enumerate(zip(questions, states[EXACT], strict=True)):
        asked = start + prompts.end_of_media(question)
        spans.append(Span(start, start + len(rows), held_out=number % every == every - 1, asked=asked))
        start += len(rows)
    flow = Flow(folder, mode, LayerMath(plan.spec), spans)
    if not any(flow.reached(layer) for layer in range(plan.spec.layers + 1)):
        flow.begin({kind: np.concatenate(rows) for kind, rows in states.items()})
    return flow


def _encoders(media: MediaSpec, plan: "ExportPlan", fmt: WeightFormat, folder: Path) -> Encoders:
    """Both encoders and all projectors, with Linear layers in `fmt`, as a small bundle of their own in `folder`."""
    folder.mkdir(exist_ok=True)
    tensors = plan.checkpoint.tensors
    weights = place([*speech_weights(media.speech, tensors, fmt), *vision_weights(media.vision, tensors, fmt)])
    with WeightsWriter(folder / WEIGHTS, folder / "journal", plan.fingerprint()) as writer:
        for _ in writer.write(weights, plan.checkpoint):
            pass
    named = {weight.source.name: weight for weight in weights}
    for graph in encoder_graphs(media):
        (folder / graph.file).write_bytes(graph.build(named))
    return Encoders(lambda name: folder / f"{name}.onnx")

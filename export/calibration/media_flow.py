"""Flows that begin with what the encoders make of recordings and pictures: in float32, and as the bundle has them."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edge.errors import InputError
from edge.evaluation.labels import Item
from export.architectures.phi4_multimodal import MediaSpec
from export.architectures.speech import speech_weights
from export.architectures.vision import vision_weights
from export.calibration.encoder_drift import EncoderDrift, RecordedEncoders
from export.calibration.flow import EXACT, SEEN, Flow, Span
from export.calibration.layer import LayerMath
from export.calibration.prompts import CROPS, Prompts
from export.graphs import WEIGHTS, encoder_graphs
from export.weights.layout import place
from export.weights.writer import WeightsWriter
from quant.formats import FloatFormat, WeightFormat

if TYPE_CHECKING:
    from export.plan import ExportPlan

MEASURED = 4
"""Every fourth question is only measured, or the last one of fewer."""


def held_out(questions: Sequence[Item]) -> list[Item]:
    """Those of a decoder graph that are never learned from."""
    every = min(MEASURED, len(questions))
    return list(questions[every - 1 :: every])


def media_flow(
    prompts: Prompts, folder: Path, media: MediaSpec, mode: str, questions: Sequence[Item], bundle: Path | None = None
) -> Flow:
    """`mode` is that of the decoder graph, speech or vision; all `questions` belong to it. Some are only measured, and
    of these what comes after recordings and pictures; nothing is learned where the encoders are those of a `bundle`
    that was written. Raises InputError for a single question to learn from."""
    plan, measured = prompts.plan, held_out(questions)
    if bundle:
        questions = measured
    elif len(questions) < 2:
        raise InputError(
            f"labels.jsonl has one line for the mode {mode}, and one to learn from and one to measure with are needed",
            "add lines, or leave that one out",
        )
    exact = _encoders(media, plan, FloatFormat(), folder / "encoders.exact")
    seen = bundle or _encoders(media, plan, plan.options.recipe().encoder, folder / "encoders.seen")
    limited = bool(plan.options.max_ram)
    encoders = {EXACT: RecordedEncoders(exact, True, limited), SEEN: RecordedEncoders(seen, False, limited)}
    drift = EncoderDrift()
    states: dict[str, list[np.ndarray]] = {kind: [] for kind in encoders}
    spans, start = [], 0
    for question in questions:
        for kind, graphs in encoders.items():
            states[kind].append(prompts.states(kind, graphs, question))
            if limited:
                graphs.close()  # never two in memory; opening takes a second
        drift.compare(encoders[EXACT], encoders[SEEN])
        asked, stop = start + prompts.end_of_media(question), start + len(states[EXACT][-1])
        spans.append(Span(start, stop, held_out=question in measured, asked=asked))
        start = stop
    flow = Flow(folder, mode, LayerMath(plan.spec), spans, _digest(measured), drift.distances)
    if not any(flow.reached(layer) for layer in range(plan.spec.layers + 1)):
        flow.begin({kind: np.concatenate(rows) for kind, rows in states.items()})
    return flow


def _digest(questions: Sequence[Item]) -> str:
    found = hashlib.sha256(str(CROPS).encode())
    for question in questions:
        found.update(repr((question.prompt, question.expected)).encode())
        for path in (*question.audio, *question.images):
            found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()


def _encoders(media: MediaSpec, plan: "ExportPlan", fmt: WeightFormat, folder: Path) -> Path:
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
    return folder

"""What the last hidden states of a flow predict, exactly and as the bundle will."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from export.calibration.fidelity import ModeFidelity, mode_fidelity
from export.calibration.flow import EXACT, SEEN, Flow
from export.calibration.predictions import SLAB, compare
from export.calibration.rounding import as_the_kernel_reads
from export.calibration.stored import StoredWeights
from export.weights.encode import read_rows
from quant.formats import BlockFormat
from quant.packing import dequantise
from quant.rtn import quantise_rows

if TYPE_CHECKING:
    from export.plan import ExportPlan


def judge(plan: "ExportPlan", flow: Flow, stored: StoredWeights | None = None) -> ModeFidelity:
    """Over the sequences of a flow that were held out; it has gone through all layers. `stored`: what was written, if
    that is what counts."""
    spec, spans = plan.spec, [span for span in flow.spans if span.held_out]
    norm = plan.by_role["norm"]
    gains = {EXACT: read_rows(norm, plan.checkpoint)}
    gains[SEEN] = stored.matrix(norm) if stored else gains[EXACT]
    flow.open(spec.layers)
    exact, seen = (
        np.concatenate([flow.math.normed(flow.residual(k, s)[s.measured - s.start :], gains[k]) for s in spans])
        for k in (EXACT, SEEN)
    )
    seen = as_the_kernel_reads(seen, plan.by_role["head"].source.format)
    lengths = [span.stop - span.measured for span in spans]
    truth = [[*span.ids[1:], -1] if span.ids else [-1] * length for span, length in zip(spans, lengths, strict=True)]
    predictions = compare(exact, seen, np.concatenate(truth), lambda: _head(plan, stored), spec.logits_divisor)
    return mode_fidelity(predictions, lengths, flow.drift, flow.before, flow.data)


def _head(plan: "ExportPlan", stored: StoredWeights | None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Its rows, slab by slab: of the checkpoint, and as the bundle holds them."""
    weight = plan.by_role["head"]
    head, fmt = weight.source, weight.source.format
    for start in range(0, head.rows, SLAB):
        stop = min(start + SLAB, head.rows)
        rows = plan.checkpoint.rows(head.parts[0].tensor, start, stop)
        if stored:
            kept = stored.rows(weight, start, stop)
        else:
            kept = dequantise(quantise_rows(rows, fmt), fmt, head.columns) if isinstance(fmt, BlockFormat) else rows
        yield rows, kept

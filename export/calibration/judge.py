"""What the last hidden states of a flow predict, exactly and as the bundle will."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from export.calibration.fidelity import ModeFidelity, mode_fidelity
from export.calibration.flow import EXACT, SEEN, Flow
from export.calibration.predictions import SLAB, compare
from export.weights.encode import read_rows
from quant.formats import BlockFormat
from quant.packing import dequantise
from quant.rtn import quantise_rows

if TYPE_CHECKING:
    from export.plan import ExportPlan


def judge(plan: "ExportPlan", flow: Flow) -> ModeFidelity:
    """Over the sequences of a flow that were held out; it has gone through all layers."""
    spec, spans = plan.spec, [span for span in flow.spans if span.held_out]
    gain = read_rows(plan.by_role["norm"], plan.checkpoint)
    flow.open(spec.layers)
    exact, seen = (
        np.concatenate([flow.math.normed(flow.residual(k, s)[s.measured - s.start :], gain) for s in spans])
        for k in (EXACT, SEEN)
    )
    lengths = [span.stop - span.measured for span in spans]
    truth = [[*span.ids[1:], -1] if span.ids else [-1] * length for span, length in zip(spans, lengths, strict=True)]
    predictions = compare(exact, seen, np.concatenate(truth), lambda: _head(plan), spec.logits_divisor)
    return mode_fidelity(predictions, lengths, flow.drift)


def _head(plan: "ExportPlan") -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Its rows, slab by slab: of the checkpoint, and as the bundle holds them."""
    head = plan.by_role["head"].source
    for start in range(0, head.rows, SLAB):
        rows = plan.checkpoint.rows(head.parts[0].tensor, start, min(start + SLAB, head.rows))
        fmt = head.format
        yield rows, dequantise(quantise_rows(rows, fmt), fmt, head.columns) if isinstance(fmt, BlockFormat) else rows

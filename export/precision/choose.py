"""A budget of bits becomes a format for each matrix of the layers; the choice and its reasons go into the bundle."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.bundle.files import write_bytes_durably
from export.calibration.flow import Flow
from export.precision.matrix_costs import Cost, Costs
from export.precision.sensitivity import Sensitivity
from export.precision.spend import spend
from quant.formats import BlockFormat, fitting

if TYPE_CHECKING:
    from export.plan import ExportPlan

MEASURED = "costs.json"
CHOICES = ((4, 128), (4, 64), (4, 32), (8, 128))
"""(bits, block) of a matrix that the recipe does not name: values are int8 whatever is measured. Their errors add up
over the tokens that attention looks at, which the estimate sees only in part; left to it, KL was a third higher."""

MAX_INPUTS = 5e-4
"""Nats a token that rounding the input of a matrix to int8 may cost, if rounding its weights does not cost more. Of
SmolLM2-135M's 150 matrices the median costs 0.00002; two, in the last layer, a little more than this."""


@dataclass(frozen=True, slots=True)
class Precision:
    """The format of each matrix, by its name in the layers: layers.3.down."""

    formats: dict[str, BlockFormat]
    costs: Costs

    def to_json(self) -> bytes:
        matrices = {name: self._told(name, fmt) for name, fmt in self.formats.items()}
        return json.dumps({"schema": 1, "matrices": matrices}, indent=1).encode()

    def _told(self, name: str, fmt: BlockFormat) -> dict[str, Any]:
        costs = self.costs[name]
        chosen = next(cost for one, cost in costs.items() if (one.bits, one.block) == (fmt.bits, fmt.block))
        least = costs[min(costs, key=BlockFormat.bits_per_weight)]
        return {
            "bits": fmt.bits,
            "block": fmt.block,
            "activation_bits": fmt.activation_bits,
            "nats": chosen.weights * chosen.kept,
            "nats_of_int8_inputs": chosen.inputs,
            "nats_with_least_bits": least.weights * least.kept,
        }


def choose(
    plan: "ExportPlan", flows: Sequence[Flow], folder: Path, bits: float, told: Callable[[str], None]
) -> Precision:
    """Measures, unless an earlier run in `folder` has, and spends `bits` a weight, scales and zero points included. A
    matrix whose input has outliers is multiplied by their rounding error as well."""
    kept, recipe = folder / MEASURED, plan.options.recipe()
    body = recipe.body
    assert isinstance(body, BlockFormat)

    def choices(name: str, columns: int) -> list[BlockFormat]:
        some = [replace(body, bits=bits, block=block) for bits, block in CHOICES]
        wanted = (fitting(fmt, columns) for fmt in ([recipe.raised[name]] if name in recipe.raised else some))
        return list(dict.fromkeys(fmt for fmt in wanted if isinstance(fmt, BlockFormat)))

    if not kept.exists():
        costs = Sensitivity(plan.spec, plan.checkpoint, plan.by_role, flows, choices, told).measure()
        write_bytes_durably(kept, _dump(costs))
    costs = _load(kept.read_bytes(), body)
    chosen = spend(costs, sizes(plan), bits)
    return Precision({name: _raised(costs[name][fmt], fmt) for name, fmt in chosen.items()}, costs)


def sizes(plan: "ExportPlan") -> dict[str, int]:
    """Weights of each matrix that may have a format of its own."""
    spec = plan.spec
    hidden, wide, (query, key, value) = spec.hidden_size, spec.intermediate_size, spec.qkv_rows
    rows = {"qk": (query + key) * hidden, "v": value * hidden, "attention_out": hidden * query}
    rows |= {"gate_up": 2 * wide * hidden, "down": hidden * wide}
    return {f"layers.{layer}.{name}": size for layer in range(spec.layers) for name, size in rows.items()}


def _raised(cost: Cost, fmt: BlockFormat) -> BlockFormat:
    return replace(fmt, activation_bits=16) if cost.inputs > max(cost.weights * cost.kept, MAX_INPUTS) else fmt


def _dump(costs: Costs) -> bytes:
    told = {
        name: [[fmt.bits, fmt.block, cost.weights, cost.inputs, cost.kept] for fmt, cost in found.items()]
        for name, found in costs.items()
    }
    return json.dumps(told).encode()


def _load(told: bytes, body: BlockFormat) -> Costs:
    return {
        name: {replace(body, bits=bits, block=block): Cost(*cost) for bits, block, *cost in found}
        for name, found in json.loads(told).items()
    }

"""Ways to spend bits on the decoder's matrices, by name. Measured with `python -m benchmarks.fidelity`."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from quant.formats import BlockFormat, WeightFormat


@dataclass(frozen=True, slots=True)
class NamedRecipe:
    """int4 in blocks of `block`; some matrices get other bits and blocks. `trade` says what that brings and costs."""

    block: int
    trade: str
    others: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """(bits, block) of a matrix in every layer: qk, v, attention_out, gate_up or down."""

    def body(self, symmetric: bool) -> BlockFormat:
        return BlockFormat(4, self.block, symmetric)

    def raised(self, symmetric: bool) -> dict[str, WeightFormat]:
        return {matrix: BlockFormat(bits, block, symmetric) for matrix, (bits, block) in self.others.items()}


VALUES = {"v": (8, 128)}
"""The values of attention are a thirtieth of a layer and cost a third of the divergence in int4."""

NAMED = {
    "fast": NamedRecipe(128, "4.4 bits; SmolLM2-135M loses KL 0.095, without calibration 0.361", VALUES),
    "balanced": NamedRecipe(64, "4.7 bits; KL 0.074", VALUES),
    "faithful": NamedRecipe(32, "5.2 bits; KL 0.053", VALUES),
}

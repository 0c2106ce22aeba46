"""Ways to spend bits on the decoder's matrices, by name. Compared with `python -m benchmarks.fidelity`."""

from collections.abc import Mapping
from dataclasses import dataclass, field

VALUES = {"v": (8, 128)}
"""The values of attention are a thirtieth of a layer and cost a third of the divergence in int4."""


@dataclass(frozen=True, slots=True)
class NamedRecipe:
    """int4 in blocks of `block`; some matrices get other bits and blocks. `trade` says what that brings and costs."""

    trade: str
    block: int = 128
    head: tuple[int, int] = (8, 128)
    """(bits, block), also of a tied embedding."""
    others: Mapping[str, tuple[int, int]] = field(default_factory=lambda: VALUES)
    """(bits, block) of a matrix in every layer: qk, v, attention_out, gate_up or down."""
    budget: float | None = None
    """Bits a weight of the layers, with scales and zero points, spent where measurement says; None: no measurement."""


NAMED = {
    "fast": NamedRecipe("int4 in blocks of 128, the head too", head=(4, 32)),
    "balanced": NamedRecipe("int4 in blocks of 128, the head int8; more only where inputs have outliers", budget=4.45),
    "faithful": NamedRecipe("5.25 bits a weight, spent where they matter, the head int8: a tenth slower", budget=5.25),
}

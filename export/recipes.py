"""Ways to spend bits on the decoder's matrices, by name. Measured with `python -m benchmarks.fidelity`."""

from collections.abc import Mapping
from dataclasses import dataclass, field

VALUES = {"v": (8, 128)}
"""The values of attention are a thirtieth of a layer and cost a third of the divergence in int4."""


@dataclass(frozen=True, slots=True)
class NamedRecipe:
    """int4 in blocks of `block`; some matrices get other bits and blocks. `trade` says what that brings and costs."""

    block: int
    trade: str
    head: tuple[int, int] = (8, 128)
    """(bits, block), also of a tied embedding."""
    others: Mapping[str, tuple[int, int]] = field(default_factory=lambda: VALUES)
    """(bits, block) of a matrix in every layer: qk, v, attention_out, gate_up or down."""


NAMED = {
    "fast": NamedRecipe(128, "int4 in blocks of 128, the head too", head=(4, 32)),
    "balanced": NamedRecipe(128, "int4 in blocks of 128, the head int8"),
    "faithful": NamedRecipe(32, "int4 in blocks of 32, the head int8: decoding is a tenth slower"),
}

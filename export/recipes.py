"""Ways to spend bits on the decoder's matrices, by name. Compared with `python -m benchmarks.fidelity`."""

from dataclasses import dataclass

BLOCK = 128
"""Of int4 weights, where the recipe decides."""

RAISED = {"v": (8, 128)}
"""(bits, block) of matrices in every layer. The values of attention are a thirtieth of a layer and cost a third of the
divergence in int4."""


@dataclass(frozen=True, slots=True)
class NamedRecipe:
    """int4 but for `RAISED` and the head. `trade` says what that brings and costs."""

    trade: str
    head: tuple[int, int] = (8, 128)
    """(bits, block), also of a tied embedding."""
    budget: float | None = None
    """Bits a weight of the layers, with scales and zero points, spent where measurement says; with 0, only inputs with
    outliers get more. None: nothing is measured."""


NAMED = {
    "fast": NamedRecipe("int4 in blocks of 128, the head too", head=(4, 32)),
    "balanced": NamedRecipe("int4 in blocks of 128, the head int8; more only where inputs have outliers", budget=0.0),
    "faithful": NamedRecipe("5.25 bits a weight, spent where they matter, the head int8", budget=5.25),
}

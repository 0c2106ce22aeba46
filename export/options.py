"""What a user decides about an export."""

from dataclasses import dataclass, replace
from pathlib import Path

from edge.bundle.manifest import KV_BITS
from edge.errors import UsageError
from export.architectures.weights import Recipe
from export.npu.shapes import FixedShapes
from export.recipes import BLOCK, NAMED, RAISED, NamedRecipe
from quant.formats import BITS, BLOCKS, BlockFormat, ChannelFormat, FloatFormat, WeightFormat

FLOAT_BITS = 32
ENCODER_BITS = (8, 32)
CALIBRATED_KL, PLAIN_KL = 0.5, 2.0
MIN_BUDGET, MAX_BUDGET = 4.0, 9.0


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """`head_bits` and `embedding_bits` default to `bits`; a tied embedding is the head's table and shares its bits."""

    bits: int = 4
    block: int = 128
    symmetric: bool = False
    head_bits: int | None = None
    embedding_bits: int | None = None
    activation_bits: int | None = None
    """8 or 16; by default 16 for an int8 body, whose weights are more exact than int8 activations."""
    max_ram: int = 0
    """Bytes the process may use, 0 for no limit."""
    fast_prefill: bool = False
    """Store the Linear layers once more in int8 per channel, for prompts."""
    encoder_bits: int | None = None
    """8 (per channel) or 32; by default 8 unless `bits` is 32."""
    named: str = ""
    """A recipe of `export.recipes` for the body, which is calibrated then; `bits` and `block` are those of the rest."""
    calibration: Path | None = None
    """A folder of texts, or of labels.jsonl with recordings and pictures, instead of the default ones."""
    max_kl: float | None = None
    """Nats a token that an export may lose in any mode; by default `CALIBRATED_KL` or `PLAIN_KL`."""
    fidelity: bool = False
    """Measure an export without a recipe as well, and refuse one that loses too much."""
    bits_per_weight: float | None = None
    """Of the layers, with scales and zero points, that a recipe spends where measurement says, instead of its own."""
    kv_bits: int = 32
    """32 or 8: keys and values in float32, or, with a recipe, in int8 with steps that are calibrated."""
    fixed: FixedShapes | None = None
    """Sizes of the graphs for a neural processor, if the bundle is to have them."""

    @property
    def calibrated(self) -> NamedRecipe | None:
        if self.named and self.named not in NAMED:
            raise UsageError(f"there is no recipe {self.named!r}", f"choose {', '.join(NAMED)}")
        if self.named and self.bits != 4:
            raise UsageError("a recipe decides about the bits itself", "leave out --bits, or --recipe")
        if self.calibration and not self.named:
            raise UsageError("texts to calibrate with need a recipe", "add --recipe balanced")
        if self.kv_bits not in KV_BITS:
            raise UsageError(f"a KV cache of {self.kv_bits} bits is not available", "choose --kv-bits 8 or 32")
        if self.int8_cache and not self.named:
            raise UsageError("an int8 KV cache is calibrated, which a recipe does", "add --recipe balanced")
        if self.int8_cache and self.fixed:
            raise UsageError("a neural processor keeps its KV cache in float", "leave out --kv-bits 8, or --target qnn")
        return NAMED.get(self.named)

    @property
    def int8_cache(self) -> bool:
        return self.kv_bits == 8

    @property
    def budget(self) -> float | None:
        """Bits per weight to be spent by measurement, None if the recipe alone says where they go."""
        if self.bits_per_weight is not None:
            return self.bits_per_weight
        return self.calibrated.budget if self.calibrated else None

    @property
    def kl_limit(self) -> float:
        default = CALIBRATED_KL if self.calibrated else PLAIN_KL
        return default if self.max_kl is None else self.max_kl

    def recipe(self) -> Recipe:
        named = self.calibrated
        self._check_budget()
        head = self.bits if self.head_bits is None else self.head_bits
        embedding = head if self.embedding_bits is None else self.embedding_bits
        encoder = (FLOAT_BITS if self.bits == FLOAT_BITS else 8) if self.encoder_bits is None else self.encoder_bits
        if encoder not in ENCODER_BITS:
            raise UsageError(f"encoders of {encoder} bits are not available", "choose 8 or 32")
        encoder_format = FloatFormat() if encoder == FLOAT_BITS else ChannelFormat()
        body, head_format, tables = (self._format(bits) for bits in (self.bits, head, embedding))
        if named is None:
            return Recipe(body, head_format, tables, encoder_format)
        if self.head_bits is None:
            head_format = replace(head_format, bits=named.head[0], block=named.head[1])
        if self.embedding_bits is None:
            tables = head_format
        raised = {matrix: replace(body, bits=bits, block=block) for matrix, (bits, block) in RAISED.items()}
        return Recipe(replace(body, block=BLOCK), head_format, tables, encoder_format, raised, fitted=True)

    def _check_budget(self) -> None:
        bits = self.bits_per_weight
        if bits is not None and not self.calibrated:
            raise UsageError("bits are spent by a recipe", "add --recipe balanced")
        if bits is not None and not MIN_BUDGET <= bits <= MAX_BUDGET:
            raise UsageError(
                f"a budget of {bits:g} bits a weight cannot be spent",
                f"choose one from {MIN_BUDGET:g} to {MAX_BUDGET:g}, scales and zero points included",
            )

    def _format(self, bits: int) -> WeightFormat:
        if bits == FLOAT_BITS:
            return FloatFormat()
        if bits not in BITS or self.block not in BLOCKS:
            raise UsageError(
                f"{bits} bits in blocks of {self.block} is not a format of the runtime",
                f"bits: {', '.join(map(str, BITS))} or {FLOAT_BITS}; block: {', '.join(map(str, BLOCKS))}",
            )
        activations = self.activation_bits or (16 if self.bits == 8 else 8)
        if activations not in (8, 16):
            raise UsageError(f"activations of {activations} bits are not available", "choose 8 or 16")
        return BlockFormat(bits, self.block, self.symmetric, activations)

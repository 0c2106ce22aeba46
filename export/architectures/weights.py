"""Which weights a decoder is made of, in file order, and the format each of them gets."""

from collections.abc import Container, Mapping
from dataclasses import dataclass, field

from export.architectures.spec import DecoderSpec
from export.architectures.weight_table import WeightTable
from export.sources.checkpoint import TensorInfo
from export.weights.layout import WeightSource
from quant.formats import ChannelFormat, WeightFormat, fitting

FAST = ".int8"
"""Suffix of the second copy of a matrix, in int8 per channel, that only prefill reads."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Formats by role: the decoder's Linear layers, its output head, its embedding (the head's if tied), encoders.

    `raised` has the matrices of the body that get another format: by their name in every layer (v, down), or in one
    (layers.3.down).
    """

    body: WeightFormat
    head: WeightFormat
    embedding: WeightFormat
    encoder: WeightFormat
    raised: Mapping[str, WeightFormat] = field(default_factory=dict)

    fitted: bool = False
    """Blocks get smaller where they would need padding."""

    def of(self, layer: int, matrix: str, columns: int) -> WeightFormat:
        """The format of q and k (qk), v, attention_out, gate_up or down."""
        fmt = self.raised.get(f"layers.{layer}.{matrix}") or self.raised.get(matrix) or self.body
        return fitting(fmt, columns) if self.fitted else fmt


def decoder_weights(
    spec: DecoderSpec, tensors: Mapping[str, TensorInfo], recipe: Recipe
) -> tuple[list[WeightSource], dict[str, str]]:
    """The weights to store and, for the graph, which stored weight serves each role.

    Raises CheckpointError when a tensor is missing or has another shape than the config says.
    """
    table = WeightTable(tensors)
    hidden, vocab = spec.hidden_size, spec.vocab_size
    tied_format = recipe.head if spec.tied_embedding else recipe.embedding
    table.matrix("embedding", "embedding", (spec.embedding_tensor,), vocab, hidden, tied_format)
    for index, layer in enumerate(spec.layer_tensors):
        table.vector(f"layers.{index}.input_norm", layer.input_norm, hidden)
        table.vector(f"layers.{index}.mlp_norm", layer.mlp_norm, hidden)
        _linears(table, spec, index, recipe)
    table.vector("norm", spec.norm_tensor, hidden)
    if not spec.tied_embedding:
        table.matrix("head", "head", (spec.head_tensor,), vocab, hidden, recipe.head)
    return table.sources, {"head": "embedding"} if spec.tied_embedding else {}


def fast_prefill_weights(spec: DecoderSpec, tensors: Mapping[str, TensorInfo]) -> list[WeightSource]:
    """The Linear layers of the body once more, in int8 per channel."""
    table = WeightTable(tensors)
    for index in range(spec.layers):
        fmt = ChannelFormat()
        _linears(table, spec, index, Recipe(fmt, fmt, fmt, fmt), FAST)
    return table.sources


def stored_as(role: str, weights: Container[str]) -> tuple[str, ...]:
    """The names of the weights that make up a matrix of the graph, by rows: v may have a format of its own."""
    if role in weights:
        return (role,)
    layer, _, rest = role.rpartition(".qkv")
    return f"{layer}.qk{rest}", f"{layer}.v{rest}"


def _linears(table: WeightTable, spec: DecoderSpec, index: int, recipe: Recipe, suffix: str = "") -> None:
    layer, name, hidden = spec.layer_tensors[index], f"layers.{index}", spec.hidden_size
    attention, mlp = ("prefill", "prefill") if suffix else ("attention", "mlp")
    inner, wide, rows = spec.heads * spec.head_size, spec.intermediate_size, sum(spec.qkv_rows)
    qk, v = recipe.of(index, "qk", hidden), recipe.of(index, "v", hidden)
    if qk == v:
        table.matrix(f"{name}.qkv{suffix}", attention, layer.qkv, rows, hidden, qk)
    else:
        first = rows - spec.qkv_rows[2]
        table.matrix(f"{name}.qk{suffix}", attention, layer.qkv, rows, hidden, qk, only=first)
        table.matrix(f"{name}.v{suffix}", attention, layer.qkv, rows, hidden, v, first=first, only=spec.qkv_rows[2])
    out = recipe.of(index, "attention_out", inner)
    table.matrix(f"{name}.attention_out{suffix}", attention, (layer.attention_out,), hidden, inner, out)
    gate_up = recipe.of(index, "gate_up", hidden)
    table.matrix(f"{name}.gate_up{suffix}", mlp, layer.gate_up, 2 * wide, hidden, gate_up)
    table.matrix(f"{name}.down{suffix}", mlp, (layer.down,), hidden, wide, recipe.of(index, "down", wide))

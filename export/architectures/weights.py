"""Which weights a decoder is made of, in file order, and the format each of them gets."""

from collections.abc import Mapping
from dataclasses import dataclass

from edge.errors import CheckpointError
from export.architectures.spec import DecoderSpec
from export.sources.checkpoint import TensorInfo
from export.weights.layout import Part, WeightSource
from quant.formats import FloatFormat, WeightFormat


@dataclass(frozen=True, slots=True)
class Recipe:
    """Formats by role: the Linear layers of the body, the output head, the embedding (the head's if tied)."""

    body: WeightFormat
    head: WeightFormat
    embedding: WeightFormat


def decoder_weights(
    spec: DecoderSpec, tensors: Mapping[str, TensorInfo], recipe: Recipe
) -> tuple[list[WeightSource], dict[str, str]]:
    """The weights to store and, for the graph, which stored weight serves each role.

    Raises CheckpointError when a tensor is missing or has another shape than the config says.
    """
    sources: list[WeightSource] = []

    def matrix(name: str, group: str, names: tuple[str, ...], rows: int, columns: int, fmt: WeightFormat) -> None:
        shapes = [_shape(tensors, tensor, 2) for tensor in names]
        if sum(shape[0] for shape in shapes) != rows or any(shape[1] != columns for shape in shapes):
            found = " + ".join("×".join(map(str, shape)) for shape in shapes)
            raise CheckpointError(
                f"tensor {' + '.join(names)} has shape {found}, the config asks for {rows}×{columns}",
                "config.json and the weights belong to different models",
            )
        parts = tuple(Part(tensor, shape[0]) for tensor, shape in zip(names, shapes, strict=True))
        sources.append(WeightSource(name, group, parts, columns, fmt))

    def vector(name: str, tensor: str, size: int) -> None:
        if _shape(tensors, tensor, 1) != (size,):
            raise CheckpointError(
                f"tensor {tensor} has shape {tensors[tensor].shape}, the config asks for ({size},)",
                "config.json and the weights belong to different models",
            )
        sources.append(WeightSource(name, "norms", (Part(tensor, size),), 0, FloatFormat()))

    hidden, vocab = spec.hidden_size, spec.vocab_size
    tied_format = recipe.head if spec.tied_embedding else recipe.embedding
    matrix("embedding", "embedding", (spec.embedding_tensor,), vocab, hidden, tied_format)
    for index, layer in enumerate(spec.layer_tensors):
        name, body = f"layers.{index}", recipe.body
        vector(f"{name}.input_norm", layer.input_norm, hidden)
        matrix(f"{name}.qkv", "attention", layer.qkv, sum(spec.qkv_rows), hidden, body)
        out = (layer.attention_out,)
        matrix(f"{name}.attention_out", "attention", out, hidden, spec.heads * spec.head_size, body)
        vector(f"{name}.mlp_norm", layer.mlp_norm, hidden)
        matrix(f"{name}.gate_up", "mlp", layer.gate_up, 2 * spec.intermediate_size, hidden, body)
        matrix(f"{name}.down", "mlp", (layer.down,), hidden, spec.intermediate_size, body)
    vector("norm", spec.norm_tensor, hidden)
    if not spec.tied_embedding:
        matrix("head", "head", (spec.head_tensor,), vocab, hidden, recipe.head)
    return sources, {"head": "embedding"} if spec.tied_embedding else {}


def _shape(tensors: Mapping[str, TensorInfo], name: str, rank: int) -> tuple[int, ...]:
    if name not in tensors:
        raise CheckpointError(f"tensor {name} is missing from the checkpoint", "is a shard file missing?")
    shape = tensors[name].shape
    if len(shape) != rank or min(shape) < 1:
        raise CheckpointError(
            f"tensor {name} has shape {shape}, expected {rank} dimensions that are not 0",
            "config.json and the weights belong to different models",
        )
    return shape

"""The adapters' matrices: constants of the graph of their mode, quantised like the layers they stand beside."""

from collections.abc import Mapping

from export.architectures.phi4_multimodal import Adapter
from export.architectures.spec import DecoderSpec
from export.architectures.weight_table import WeightTable
from export.architectures.weights import FAST
from export.sources.checkpoint import TensorInfo
from export.weights.layout import WeightSource
from quant.formats import ChannelFormat, WeightFormat, fitting


def adapter_weights(
    spec: DecoderSpec, adapter: Adapter, tensors: Mapping[str, TensorInfo], body: WeightFormat, fast: bool
) -> list[WeightSource]:
    """A [rank, in] and B [out, rank] of every Linear layer, the adapter's scale folded into B.

    Raises CheckpointError for a missing tensor or another shape than the rank says.
    """
    formats: dict[str, WeightFormat] = {"": body, FAST: ChannelFormat()} if fast else {"": body}
    table = WeightTable(tensors)
    for suffix, fmt in formats.items():
        group = f"{adapter.name} LoRA" + (" prefill" if suffix else "")
        for index in range(spec.layers):
            for matrix, (rows, columns) in _shapes(spec).items():
                name = f"lora.{adapter.name}.layers.{index}.{matrix}"
                table.matrix(f"{name}.A{suffix}", group, (f"{name}.A",), adapter.rank, columns, fmt)
                narrow = fitting(fmt, adapter.rank)
                table.matrix(f"{name}.B{suffix}", group, (f"{name}.B",), rows, adapter.rank, narrow, adapter.scale)
    return table.sources


def _shapes(spec: DecoderSpec) -> dict[str, tuple[int, int]]:
    """(out, in) of the layers."""
    hidden, inner, wide = spec.hidden_size, spec.heads * spec.head_size, spec.intermediate_size
    return {
        "qkv": (sum(spec.qkv_rows), hidden),
        "attention_out": (hidden, inner),
        "gate_up": (2 * wide, hidden),
        "down": (hidden, wide),
    }

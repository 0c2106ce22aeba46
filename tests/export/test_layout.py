"""weights.bin: where arrays lie, and that what is shared is stored once."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest

from export.exporter import run_export
from export.options import ExportOptions
from export.plan import ExportPlan, plan_export
from export.weights.layout import PAGE, Section
from quant.packing import PackedRows, dequantise
from quant.rtn import quantise_rows
from tests.checkpoints import config, random_checkpoint, tensors
from tests.quant.formats_under_test import ALL_FORMATS, name

OPTIONS = [ExportOptions(fmt.bits, fmt.block, fmt.symmetric) for fmt in ALL_FORMATS] + [ExportOptions(bits=32)]
ids = [*map(name, ALL_FORMATS), "float32"]


def sections(plan: ExportPlan) -> list[Section]:
    return [section for weight in plan.weights for section in weight.sections]


@pytest.mark.parametrize("options", OPTIONS, ids=ids)
def test_arrays_lie_on_pages_of_their_own_and_fill_the_file(
    phi3_checkpoint: Path, tmp_path: Path, options: ExportOptions
) -> None:
    plan = plan_export(phi3_checkpoint, options)
    run_export(plan, tmp_path / "out")
    found = sections(plan)
    assert all(section.offset % PAGE == 0 for section in found)
    assert all(left.end <= right.offset < left.end + PAGE for left, right in pairwise(found))
    assert found[0].offset == 0
    assert found[-1].end == plan.weights_bytes == (tmp_path / "out" / "weights.bin").stat().st_size


@pytest.mark.parametrize("options", OPTIONS, ids=ids)
def test_every_byte_is_what_quantising_the_whole_tensor_gives(tmp_path: Path, options: ExportOptions) -> None:
    """Slabs, threads and stacked matrices leave no trace."""
    checkpoint = random_checkpoint(tmp_path / "llama", "llama", num_hidden_layers=1)
    source = tensors(config("llama", num_hidden_layers=1))
    plan = plan_export(checkpoint, options)
    run_export(plan, tmp_path / "out")
    data = (tmp_path / "out" / "weights.bin").read_bytes()
    for weight in plan.weights:
        whole = np.concatenate([source[part.tensor] for part in weight.source.parts])
        if weight.source.format.bits == 32:
            expected: list[np.ndarray] = [whole]
        else:
            packed = quantise_rows(whole, weight.source.format)  # type: ignore[arg-type]
            arrays = (packed.values, packed.scales, packed.zero_points)
            expected = [array for array in arrays if array is not None]
        assert [data[s.offset : s.end] for s in weight.sections] == [array.tobytes() for array in expected]


def external(graph: onnx.GraphProto, tensor: str) -> tuple[int, int]:
    """(offset, length) of an initializer."""
    found = next(one for one in graph.initializer if one.name == tensor)
    entries = {entry.key: entry.value for entry in found.external_data}
    assert entries["location"] == "weights.bin"
    return int(entries["offset"]), int(entries["length"])


def last_inputs(graph: onnx.GraphProto, op: str) -> list[str]:
    return [list(node.input) for node in graph.node if node.op_type == op][-1]


@pytest.mark.parametrize("bits", [4, 8])
def test_a_tied_embedding_is_stored_once_and_used_twice(phi3_checkpoint: Path, tmp_path: Path, bits: int) -> None:
    plan = plan_export(phi3_checkpoint, ExportOptions(bits=bits))
    run_export(plan, tmp_path / "out")
    graph = onnx.load(tmp_path / "out" / "text.onnx", load_external_data=False).graph
    _, *head = last_inputs(graph, "MatMulNBits")
    table, _, *rest = last_inputs(graph, "GatherBlockQuantized")
    assert [external(graph, key) for key in head] == [external(graph, key) for key in (table, *rest)]

    untied = random_checkpoint(tmp_path / "untied", "phi3", tie_word_embeddings=False)
    more = plan_export(untied, ExportOptions(bits=bits)).weights_bytes - plan.weights_bytes
    embedding = plan.by_role["embedding"]
    assert plan.by_role["head"] is embedding
    assert more >= embedding.bytes


def test_head_and_embedding_of_an_untied_model_may_have_bits_of_their_own(tmp_path: Path) -> None:
    checkpoint = random_checkpoint(tmp_path / "untied", "llama", tie_word_embeddings=False)
    plan = plan_export(checkpoint, ExportOptions(bits=4, head_bits=8, embedding_bits=32))
    bits = {role: plan.by_role[role].source.format.bits for role in ("layers.0.qkv", "head", "embedding", "norm")}
    assert bits == {"layers.0.qkv": 4, "head": 8, "embedding": 32, "norm": 32}


def test_weights_restored_from_the_file_are_near_the_checkpoint(phi3_checkpoint: Path, phi3_bundle: Path) -> None:
    """Read back by offsets alone, as a stranger would."""
    plan = plan_export(phi3_checkpoint, ExportOptions())
    data = (phi3_bundle / "weights.bin").read_bytes()
    original = tensors(config("phi3"))
    for role, tensor in (
        ("layers.1.down", "model.layers.1.mlp.down_proj.weight"),
        ("head", "model.embed_tokens.weight"),
    ):
        weight = plan.by_role[role]
        values, scales, points = (
            np.frombuffer(data[s.offset : s.end], s.dtype).reshape(s.shape) for s in weight.sections
        )
        restored = dequantise(PackedRows(values, scales, points), weight.source.format, weight.source.columns)  # type: ignore[arg-type]
        error = np.linalg.norm(restored - original[tensor]) / np.linalg.norm(original[tensor])
        assert 0.01 < error < 0.15

"""The exported graph takes the fast kernels, counted rather than timed: every slow path is silent."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import onnx
import pytest

from export.options import ExportOptions
from quant.formats import BlockFormat
from tests.checkpoints import BASE, random_checkpoint
from tests.export.exported import export
from tests.quant.formats_under_test import ALL_FORMATS, name

LAYERS = BASE["num_hidden_layers"]
FALLBACK = "Falling back to using unpacked compute mode"

RUN_WITH_LOG = """
import sys
from pathlib import Path
from edge.bundle.bundle import Bundle
from edge.runtime import decoder, session
session.FATAL = 1  # onnxruntime's number for INFO
graph = Path(sys.argv[2])
place = lambda name: graph if name == "text" else None
loaded = decoder.Decoder(place, Bundle.open(Path(sys.argv[1])).manifest.decoder, 1)
loaded.reserve(8)
loaded.prefill([1, 2, 3])
loaded.step(4)
"""


def run_log(bundle: Path, graph: Path | None = None) -> str:
    """What onnxruntime says at INFO level of a prefill and a step; it writes to the descriptor, hence a child."""
    arguments = [str(bundle), str(graph or bundle / "text.onnx")]
    done = subprocess.run([sys.executable, "-c", RUN_WITH_LOG, *arguments], capture_output=True, text=True, check=True)
    assert "Session successfully initialized" in done.stderr
    return done.stderr


def read_graph(bundle: Path) -> onnx.GraphProto:
    return onnx.load(bundle / "text.onnx", load_external_data=False).graph


def attributes(node: onnx.NodeProto) -> dict[str, object]:
    return {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}


@pytest.fixture(scope="module", params=["phi3", "llama", "granite"])
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_checkpoint(tmp_path_factory.mktemp("graph") / request.param, request.param)


@pytest.fixture(scope="module")
def graph(checkpoint: Path) -> onnx.GraphProto:
    return read_graph(export(checkpoint, checkpoint.with_name("int4"), ExportOptions()))


def test_there_is_one_kernel_for_each_linear_and_attention_and_no_control_flow(graph: onnx.GraphProto) -> None:
    counts = Counter(node.op_type for node in graph.node)
    assert counts["MatMulNBits"] == 4 * LAYERS + 1  # qkv, out, gate_up, down; the head
    assert counts["GroupQueryAttention"] == LAYERS
    assert counts["GatherBlockQuantized"] == 1
    assert not {"If", "Loop", "Scan", "MatMul", "Gemm", "DequantizeLinear", "Transpose", "Concat"} & set(counts)


@pytest.mark.parametrize("activation_bits", [8, 16])
def test_int8_weights_are_read_once_whatever_the_activations(
    phi3_checkpoint: Path, tmp_path: Path, activation_bits: int
) -> None:
    bundle = export(phi3_checkpoint, tmp_path / "int8", ExportOptions(bits=8, activation_bits=activation_bits))
    counts = Counter(node.op_type for node in read_graph(bundle).node)
    assert counts["MatMulNBits"] == 4 * LAYERS + 1


def test_every_linear_computes_in_int8_with_constant_weights_and_integer_zero_points(graph: onnx.GraphProto) -> None:
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type != "MatMulNBits":
            continue
        assert attributes(node)["accuracy_level"] == 4
        x, values, scales, points = node.input  # a fifth would be g_idx
        assert x not in constants
        assert constants[values].data_type == onnx.TensorProto.UINT8
        assert constants[scales].data_type == onnx.TensorProto.FLOAT
        assert constants[points].data_type == onnx.TensorProto.UINT8


def test_attention_rotates_inside_and_takes_packed_qkv_and_bound_caches(graph: onnx.GraphProto) -> None:
    inputs = {value.name for value in graph.input}
    outputs = {value.name for value in graph.output}
    for layer, node in enumerate(one for one in graph.node if one.op_type == "GroupQueryAttention"):
        assert attributes(node)["do_rotary"] == 1
        qkv, key, value, *rest = node.input
        assert qkv and not key and not value
        assert set(rest) <= inputs
        assert rest[:2] == [f"past.{layer}.key", f"past.{layer}.value"]
        assert set(node.output[1:]) == {f"present.{layer}.key", f"present.{layer}.value"} <= outputs


def test_only_the_chosen_rows_reach_the_head(graph: onnx.GraphProto) -> None:
    makers = {output: node for node in graph.node for output in node.output}
    node = next(one for one in graph.node if one.op_type == "MatMulNBits" and one.output[0].startswith("logits"))
    above = []
    while node.op_type != "Gather":
        node = makers[node.input[0]]
        above.append(node.op_type)
    assert above == ["SimplifiedLayerNormalization", "Gather"]
    assert node.input[1] == "logit_rows"


@pytest.mark.parametrize("fmt", ALL_FORMATS, ids=name)
def test_no_format_makes_onnxruntime_fall_back_to_unpacked_weights(
    fmt: BlockFormat, phi3_checkpoint: Path, tmp_path: Path
) -> None:
    bundle = export(phi3_checkpoint, tmp_path / "out", ExportOptions(fmt.bits, fmt.block, fmt.symmetric))
    assert FALLBACK not in run_log(bundle)


def test_the_log_would_show_a_fallback(phi3_bundle: Path, tmp_path: Path) -> None:
    """Without this the test above could pass because nothing is ever logged."""
    model = onnx.load(phi3_bundle / "text.onnx")
    for node in model.graph.node:
        for attribute in node.attribute:
            if node.op_type == "MatMulNBits" and attribute.name == "bits":
                columns = attributes(node)["K"]
                index = onnx.helper.make_tensor(f"{node.name}.g_idx", onnx.TensorProto.INT32, [columns], [0] * columns)
                model.graph.initializer.append(index)
                node.input.append(index.name)
    onnx.save(model, tmp_path / "slow.onnx")
    assert FALLBACK in run_log(phi3_bundle, tmp_path / "slow.onnx")

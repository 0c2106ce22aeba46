import contextlib
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from edge.bundle.bundle import Bundle
from edge.bundle.external_data import check_external_data
from edge.errors import BundleError
from tests.bundle import sample

SIZES = {"weights.bin": 4 * sample.ELEMENTS, "short.bin": 10, "sub/more.bin": 4 * sample.ELEMENTS}


def check(tensor: TensorProto, name: str = "text.onnx") -> int:
    return check_external_data(sample.graph(tensor).SerializeToString(), name, SIZES)


def test_weights_in_a_listed_file_are_accepted():
    assert check(sample.external()) == 1
    assert check(sample.external(checksum="0" * 40)) == 1
    assert check(sample.external("sub/more.bin")) == 1
    assert check(sample.external("more.bin"), "sub/text.onnx") == 1


def test_a_graph_without_external_weights_is_accepted():
    inline = helper.make_tensor("w", TensorProto.FLOAT, [4], [1.0, 2.0, 3.0, 4.0])
    assert check(inline) == 0


@pytest.mark.parametrize(
    "location",
    [
        "..",
        "../x",
        "a/../../x",
        "/etc/passwd",
        "/dev/zero",
        "absent.bin",
        "",
        None,
        "*/_ORT_MEM_ADDR_/*",
        "WEIGHTS.BIN",
        "./weights.bin",
        "weights.bin\x00",
        "\\\\host\\x",
        "short.bin",
    ],
)
def test_weights_anywhere_else_are_refused(location: str | None):
    with pytest.raises(BundleError):
        check(sample.external(location))


@pytest.mark.parametrize(
    "entries",
    [
        {"offset": "-1"},
        {"offset": "1"},
        {"offset": str(2**50)},
        {"length": str(2**50)},
        {"length": str(4 * sample.ELEMENTS + 1)},
        {"length": "9" * 5000},
        {"length": "0x10"},
        {"length": "\u0661"},
        {"length": ""},
        {"length": None},
        {"__class__": "os"},
        {"prepacked_0": "weights.bin"},
    ],
    ids=str,
)
def test_ranges_outside_the_file_and_unknown_keys_are_refused(entries: dict[str, str]):
    with pytest.raises(BundleError):
        check(sample.external(**entries))


def test_a_key_given_twice_is_refused_because_readers_differ():
    tensor = sample.external()
    tensor.external_data.add(key="location", value="../x")
    with pytest.raises(BundleError):
        check(tensor)


def test_a_location_without_the_external_mark_is_still_checked():
    tensor = sample.external("../x")
    tensor.data_location = TensorProto.DEFAULT
    with pytest.raises(BundleError):
        check(tensor)


def _in_attribute(model: onnx.ModelProto, bad: TensorProto) -> None:
    model.graph.node.append(helper.make_node("Constant", [], ["c"], value=bad))


def _in_attribute_list(model: onnx.ModelProto, bad: TensorProto) -> None:
    model.graph.node.append(helper.make_node("X", [], ["c"]))
    model.graph.node[-1].attribute.append(helper.make_attribute("many", [bad]))


def _in_subgraph(model: onnx.ModelProto, bad: TensorProto) -> None:
    inner = helper.make_graph([], "inner", [], [], [bad])
    model.graph.node.append(helper.make_node("If", ["c"], ["d"], then_branch=inner, else_branch=inner))


def _in_subgraph_list(model: onnx.ModelProto, bad: TensorProto) -> None:
    model.graph.node.append(helper.make_node("X", [], ["c"]))
    model.graph.node[-1].attribute.append(
        helper.make_attribute("many", [helper.make_graph([], "inner", [], [], [bad])])
    )


def _in_sparse_values(model: onnx.ModelProto, bad: TensorProto) -> None:
    model.graph.sparse_initializer.add().values.CopyFrom(bad)


def _in_sparse_indices(model: onnx.ModelProto, bad: TensorProto) -> None:
    model.graph.sparse_initializer.add().indices.CopyFrom(bad)


def _in_function(model: onnx.ModelProto, bad: TensorProto) -> None:
    node = helper.make_node("Constant", [], ["y"], value=bad)
    model.functions.append(helper.make_function("d", "f", [], ["y"], [node], [helper.make_opsetid("", 21)]))


def _in_function_default(model: onnx.ModelProto, bad: TensorProto) -> None:
    _in_function(model, sample.external())
    model.functions[0].attribute_proto.append(helper.make_attribute("a", bad))


def _in_training_info(model: onnx.ModelProto, bad: TensorProto) -> None:
    model.training_info.add().algorithm.initializer.append(bad)


@pytest.mark.parametrize(
    "hide",
    [
        _in_attribute,
        _in_attribute_list,
        _in_subgraph,
        _in_subgraph_list,
        _in_sparse_values,
        _in_sparse_indices,
        _in_function,
        _in_function_default,
        _in_training_info,
    ],
)
def test_no_corner_of_a_graph_hides_a_foreign_location(hide: Callable[[onnx.ModelProto, TensorProto], None]):
    fine, foreign = sample.graph(sample.external()), sample.graph(sample.external())
    hide(fine, sample.external())
    hide(foreign, sample.external("../x"))
    assert check_external_data(fine.SerializeToString(), "text.onnx", SIZES) >= 2
    with pytest.raises(BundleError, match="inside the bundle"):
        check_external_data(foreign.SerializeToString(), "text.onnx", SIZES)


def test_two_graphs_that_protobuf_would_merge_are_refused():
    data = sample.graph(sample.external()).SerializeToString()
    with pytest.raises(BundleError):
        check_external_data(data + data, "text.onnx", SIZES)


def test_a_tag_that_readers_cut_to_32_bits_differently_is_refused():
    data = sample.graph(sample.external("../x")).SerializeToString()
    at = data.index(b"\x3a")  # field 7 of ModelProto: the graph
    while onnx.ModelProto.FromString(data[:at] or b"").HasField("graph"):
        at = data.index(b"\x3a", at + 1)
    with pytest.raises(BundleError):
        check_external_data(data[:at] + b"\xba\x80\x80\x80\x10" + data[at + 1 :], "text.onnx", SIZES)


def test_deep_nesting_is_refused_without_exhausting_the_stack():
    inner = helper.make_graph([], "leaf", [], [], [sample.external()])
    data = inner.SerializeToString()

    def field(number: int, payload: bytes) -> bytes:
        size, length = len(payload), b""
        while size >= 0x80:
            length += bytes([size & 0x7F | 0x80])
            size >>= 7
        return bytes([number << 3 | 2]) + length + bytes([size]) + payload

    for _ in range(2000):
        data = field(1, field(5, field(6, data)))
    with pytest.raises(BundleError, match="nested"):
        check_external_data(field(7, data), "text.onnx", SIZES)


def test_every_truncation_and_noise_ends_in_a_bundle_error_or_a_safe_answer():
    data = sample.graph(sample.external("../x")).SerializeToString()
    for size in range(len(data)):
        # a cut may fall before the graph begins; then no weights are named at all
        with contextlib.suppress(BundleError):
            assert check_external_data(data[:size], "text.onnx", SIZES) == 0
    for noise in (b"", b"\x00", b"\xff" * 64, b"hello world", bytes(range(256)) * 16):
        with pytest.raises(BundleError):
            check_external_data(noise, "text.onnx", SIZES)


def test_opening_a_bundle_refuses_a_graph_that_points_outside(tmp_path: Path):
    files = sample.contents(sample.graph(sample.external("../outside.bin")))
    (tmp_path / "outside.bin").write_bytes(bytes(4 * sample.ELEMENTS))
    path = sample.write(tmp_path / "evil", files=files)
    with pytest.raises(BundleError, match="outside"):
        Bundle.open(path)

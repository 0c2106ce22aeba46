"""`edge export --exporter optimum`: what another exporter traced, in our formats, as a bundle like any other."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

import edge
from edge.bundle.bundle import Bundle
from edge.bundle.manifest import Manifest
from edge.bundle.verify import verify
from edge.errors import CheckpointError, UsageError
from edge.foreign.folder import open_foreign
from export.foreign.exporter import export_with_optimum, write_bundle
from export.foreign.fidelity import check, measure
from export.foreign.matrices import Graph
from export.foreign.onnx_tensors import TRANSPOSED, OnnxTensors
from export.foreign.run_optimum import PYTHON
from export.options import ExportOptions
from quant.formats import BlockFormat
from quant.packing import dequantise
from quant.rtn import quantise_rows
from tests.cli.child import edge as command
from tests.foreign import traced
from tests.foreign.test_folders import answers, logits


def bundle(folder: Path, out: Path, options: ExportOptions) -> Path:
    """As `--exporter optimum` does it once Optimum is done."""
    out.mkdir()
    recipe = replace(options.recipe(), fitted=True)
    manifest = write_bundle(open_foreign(folder), out, out.name, recipe, lambda *_: None)
    (out / "bundle.json").write_bytes(manifest.to_json())
    return out


def rounded(folder: Path, out: Path, fmt: BlockFormat) -> Path:
    """The float folder with its matrices rounded as blocks would be."""
    shutil.copytree(folder, out)
    model = onnx.load(out / "model.onnx")
    for tensor in model.graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        if values.ndim == 2:
            by_output = values if tensor.name == "model.embed_tokens.weight" else values.T
            near = dequantise(quantise_rows(np.ascontiguousarray(by_output), fmt), fmt, by_output.shape[1])
            near = near if by_output is values else near.T
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.ascontiguousarray(near), tensor.name))
    traced.save(model, out / "model.onnx")
    return out


def test_a_float_bundle_of_a_traced_decoder_answers_like_the_folder(optimum_folder: Path, tmp_path: Path) -> None:
    out = bundle(optimum_folder, tmp_path / "bundle", ExportOptions(bits=32))
    assert verify(out).ok
    made, given = edge.load(out), edge.load(optimum_folder)
    np.testing.assert_allclose(logits(made), logits(given), atol=2e-4)
    assert answers(made) == answers(given)


@pytest.mark.parametrize("bits", [4, 8])
def test_quantised_weights_are_those_of_our_quantiser(bits: int, optimum_folder: Path, tmp_path: Path) -> None:
    """What the kernel rounds of activations, twice, is much less than what the weights have lost."""
    options = ExportOptions(bits=bits, block=64, activation_bits=16)
    out = bundle(optimum_folder, tmp_path / "bundle", options)
    assert verify(out).ok
    folder = rounded(optimum_folder, tmp_path / "rounded", BlockFormat(bits, 64))
    expected, seen, exact = (logits(edge.load(path))[:50] for path in (folder, out, optimum_folder))
    assert np.linalg.norm(expected - seen) < 0.3 * np.linalg.norm(expected - exact)


def test_a_tied_embedding_is_stored_once_and_all_matrices_are_found(optimum_folder: Path, tmp_path: Path) -> None:
    out = bundle(optimum_folder, tmp_path / "bundle", ExportOptions())
    manifest = Manifest.from_json((out / "bundle.json").read_bytes())
    layers = manifest.decoder.layers
    assert {group.name: group.tensors for group in manifest.quantisation} == {"embedding": 1, "graph": 7 * layers}
    model = onnx.load(out / "text.onnx", load_external_data=False)
    kinds = [node.op_type for node in model.graph.node]
    assert kinds.count("MatMulNBits") == 7 * layers + 1
    assert "Transpose" not in {kinds[-2], kinds[-3]}
    assert all(one.data_location != onnx.TensorProto.EXTERNAL or "^T" in one.name or "embed" in one.name
               for one in model.graph.initializer)  # fmt: skip


def test_a_prompt_computes_the_logits_of_its_last_row_only(optimum_folder: Path, tmp_path: Path) -> None:
    out = bundle(optimum_folder, tmp_path / "bundle", ExportOptions())
    model = edge.load(out)
    contract = model.manifest.contract
    assert contract and contract.rows == "logit_rows"
    all_rows = logits(model)
    model.decoder.rewind(0)
    last = model.decoder.prefill(list(range(40)))
    assert last.shape == (1, model.manifest.decoder.vocab_size)
    assert all_rows.shape[0] == 400


def test_other_runtimes_that_know_the_contract_only_can_run_the_graph(optimum_folder: Path, tmp_path: Path) -> None:
    """The extra input has a default: the last row."""
    out = bundle(optimum_folder, tmp_path / "bundle", ExportOptions(bits=32))
    folder = shutil.copytree(optimum_folder, tmp_path / "theirs")
    shutil.copy(out / "text.onnx", folder / "model.onnx")
    shutil.copy(out / "weights.bin", folder)
    assert answers(edge.load(folder)) == answers(edge.load(optimum_folder))


def test_gemm_with_a_bias_is_a_matrix_too(optimum_folder: Path, tmp_path: Path) -> None:
    """GPT-2's family has no MatMul in its layers."""
    folder = shutil.copytree(optimum_folder, tmp_path / "gemm")
    model = onnx.load(folder / "model.onnx")
    graph = model.graph
    hidden = json.loads((folder / "config.json").read_text())["hidden_size"]
    for number, node in enumerate(list(graph.node)):
        if node.op_type == "MatMul" and node.input[1].endswith("down_proj.weight.T"):
            wide = next(one for one in graph.initializer if one.name == node.input[1]).dims[0]
            names = [f"{part}.{number}" for part in ("flat", "bias", "flat_shape", "shape", "product")]
            for name, value in (
                (names[1], np.full(hidden, 0.5, np.float32)),
                (names[2], np.array([-1, wide])),
                (names[3], np.array([1, -1, hidden])),
            ):
                graph.initializer.append(onnx.numpy_helper.from_array(value, name))
            flat = helper.make_node("Reshape", [node.input[0], names[2]], [names[0]])
            gemm = helper.make_node("Gemm", [names[0], node.input[1], names[1]], [names[4]])
            back = helper.make_node("Reshape", [names[4], names[3]], [node.output[0]])
            at = list(graph.node).index(node)
            graph.node.remove(node)
            for offset, made in enumerate((flat, gemm, back)):
                graph.node.insert(at + offset, made)
    traced.save(model, folder / "model.onnx")
    tensors = OnnxTensors(folder / "model.onnx")
    assert sum(bool(one.bias) for one in Graph(tensors).matrices(512)) == 3
    out = bundle(folder, tmp_path / "bundle", ExportOptions(block=64, activation_bits=16))
    near = rounded(folder, tmp_path / "rounded", BlockFormat(4, 64))
    expected, seen, exact = (logits(edge.load(path))[:50] for path in (near, out, folder))
    assert np.linalg.norm(expected - seen) < 0.3 * np.linalg.norm(expected - exact)


def test_weights_are_read_where_they_lie_inside_the_graph_or_beside_it(optimum_folder: Path, tmp_path: Path) -> None:
    model = onnx.load(optimum_folder / "model.onnx")
    whole = {one.name: onnx.numpy_helper.to_array(one) for one in model.graph.initializer}
    traced.save(model, tmp_path / "beside" / "model.onnx", external="model.onnx_data")
    for path in (optimum_folder / "model.onnx", tmp_path / "beside" / "model.onnx"):
        tensors = OnnxTensors(path)
        name = "model.layers.0.mlp.up_proj.weight.T"
        np.testing.assert_array_equal(tensors.rows(name, 3, 9), whole[name][3:9])
        np.testing.assert_array_equal(tensors.rows(name + TRANSPOSED, 3, 9), whole[name].T[3:9])
        assert tensors.model.ByteSize() < 200_000


def test_what_was_lost_is_measured_and_refused_beyond_a_limit(optimum_folder: Path, tmp_path: Path) -> None:
    traced_folder = open_foreign(optimum_folder)
    same = bundle(optimum_folder, tmp_path / "float", ExportOptions(bits=32))
    rough = bundle(optimum_folder, tmp_path / "int4", ExportOptions())
    none, lost = (measure(traced_folder, Bundle.open(path)).modes["text"] for path in (same, rough))
    assert none.kl < 1e-4
    assert none.exact_perplexity == pytest.approx(lost.exact_perplexity)
    exact, seen = (logits(edge.load(path)) for path in (optimum_folder, rough))
    assert (exact.argmax(axis=1) == seen.argmax(axis=1)).mean() == pytest.approx(lost.top1, abs=0.15)
    check(lost, lost.kl + 0.1)
    with pytest.raises(CheckpointError, match="would lose too much"):
        check(lost, lost.kl / 2)


def test_without_optimum_one_sentence_says_what_to_install(llama: Path, tmp_path: Path) -> None:
    bare = tmp_path / "python"
    bare.write_text("#!/bin/sh\nexit 1\n")
    bare.chmod(0o755)
    done = command("export", llama, tmp_path / "out", "--exporter", "optimum", **{PYTHON: str(bare)})
    assert done.code == 2
    assert 'pip install "phi-edge[optimum]"' in done.err
    assert "Traceback" not in done.err
    assert not (tmp_path / "out").exists()


def test_what_optimum_refuses_is_told_and_nothing_is_left(
    llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = tmp_path / "python"
    failing.write_text('#!/bin/sh\n[ "$1" = -c ] || { echo "ValueError: no such architecture" >&2; exit 1; }\n')
    failing.chmod(0o755)
    monkeypatch.setenv(PYTHON, str(failing))
    place = tmp_path / "place"
    with pytest.raises(CheckpointError, match="Optimum cannot export checkpoint: ValueError: no such architecture"):
        export_with_optimum(llama, place / "out", ExportOptions())
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("options", [ExportOptions(named="fast"), ExportOptions(fast_prefill=True)])
def test_what_only_our_graphs_have_is_refused(options: ExportOptions, llama: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="needs a graph of ours"):
        export_with_optimum(llama, tmp_path / "out", options)


def test_an_export_by_optimum_itself_answers_like_our_own(llama: Path, ours: Path, tmp_path: Path) -> None:
    python = os.environ.get(PYTHON, sys.executable)
    ask = "from importlib.metadata import version; version('optimum-onnx')"
    if subprocess.run([python, "-c", ask], capture_output=True, check=False).returncode:
        pytest.skip(f"optimum-onnx is not installed in {python}; {PYTHON} may name another one")
    export_with_optimum(llama, tmp_path / "out", ExportOptions(bits=32))
    assert verify(tmp_path / "out").ok
    made, own = edge.load(tmp_path / "out"), edge.load(ours)
    np.testing.assert_allclose(logits(made), logits(own), atol=2e-3)
    assert answers(made) == answers(own)

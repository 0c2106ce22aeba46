"""A folder that cannot be run says why in one sentence, before anything is loaded."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from edge.errors import BundleError
from edge.foreign.folder import open_model
from tests.cli.child import edge as command

Change = Callable[[Path], None]


def json_change(file: str, **keys: object) -> Change:
    def change(folder: Path) -> None:
        config = json.loads((folder / file).read_text())
        (folder / file).write_text(json.dumps(config | keys))

    return change


def decoder_change(**keys: object) -> Change:
    def change(folder: Path) -> None:
        config = json.loads((folder / "genai_config.json").read_text())
        config["model"]["decoder"] |= keys
        (folder / "genai_config.json").write_text(json.dumps(config))

    return change


def model_change(**keys: object) -> Change:
    def change(folder: Path) -> None:
        config = json.loads((folder / "genai_config.json").read_text())
        config["model"] |= keys
        (folder / "genai_config.json").write_text(json.dumps(config))

    return change


def graph_change(change: Callable[[onnx.GraphProto], None]) -> Change:
    def whole(folder: Path) -> None:
        model = onnx.load(folder / "model.onnx", load_external_data=False)
        change(model.graph)
        (folder / "model.onnx").write_bytes(model.SerializeToString())

    return whole


def renamed(old: str, new: str) -> Change:
    def change(graph: onnx.GraphProto) -> None:
        for value in graph.input:
            if value.name == old:
                value.name = new
        for node in graph.node:
            node.input[:] = [new if name == old else name for name in node.input]

    return graph_change(change)


def without_cache(graph: onnx.GraphProto) -> None:
    kept = [one for one in graph.input if "past" not in one.name]
    del graph.input[:]
    graph.input.extend(kept)


def with_input(graph: onnx.GraphProto) -> None:
    graph.input.append(helper.make_tensor_value_info("use_cache_branch", TensorProto.BOOL, [1]))


def in_bfloat16(graph: onnx.GraphProto) -> None:
    for value in graph.input:
        if "past" in value.name:
            value.type.tensor_type.elem_type = TensorProto.BFLOAT16


def fixed(graph: onnx.GraphProto) -> None:
    for value in graph.input:
        if "past" in value.name:
            value.type.tensor_type.shape.dim[2].dim_value = 128


def sliding(graph: onnx.GraphProto) -> None:
    for node in graph.node:
        if node.op_type == "GroupQueryAttention":
            node.attribute.append(helper.make_attribute("sliding_window_cache", 1))


def from_a_library(graph: onnx.GraphProto) -> None:
    graph.node[0].domain = "com.example"


def weights_elsewhere(graph: onnx.GraphProto) -> None:
    for tensor in graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = "../model.onnx.data"


def remove(file: str) -> Change:
    return lambda folder: (folder / file).unlink()


def behind_a_link(folder: Path) -> None:
    moved = folder.with_name("blob")
    (folder / "model.onnx").rename(moved)
    (folder / "model.onnx").symlink_to(moved)


OPTIMUM = {
    "an encoder with a decoder": json_change("config.json", is_encoder_decoder=True),
    "does not say how large its context": json_change("config.json", max_position_embeddings=None),
    "has no tokenizer.json": remove("tokenizer.json"),
    "malformed tokenizer.json": lambda folder: (folder / "tokenizer.json").write_text("{}"),
    "is not valid JSON": lambda folder: (folder / "generation_config.json").write_text("{"),
    "takes 'inputs_embeds' and no input_ids, so it is no text decoder": renamed("input_ids", "inputs_embeds"),
    "without a KV cache": graph_change(without_cache),
    "input 'use_cache_branch', which is not one of a text decoder's": graph_change(with_input),
    "in bfloat16, and only float32 and float16": graph_change(in_bfloat16),
    "KV cache of 128 tokens that cannot grow": graph_change(fixed),
    "operators of 'com.example', and no library": graph_change(from_a_library),
    "is empty|an empty model.onnx": lambda folder: (folder / "model.onnx").write_bytes(b""),
    "ends too early|not an ONNX graph": lambda folder: (folder / "model.onnx").write_bytes(b"\x3a\xff\xff\x03abc"),
    "lies behind a link": behind_a_link,
}
GENAI = {
    "a graph for vision beside its decoder": model_change(vision={"filename": "vision.onnx"}),
    "cuts its decoder into a pipeline": decoder_change(pipeline=[{}]),
    "lets its KV cache slide, which only": decoder_change(sliding_window={"window_size": 128}),
    "KV cache slide inside the graph": graph_change(sliding),
    "nothing in a folder is executed as code": decoder_change(session_options={"custom_ops_library": "x.so"}),
    "names no .onnx file of its own": decoder_change(filename="../model.onnx"),
    "model.onnx is missing": remove("model.onnx"),
    "model.onnx.data, which": remove("model.onnx.data"),
    "not a plain name": graph_change(weights_elsewhere),
    "must name the layer as %d once": decoder_change(inputs={"past_key_names": "past"}),
    "no token that ends an answer": lambda folder: _without_ends(folder),
}


def _without_ends(folder: Path) -> None:
    model_change(eos_token_id=None)(folder)
    text = (folder / "tokenizer.json").read_text().replace("<|end|>", "<|stop|>")
    (folder / "tokenizer.json").write_text(text)
    (folder / "chat_template.jinja").write_text("{{ messages[0].content }}")


@pytest.mark.parametrize(
    ("kind", "sentence", "change"),
    [("optimum_folder", *one) for one in OPTIMUM.items()] + [("genai_folder", *one) for one in GENAI.items()],
)
def test_what_cannot_be_run_is_refused_with_one_sentence(
    kind: str, sentence: str, change: Change, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    folder = shutil.copytree(request.getfixturevalue(kind), tmp_path / "folder")
    open_model(folder)
    change(folder)
    with pytest.raises(BundleError, match=sentence) as caught:
        open_model(folder)
    assert caught.value.exit_code == 3
    assert caught.value.hint
    assert "\n" not in str(caught.value)


def test_the_command_line_says_it_without_a_traceback(genai_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(genai_folder, tmp_path / "folder")
    data = (folder / "model.onnx.data").read_bytes()
    (folder / "model.onnx.data").write_bytes(data[: len(data) // 2])
    done = command("run", "-b", folder, "Hello")
    assert done.code == 3
    assert "model.onnx takes bytes" in done.err
    assert "Traceback" not in done.err


def test_pictures_are_refused_by_a_text_decoder(genai_folder: Path) -> None:
    done = command("run", "-b", genai_folder, "-i", "benchmarks/demo/display.jpg", "Read it.")
    assert done.code == 4
    assert "no mode vision" in done.err


def test_a_folder_with_neither_bundle_nor_graph_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"bundle\.json is missing"):
        open_model(tmp_path)

"""Folders of other exporters answer like our own export of the same weights."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import edge
from edge.events import Done
from edge.foreign.decoder import ForeignDecoder
from edge.foreign.folder import open_model
from edge.model import Model
from edge.turn_options import TurnOptions
from tests.cli.child import edge as command
from tests.foreign import traced

QUESTIONS = ("Which machine stopped?", "And why?")
IDS = np.random.default_rng(0).integers(0, 256, 400)


def answers(model: Model, questions: tuple[str, ...] = QUESTIONS) -> list[str]:
    """Of one conversation, greedy."""
    conversation = model.conversation()
    texts = []
    for question in questions:
        *_, done = conversation.generate(question, TurnOptions(max_tokens=24))
        assert isinstance(done, Done)
        texts.append(done.text)
    return texts


def logits(model: Model, ids: np.ndarray = IDS) -> np.ndarray:
    model.decoder.rewind(0)
    model.decoder.reserve(len(ids))
    return model.decoder.prefill(ids, rows=np.arange(len(ids)))


@pytest.mark.parametrize("kind", ["optimum_folder", "genai_folder"])
def test_a_folder_as_it_is_answers_like_our_export_of_the_same_weights(
    kind: str, ours: Path, request: pytest.FixtureRequest
) -> None:
    folder = request.getfixturevalue(kind)
    before = {file.name: file.stat().st_mtime_ns for file in folder.iterdir()}
    foreign, own = edge.load(folder), edge.load(ours)
    assert isinstance(foreign.decoder, ForeignDecoder)
    np.testing.assert_allclose(logits(foreign), logits(own), atol=2e-4)
    assert answers(foreign) == answers(own)
    assert {file.name: file.stat().st_mtime_ns for file in folder.iterdir()} == before


@pytest.mark.parametrize("kind", ["optimum_folder", "genai_folder"])
def test_what_a_cache_keeps_does_not_change_what_comes_next(kind: str, request: pytest.FixtureRequest) -> None:
    model = edge.load(request.getfixturevalue(kind))
    whole, decoder = logits(model), model.decoder
    decoder.rewind(0)
    decoder.prefill(IDS[:100])
    decoder.prefill(np.zeros(50, np.int64))  # another question, forgotten again
    decoder.rewind(100)
    decoder.prefill(IDS[100:399])
    np.testing.assert_allclose(decoder.step(int(IDS[399])), whole[399], atol=2e-4)
    assert decoder.length == 400


def test_only_attention_that_appends_gets_one_buffer_for_past_and_present(
    optimum_folder: Path, genai_folder: Path
) -> None:
    contracts = [open_model(folder).manifest.contract for folder in (optimum_folder, genai_folder)]
    assert [one and one.shared for one in contracts] == [False, True]


def test_a_cancelled_call_leaves_the_cache_as_it_was(optimum_folder: Path, genai_folder: Path) -> None:
    for folder in (optimum_folder, genai_folder):
        model = edge.load(folder)
        whole, decoder = logits(model), model.decoder
        decoder.rewind(200)
        decoder.cancel()
        with pytest.raises(edge.EdgeError, match="cancelled"):
            decoder.prefill(IDS[200:])
        decoder.resume()
        assert decoder.length == 200
        np.testing.assert_allclose(decoder.prefill(IDS[200:])[0], whole[-1], atol=2e-4)


def test_names_of_inputs_are_those_of_genai_config(llama: Path, ours: Path, tmp_path: Path) -> None:
    names = ("k_in_{}", "v_in_{}", "k_out_{}", "v_out_{}")
    folder = traced.genai_folder(llama, tmp_path / "renamed", names)
    assert answers(edge.load(folder)) == answers(edge.load(ours))


@pytest.mark.parametrize("make", [traced.optimum_folder, traced.genai_folder])
def test_a_float16_cache_takes_half_the_memory_and_answers(
    make: Callable[..., Path], llama: Path, ours: Path, tmp_path: Path
) -> None:
    model = edge.load(make(llama, tmp_path / "half", cache=TensorProto.FLOAT16))
    own = edge.load(ours)
    assert 2 * model.manifest.decoder.kv_bytes_per_token == own.manifest.decoder.kv_bytes_per_token
    exact, seen = logits(own), logits(model)
    assert np.linalg.norm(exact - seen) < 0.02 * np.linalg.norm(exact)
    assert len(answers(model)) == len(QUESTIONS)


def test_of_several_graphs_one_can_be_named(llama: Path, ours: Path, tmp_path: Path) -> None:
    folder = traced.optimum_folder(llama, tmp_path / "community", "onnx/model_q4.onnx")
    assert answers(edge.load(folder)) == answers(edge.load(ours))
    shutil.copy(folder / "onnx" / "model_q4.onnx", folder / "onnx" / "model_fp16.onnx")
    with pytest.raises(edge.EdgeError, match=r"several graphs and no model\.onnx: model_fp16\.onnx") as caught:
        edge.load(folder)
    assert "onnx/model_fp16.onnx" in caught.value.hint
    model = edge.load(folder / "onnx" / "model_q4.onnx")
    assert model.manifest.graphs == {"text": "onnx/model_q4.onnx"}
    assert model.manifest.name == "community"


def test_a_graph_that_asks_how_many_logits_to_keep_is_told(llama: Path, ours: Path, tmp_path: Path) -> None:
    """As onnx-community builds newer models: 0 keeps all rows."""
    folder = traced.optimum_folder(llama, tmp_path / "kept")
    model = onnx.load(folder / "model.onnx")
    graph = model.graph
    graph.input.append(helper.make_tensor_value_info("num_logits_to_keep", TensorProto.INT64, []))
    graph.node[-1].output[0] = "all_logits"
    for value, name in ((np.array([0]), "zero"), (np.array([1 << 30]), "end"), (np.array([1]), "axis")):
        graph.initializer.append(onnx.numpy_helper.from_array(value, name))
    graph.node.extend(
        [
            helper.make_node("Neg", ["num_logits_to_keep"], ["minus"]),
            helper.make_node("Unsqueeze", ["minus", "zero"], ["start"]),
            helper.make_node("Slice", ["all_logits", "start", "end", "axis"], ["logits"]),
        ]
    )
    traced.save(model, folder / "model.onnx")
    kept, own = edge.load(folder), edge.load(ours)
    np.testing.assert_allclose(logits(kept), logits(own), atol=2e-4)
    assert answers(kept) == answers(own)


def test_a_chat_template_is_found_where_tokenizers_keep_it(optimum_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(optimum_folder, tmp_path / "templated")
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["added_tokens"] = [one for one in tokenizer["added_tokens"] if one["content"] != "<|tool_call|>"]
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))  # no format of ours any more
    template = "{% for m in messages %}{{ eos_token }}{{ m.content }}{% endfor %}<|assistant|>"
    config = {"chat_template": template, "eos_token": {"content": "<|end|>"}, "model_max_length": 10**30}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    model = edge.load(folder)
    parts = model.chat_format.render([edge.conversation.Message("user", "<|end|> hi")])
    end, ids = model.tokenizer.id_of("<|end|>"), model.tokenizer.encode_parts(parts)
    assert ids == [end, *model.tokenizer.encode_text("<|end|> hi"), model.tokenizer.id_of("<|assistant|>")]
    assert model.manifest.tokens.stop[0] == end
    (folder / "tokenizer_config.json").write_text(json.dumps(config | {"chat_template": None}))
    (folder / "chat_template.jinja").write_text(template)
    assert edge.load(folder).chat_format.render([edge.conversation.Message("user", "<|end|> hi")]) == parts


def test_the_verbs_take_a_folder_like_a_bundle(genai_folder: Path) -> None:
    done = command("run", "-b", str(genai_folder), "--json", "-n", "4", "Hello")
    assert done.code == 0, done.err
    assert json.loads(done.out)["usage"]["completion_tokens"] == 4
    shown = command("bundle", "show", str(genai_folder))
    assert shown.code == 0, shown.err
    assert "graph" in shown.out


def test_a_schema_binds_a_foreign_model_too(optimum_folder: Path, tmp_path: Path) -> None:
    schema = tmp_path / "schema.json"
    schema.write_text(json.dumps({"enum": ["on", "off"]}))
    done = command("run", "-b", str(optimum_folder), "--schema", str(schema), "Is it on?")
    assert done.code == 0, done.err
    assert json.loads(done.out) in ("on", "off")


def test_a_changed_folder_has_another_digest(optimum_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(optimum_folder, tmp_path / "copy")
    first = open_model(folder).digest
    assert open_model(folder).digest == first
    (folder / "generation_config.json").write_text('{"eos_token_id": 3}')
    assert open_model(folder).digest != first

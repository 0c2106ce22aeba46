"""The store of natural voices: made once, the same every time, read by training."""

import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

pytest.importorskip("torch", reason="training needs torch")

from benchmarks.terminal.speech.real_digits import join, load_digits
from benchmarks.terminal.speech.recite import load_recitals, recite
from benchmarks.terminal.speech.recite_digits import recite_digits
from benchmarks.terminal.training.spoken import RECITED_SHARE, draw_spoken
from edge.errors import EdgeError


@pytest.fixture
def synthesiser(tmp_path: Path) -> Path:
    """Kokoro's inputs and files; it hums the style over and over, for as long as the words are."""
    folder = tmp_path / "kokoro"
    (folder / "voices").mkdir(parents=True)
    signs = "abcdefghijklmnopqrstuvwxyzAIOQWYɑɐɔəɛɜɪʊʌʃʒʤʧθðŋɹɾæˈˌː "
    (folder / "vocab.json").write_text(json.dumps({sign: i + 1 for i, sign in enumerate(signs)}))
    rng = np.random.default_rng(7)
    for name in ("am_one", "bf_two", "jm_three"):
        rng.normal(0, 0.1, (90, 256)).astype(np.float32).tofile(folder / "voices" / f"{name}.bin")
    one = numpy_helper.from_array(np.array([1], np.int64), "one")
    thirty = numpy_helper.from_array(np.array([30], np.int64), "thirty")
    nodes = [
        helper.make_node("Shape", ["tokens"], ["count"], start=1),
        helper.make_node("Mul", ["count", "thirty"], ["times"]),
        helper.make_node("Concat", ["one", "times"], ["repeats"], axis=0),
        helper.make_node("Tile", ["style", "repeats"], ["hum"]),
        helper.make_node("Div", ["hum", "speed"], ["audio"]),
    ]
    inputs = [
        helper.make_tensor_value_info("tokens", TensorProto.INT64, [1, "n"]),
        helper.make_tensor_value_info("style", TensorProto.FLOAT, [1, 256]),
        helper.make_tensor_value_info("speed", TensorProto.FLOAT, [1]),
    ]
    output = helper.make_tensor_value_info("audio", TensorProto.FLOAT, [1, "samples"])
    graph = helper.make_graph(nodes, "hum", inputs, [output], [one, thirty])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(made, folder / "model.onnx")
    return folder


def hashes(folder: Path) -> dict[str, str]:
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(folder.iterdir())}


def test_a_store_is_filled_the_same_way_at_once_or_in_parts(
    synthesiser: Path, tmp_path: Path, speech_programs: None
) -> None:
    recite(synthesiser, tmp_path / "parts", 2)
    recite(synthesiser, tmp_path / "parts", 6)
    recite(synthesiser, tmp_path / "whole", 6)
    assert hashes(tmp_path / "parts") == hashes(tmp_path / "whole")
    made = load_recitals(tmp_path / "whole")
    assert [len(one.words.split()) == 1 for one in made[::3]] == [True, True], "every third is a single digit"
    assert [bool(one.command) for one in made] == [False, False, True] * 2
    for one in made:
        assert len(one.samples) > 1_000 and np.abs(one.samples).max() > 1_000
        if one.command:
            assert one.command.words == one.words and one.command.call.name


def test_training_hears_recitals_beside_the_other_voices(
    synthesiser: Path, tmp_path: Path, speech_programs: None
) -> None:
    recite(synthesiser, tmp_path / "store", 6)
    recitals, rng = load_recitals(tmp_path / "store"), np.random.default_rng(8)
    for kind, own in (("digits", {r.words for r in recitals if not r.command}),
                      ("command", {r.words for r in recitals if r.command})):  # fmt: skip
        heard = [draw_spoken(rng, kind=kind, longest=6, recitals=recitals) for _ in range(60)]
        recited = [spoken for spoken in heard if spoken.words in own]
        assert 0.4 * RECITED_SHARE < len(recited) / len(heard) < 2 * RECITED_SHARE
        assert all(len(spoken.features) > 10 and spoken.features.shape[1] == 80 for spoken in recited)
        assert all((spoken.command is not None) == (kind == "command") for spoken in heard)


def test_digits_by_talkers_that_nobody_is_join_to_strings_like_those_of_people(
    synthesiser: Path, tmp_path: Path, speech_programs: None
) -> None:
    recite_digits(synthesiser, tmp_path / "digits", 1)
    first = hashes(tmp_path / "digits" / "talker000")
    recite_digits(synthesiser, tmp_path / "digits", 2)
    assert hashes(tmp_path / "digits" / "talker000") == first, "what is there stays"
    talkers = load_digits(tmp_path / "digits", ["talker000", "talker001"])
    assert [[one.digit for one in digits] for digits in talkers.values()] == [list(range(10))] * 2
    whole = join(np.random.default_rng(3), talkers, [7, 7, 1])
    assert whole.text == "seven seven one"
    shortest = min(len(one.samples) for digits in talkers.values() for one in digits)
    assert len(whole.samples) > 3 * shortest


def test_an_empty_store_is_refused_with_the_command_that_fills_it(tmp_path: Path) -> None:
    with pytest.raises(EdgeError, match="no recitals") as refused:
        load_recitals(tmp_path)
    assert "terminal recite" in refused.value.hint

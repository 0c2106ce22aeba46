"""labels.jsonl: what may be written, and what is said about a mistake."""

import json
from pathlib import Path
from typing import Any

import pytest

from edge.errors import InputError
from edge.evaluation.labels import TRANSCRIBE, read_labels
from edge.events import ToolCall

TOOLS = [{"name": "stop", "parameters": {"line": {"type": "int", "description": ""}}}]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files are only looked for here, not decoded."""
    for name in ("a.wav", "b.wav", "x.jpg"):
        (tmp_path / name).write_bytes(b"something")
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "tools.json").write_text(json.dumps(TOOLS))
    return tmp_path


def write(folder: Path, *lines: Any) -> Path:
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    (folder / "labels.jsonl").write_text(text)
    return folder


def test_a_line_becomes_an_item_with_whole_paths_and_its_mode(folder: Path) -> None:
    lines = [
        {"audio": "a.wav", "transcript": "stop"},
        {"image": ["x.jpg"], "prompt": "Read it.", "answer": "66.00", "metric": "number", "group": "displays"},
        "",
        {"audio": ["a.wav", "b.wav"], "image": "x.jpg", "expect": {"answer": "yes"}},
        {"prompt": "stop line 2", "tools": "tools.json", "calls": [{"name": "stop", "arguments": {"line": 2}}]},
        {"prompt": "sing", "tools": "tools.json", "calls": []},
    ]
    items = read_labels(write(folder, *lines))
    assert [one.mode for one in items] == ["speech", "vision", "vision_speech", "text", "text"]
    assert [one.line for one in items] == [1, 2, 4, 5, 6]
    assert [one.metric for one in items] == ["wer", "number", "exact", "calls", "calls"]
    assert items[2].audio == (folder / "a.wav", folder / "b.wav")
    assert items[1].group == "displays"
    assert items[3].expected == (ToolCall("stop", {"line": 2}),)
    assert items[4].expected == ()
    assert items[3].tools == folder / "tools.json"


def test_a_file_of_any_name_may_be_given_instead_of_its_folder(folder: Path) -> None:
    write(folder, {"audio": "a.wav", "transcript": "stop"})
    (folder / "labels.jsonl").rename(folder / "mine.jsonl")
    assert read_labels(folder / "mine.jsonl")[0].audio == (folder / "a.wav",)


def test_a_transcript_without_a_prompt_gets_the_one_the_model_was_trained_with(folder: Path) -> None:
    one, own, question = read_labels(
        write(
            folder,
            {"audio": "a.wav", "transcript": "stop"},
            {"audio": "a.wav", "transcript": "stop", "prompt": "Write down what is said."},
            {"audio": "a.wav", "answer": "stop"},
        )
    )
    assert (one.prompt, own.prompt, question.prompt) == (TRANSCRIBE, "Write down what is said.", "")


def test_tools_for_all_serve_the_lines_that_expect_calls_and_name_none(folder: Path) -> None:
    lines = [{"prompt": "sing", "calls": []}, {"prompt": "sing", "answer": "no"}]
    with_calls, without = read_labels(write(folder, *lines), folder / "tools.json")
    assert (with_calls.tools, without.tools) == (folder / "tools.json", None)


CALL = {"prompt": "?", "tools": "tools.json"}
MISTAKES = {
    "not JSON": ('{"audio": ', "not valid JSON"),
    "a list": ([1], "is not an object"),
    "an unknown field": ({"audio": "a.wav", "transcrpt": "x"}, "the field transcrpt is unknown"),
    "a key twice": ('{"prompt": "a", "prompt": "b", "answer": "c"}', "'prompt' occurs twice"),
    "nothing expected": ({"audio": "a.wav"}, "the field expect is missing"),
    "two expectations": ({"audio": "a.wav", "answer": "x", "expect": {"transcript": "y"}}, "two expectations"),
    "an unknown expectation": ({"audio": "a.wav", "expect": {"text": "y"}}, "the field expect holds 'text'"),
    "a number for a text": ({"audio": "a.wav", "transcript": 7}, "the field transcript is not a text"),
    "a number for a file": ({"audio": 7, "transcript": "x"}, "the field audio is neither"),
    "a missing recording": ({"audio": "c.wav", "transcript": "x"}, "c.wav does not exist"),
    "an empty recording": ({"audio": "empty.wav", "transcript": "x"}, "which is empty"),
    "a folder as picture": ({"image": ".", "prompt": "?", "answer": "x"}, "is a directory"),
    "a transcript of nothing": ({"prompt": "?", "transcript": "x"}, "the field audio is missing"),
    "a picture without a question": ({"image": "x.jpg", "answer": "x"}, "the field prompt is missing or empty"),
    "no input": ({"answer": "x"}, "the field prompt is missing or empty"),
    "an unknown metric": ({"prompt": "?", "answer": "x", "metric": "bleu"}, "the field metric is 'bleu'"),
    "a metric that does not fit": ({**CALL, "calls": [], "metric": "wer"}, "wer does not measure calls"),
    "no number": ({"prompt": "?", "answer": "no", "metric": "number"}, "'no', which is not one number"),
    "calls without tools": ({"prompt": "?", "calls": []}, "the field tools is missing"),
    "missing tools": ({"prompt": "?", "tools": "no.json", "calls": []}, "no.json does not exist"),
    "broken tools": ({"prompt": "?", "tools": "x.jpg", "calls": []}, "the field tools cannot be used"),
    "a call that is none": ({**CALL, "calls": [{"name": "stop"}]}, "other than a name with arguments"),
    "a call of no tool": ({**CALL, "calls": [{"name": "go", "arguments": {}}]}, "names 'go', which"),
    "wrong arguments": ({**CALL, "calls": [{"name": "stop", "arguments": {"line": "2"}}]}, "do not fit stop"),
    "calls that are no list": ({**CALL, "calls": {}}, "the field calls is not a list"),
    "a group that is no text": ({"prompt": "?", "answer": "x", "group": 1}, "the field group is not a text"),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_named_with_file_line_and_field_and_what_to_do(folder: Path, mistake: tuple[Any, str]) -> None:
    line, words = mistake
    write(folder, {"audio": "a.wav", "transcript": "fine"}, line, {"audio": "a.wav", "transcript": "fine"})
    with pytest.raises(InputError) as caught:
        read_labels(folder)
    assert str(caught.value).startswith(f"{folder / 'labels.jsonl'}, line 2")
    assert words in str(caught.value)
    assert caught.value.hint


def test_a_near_miss_of_a_field_is_corrected(folder: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_labels(write(folder, {"audio": "a.wav", "transcrpt": "x"}))
    assert caught.value.hint == "did you mean transcript?"


@pytest.mark.parametrize("content", ["", "\n \n"])
def test_a_file_without_lines_and_a_folder_without_labels_are_refused(folder: Path, content: str) -> None:
    (folder / "other.jsonl").write_text(content)
    for source in (folder / "other.jsonl", folder):
        with pytest.raises(InputError) as caught:
            read_labels(source)
        assert "jsonl" in str(caught.value)

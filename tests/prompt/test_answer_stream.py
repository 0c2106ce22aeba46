import pytest

from edge.events import ToolCall
from edge.prompt.answer_stream import AnswerStream
from edge.prompt.formats.chatml import ChatMLFormat
from edge.prompt.formats.phi4 import Phi4Format
from edge.prompt.parts import Part, Special, Text
from edge.prompt.tools import parse_tools
from tests.prompt.small_tokenizers import tokenizer

TOOLS = parse_tools('[{"name": "get_weather", "parameters": {"city": {"type": "str"}}}]')
CALL = '[{"name": "get_weather", "arguments": {"city": "Paris"}}]'
PARIS = [ToolCall("get_weather", {"city": "Paris"})]
FORMATS = {"phi4": Phi4Format(), "chatml": ChatMLFormat(), "thinking": ChatMLFormat("", tokenizer("thinking"))}


def read(name: str, parts: list[Part], tools=TOOLS, stops=()) -> tuple[str, str, list[ToolCall]]:
    """(text shown while streaming, text shown at the end, calls)."""
    stream = AnswerStream(tokenizer(name), FORMATS[name], tools, stops)
    shown = "".join(stream.push(i) for i in tokenizer(name).encode_parts(parts))
    return shown, *stream.finish()


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("closed", [True, False])
def test_text_is_shown_and_calls_are_kept_aside(name: str, closed: bool) -> None:
    chat = FORMATS[name]
    parts = [Text("Let me see."), chat.call_open, Text(CALL)] + [chat.call_close] * closed
    assert read(name, parts) == ("Let me see.", "", PARIS)


@pytest.mark.parametrize("name", FORMATS)
def test_an_opened_call_that_is_none_is_shown_as_text(name: str) -> None:
    marker = FORMATS[name].call_open.content
    shown, tail, calls = read(name, [Text("Hm "), FORMATS[name].call_open, Text("what?")])
    assert (shown + tail, calls) == (f"Hm {marker}what?", [])


def test_without_tools_a_marker_is_just_text() -> None:
    shown, tail, calls = read("chatml", [Text(f"<tool_call>{CALL}")], tools=())
    assert (shown + tail, calls) == (f"<tool_call>{CALL}", [])


def test_a_stop_string_ends_the_answer_before_a_call_can_follow() -> None:
    stream = AnswerStream(tokenizer("phi4"), FORMATS["phi4"], TOOLS, ["STOP"])
    ids = tokenizer("phi4").encode_parts([Text("Go. STOP now"), Special("<|tool_call|>"), Text(CALL)])
    assert "".join(map(stream.push, ids)) == "Go. " and stream.stopped
    assert stream.finish() == ("", [])


def test_half_a_stop_string_before_a_call_is_shown_after_all() -> None:
    assert read("phi4", [Text("Go ST"), FORMATS["phi4"].call_open, Text(CALL)], stops=["STOP"]) == ("Go ST", "", PARIS)


def test_the_end_of_an_answer_is_not_held_back_forever() -> None:
    shown, tail, calls = read("chatml", [Text("a < b <tool_c")])
    assert (shown + tail, calls) == ("a < b <tool_c", [])


def test_a_token_may_end_the_marker_and_begin_the_call() -> None:
    ids = tokenizer("chatml").encode_text(f"<tool_call>{CALL}")
    assert any(b">[" in tokenizer("chatml").token_bytes(i) for i in ids)
    assert read("chatml", [Text(f"<tool_call>{CALL}")]) == ("", "", PARIS)

import jsonschema
import numpy as np
import pytest

from edge.errors import InputError, UsageError
from edge.prompt.formats.chatml import ChatMLFormat
from edge.prompt.formats.granite import GraniteFormat
from edge.prompt.formats.phi4 import Phi4Format
from edge.prompt.tool_calls import parse_calls
from edge.prompt.tool_constraint import tool_constraint
from edge.prompt.tools import Tool, parse_tools
from tests.prompt.random_schemas import random_object
from tests.prompt.sampling import allowed, sample, vocab
from tests.prompt.small_tokenizers import tokenizer

FORMATS = {
    "phi4": Phi4Format(),
    "chatml": ChatMLFormat(),
    "granite": GraniteFormat(),
    "thinking": ChatMLFormat("", tokenizer("thinking")),
}
VOCABS = {name: vocab(name) for name in FORMATS}
WEATHER = parse_tools('[{"name": "get_weather", "parameters": {"city": {"type": "str"}}}, {"name": "stop"}]')
CALL = '{"name": "get_weather", "arguments": {"city": "Paris"}}'


def opening(name: str) -> list[int]:
    content, subject = FORMATS[name].call_open.content, VOCABS[name].tokenizer
    token = subject.id_of(content)
    return [token] if token is not None else subject.encode_text(content)


def feed(constraint, name: str, *pieces: str | list[int]) -> None:
    for piece in pieces:
        for token in VOCABS[name].tokenizer.encode_text(piece) if isinstance(piece, str) else piece:
            constraint.accept(token)


def refuses(constraint, name: str, text: str) -> bool:
    try:
        feed(constraint, name, text)
    except InputError:
        return True
    return False


@pytest.mark.parametrize("seed", range(120))
def test_every_finished_random_call_is_valid_for_its_tool(seed: int) -> None:
    rng = np.random.default_rng(1000 + seed)
    name = list(FORMATS)[seed % 4]
    tools = [Tool(f"tool_{i}", "", random_object(rng, 2)) for i in range(rng.integers(1, 5))]
    choice, parallel = ("required", "auto")[seed // 4 % 2], bool(rng.integers(2))
    constraint = tool_constraint(VOCABS[name], FORMATS[name], tools, choice, parallel)
    if choice == "auto":
        feed(constraint, name, "Let me see. ", opening(name))
    ids = sample(constraint, VOCABS[name], rng, limit=3000)
    assert ids is not None, f"seed {seed}"
    text = VOCABS[name].tokenizer.decode(ids, skip_special=False)
    calls = parse_calls(text, tools)
    assert calls, f"seed {seed}: {text}"
    assert parallel or len(calls) == 1
    schemas = {tool.name: tool.schema for tool in tools}
    for call in calls:
        jsonschema.validate(call.arguments, schemas[call.name])


@pytest.mark.parametrize("name", FORMATS)
def test_auto_allows_plain_text_and_a_stop_at_any_point(name: str) -> None:
    constraint = tool_constraint(VOCABS[name], FORMATS[name], WEATHER, "auto")
    assert constraint.may_stop
    feed(constraint, name, 'The weather is {"fine"} [today], 20 < 30 <tool.\nBye')
    assert constraint.may_stop and not constraint.finished
    assert len(allowed(constraint, VOCABS[name])) > 200
    constraint.accept(VOCABS[name].stop[0])
    assert constraint.finished


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    "wrong", ["Hello", '{"name": "launch', '[{"name": "get_weather", "arguments": {"planet', "\n\n"]
)
def test_an_opened_call_can_only_go_on_as_a_call_of_a_given_tool(name: str, wrong: str) -> None:
    constraint = tool_constraint(VOCABS[name], FORMATS[name], WEATHER, "auto")
    feed(constraint, name, "Sure.", opening(name))
    assert not constraint.may_stop
    assert refuses(constraint, name, wrong)


@pytest.mark.parametrize("name", FORMATS)
def test_a_call_may_end_with_or_without_the_closing_marker(name: str) -> None:
    close = FORMATS[name].call_close
    for closing in [None, close] if close else [None]:
        constraint = tool_constraint(VOCABS[name], FORMATS[name], WEATHER, "auto")
        feed(constraint, name, opening(name), f"[{CALL}]")
        if closing:
            token = VOCABS[name].tokenizer.id_of(closing.content)
            feed(constraint, name, closing.content if token is None else [token])
        assert constraint.may_stop
        constraint.accept(VOCABS[name].stop[-1])
        assert constraint.finished


@pytest.mark.parametrize("name", FORMATS)
def test_required_begins_with_a_call_at_once(name: str) -> None:
    constraint = tool_constraint(VOCABS[name], FORMATS[name], WEATHER, "required")
    assert not constraint.may_stop
    subject = VOCABS[name].tokenizer
    texts = [subject.token_bytes(int(token)).decode() for token in allowed(constraint, VOCABS[name])]
    assert texts and all(FORMATS[name].call_open.content.startswith(text) for text in texts)


@pytest.mark.parametrize("name", FORMATS)
def test_none_never_opens_a_call(name: str) -> None:
    constraint = tool_constraint(VOCABS[name], FORMATS[name], WEATHER, "none")
    feed(constraint, name, "Text ")
    with pytest.raises(InputError):
        feed(constraint, name, opening(name))


def test_tokens_that_only_mark_up_text_may_come_before_a_call() -> None:
    subject = VOCABS["thinking"].tokenizer
    think = [subject.id_of("<think>")], "hm", [subject.id_of("</think>")]
    for choice in ("auto", "none"):
        constraint = tool_constraint(VOCABS["thinking"], FORMATS["thinking"], WEATHER, choice)
        feed(constraint, "thinking", *think, "So ", *think, "it is.")
        assert constraint.may_stop
    constraint = tool_constraint(VOCABS["thinking"], FORMATS["thinking"], WEATHER, "auto")
    feed(constraint, "thinking", *think, "\n", opening("thinking"), f"\n{CALL}\n", [subject.id_of("</tool_call>")])
    assert constraint.may_stop


@pytest.mark.parametrize("parallel", [True, False])
def test_several_calls_are_possible_only_in_parallel(parallel: bool) -> None:
    constraint = tool_constraint(VOCABS["phi4"], FORMATS["phi4"], WEATHER, "required", parallel)
    feed(constraint, "phi4", opening("phi4"))
    assert refuses(constraint, "phi4", f"[{CALL}, {CALL}]") is not parallel


def test_references_inside_a_tools_schema_are_followed() -> None:
    schema = {
        "type": "object",
        "properties": {"tree": {"$ref": "#/$defs/tree"}},
        "required": ["tree"],
        "$defs": {"tree": {"type": "array", "items": {"$ref": "#/$defs/tree"}}},
    }
    tools = [Tool("plant", "", schema)]
    constraint = tool_constraint(VOCABS["phi4"], FORMATS["phi4"], tools, "required")
    feed(constraint, "phi4", opening("phi4"), '[{"name": "plant", "arguments": {"tree": [[], [[]]]}}]')
    assert constraint.may_stop


def test_a_tool_with_an_impossible_schema_is_named() -> None:
    tools = [Tool("bad", "", {"type": "object", "properties": {"a": {"type": "widget"}}})]
    with pytest.raises(InputError, match=r"'bad'.*widget.*/properties/a"):
        tool_constraint(VOCABS["phi4"], FORMATS["phi4"], tools)


def test_a_model_without_the_call_token_cannot_have_tools() -> None:
    with pytest.raises(InputError, match=r"<\|tool_call\|>"):
        tool_constraint(VOCABS["chatml"], FORMATS["phi4"], WEATHER)


def test_a_required_call_needs_tools() -> None:
    with pytest.raises(UsageError, match="no tools"):
        tool_constraint(VOCABS["phi4"], FORMATS["phi4"], [], "required")

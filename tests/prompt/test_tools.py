import json

import pytest

from edge.errors import InputError
from edge.prompt.tools import load_tools, parse_tools, to_openai, to_phi_json

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}},
    "required": ["city"],
}
OPENAI = {"type": "function", "function": {"name": "weather", "description": "Tells it.", "parameters": SCHEMA}}
FLAT = {
    "name": "alarm",
    "description": "Sets one.",
    "parameters": {
        "hour": {"description": "0 to 23", "type": "int"},
        "label": {"description": "its name", "type": "str", "default": "wake up"},
    },
}


def test_openai_and_flat_tools_may_be_mixed() -> None:
    weather, alarm = parse_tools(json.dumps([OPENAI, FLAT]))
    assert (weather.name, weather.description, weather.schema) == ("weather", "Tells it.", SCHEMA)
    assert alarm.schema["properties"]["hour"] == {"description": "0 to 23", "type": "integer"}
    assert alarm.schema["required"] == ["hour"]


def test_a_flat_tool_written_back_is_what_was_given() -> None:
    assert json.loads(to_phi_json(parse_tools(json.dumps([FLAT])))) == [FLAT]


def test_an_openai_tool_written_back_is_what_was_given() -> None:
    assert to_openai(parse_tools(json.dumps([OPENAI]))) == [OPENAI]


def test_an_openai_tool_in_flat_form_marks_optional_arguments_by_a_default() -> None:
    (flat,) = json.loads(to_phi_json(parse_tools(json.dumps([OPENAI]))))
    assert flat["parameters"]["city"] == {"type": "str"}
    assert flat["parameters"]["days"] == {"type": "int", "minimum": 1, "default": None}


def test_an_argument_may_be_called_type() -> None:
    (tool,) = parse_tools('[{"name": "f", "parameters": {"type": {"type": "str"}}}]')
    assert tool.schema["properties"] == {"type": {"type": "string"}}


def test_a_tool_may_have_no_parameters() -> None:
    (tool,) = parse_tools('[{"name": "f"}]')
    assert tool.schema["properties"] == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not valid JSON"),
        ("{}", "not a non-empty JSON list"),
        ("[]", "not a non-empty JSON list"),
        ("[1]", "entry 0 is not an object"),
        ('[{"name": "a b"}]', "'a b'"),
        ('[{"description": "x"}]', "None"),
        ('[{"name": "f"}, {"name": "f"}]', "two tools named 'f'"),
        ('[{"name": "f", "name": "g"}]', "occurs twice"),
        ('[{"name": "f", "description": 3}]', "description"),
        ('[{"name": "f", "parameters": [1]}]', "parameters"),
        ('[{"name": "f", "parameters": {"a": "str"}}]', "'a'"),
        ('[{"name": "f", "parameters": {"a": {"type": "widget"}}}]', "widget"),
        ('[{"name": "f", "parameters": {"type": "object", "properties": []}}]', "properties"),
        ('[{"name": "f", "parameters": {"a": {"default": NaN}}}]', "NaN"),
        ('[{"name": "f", "parameters": {"a": {"default": 1e999}}}]', "too large"),
        ('[{"name": "f", "description": "\\ud800"}]', "surrogate"),
        ("[" * 100_000, "nested more than"),
        ('[{"name": "f", "parameters": ' + '{"a":' * 40 + "1" + "}" * 40 + "}]", "nested more than"),
        (json.dumps([{"name": f"f{i}"} for i in range(200)]), "limit is 128"),
        ("[" + " " * (1 << 20) + "]", "limit is 1,048,576"),
        ('[{"name": "f", "parameters": {"a": {"default": ' + "9" * 10_000 + "}}}]", "not valid JSON"),
    ],
)
def test_a_bad_tools_list_is_refused_with_its_reason(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_tools(text)


def test_a_tools_file_is_read_and_named_in_errors(tmp_path) -> None:
    path = tmp_path / "tools.json"
    with pytest.raises(InputError, match=r"tools\.json cannot be read"):
        load_tools(path)
    path.write_bytes(b"[\xff]")
    with pytest.raises(InputError, match=r"tools\.json is not UTF-8"):
        load_tools(path)
    path.write_text(json.dumps([FLAT]), "utf-8-sig")
    assert [tool.name for tool in load_tools(path)] == ["alarm"]

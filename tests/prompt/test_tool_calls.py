import pytest

from edge.events import ToolCall
from edge.prompt.tool_calls import dump_calls, parse_calls
from edge.prompt.tools import parse_tools

TOOLS = parse_tools(
    '[{"name": "weather", "parameters": {"city": {"type": "str"}, "days": {"type": "int", "default": 1}}},'
    ' {"name": "stop"}]'
)
PARIS = ToolCall("weather", {"city": "Paris"})
STOP = ToolCall("stop", {})
P, S = '{"name": "weather", "arguments": {"city": "Paris"}}', '{"name": "stop", "arguments": {}}'


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        (f"[{P}]", [PARIS]),
        (f"<|tool_call|>[{P}]<|/tool_call|>", [PARIS]),
        (f"<|tool_call|>[{P}]", [PARIS]),
        (f"<tool_call>\n{P}\n</tool_call>\n<tool_call>\n{S}\n</tool_call>", [PARIS, STOP]),
        (P, [PARIS]),
        (f"{P}{S}", [PARIS, STOP]),
        (f"{P}, {S}", [PARIS, STOP]),
        (f" \n[\n{P} ,\n {S}\n]\n", [PARIS, STOP]),
        (f"[{P}]<|/tool_call|> I called it.", [PARIS]),
        ('{"name": "stop"}', [STOP]),
        ('{"name": "weather", "arguments": "{\\"city\\": \\"Paris\\"}"}', [PARIS]),
    ],
)
def test_calls_are_read_in_every_form_that_models_write(text: str, calls: list[ToolCall]) -> None:
    assert parse_calls(text, TOOLS) == calls


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The weather is fine.",
        "[]",
        "[1]",
        "7",
        "NaN",
        f"[{P}",
        f"[{P}]{{",
        f"[{P}, {S[:-3]}",
        '{"name": "launch", "arguments": {}}',
        f'[{P}, {{"name": "launch", "arguments": {{}}}}]',
        '{"name": "weather", "arguments": {}}',
        '{"name": "weather", "arguments": {"city": 3}}',
        '{"name": "weather", "arguments": {"city": "x", "days": "two"}}',
        '{"name": "weather", "arguments": {"city": "x", "days": NaN}}',
        '{"name": "weather", "arguments": {"city": "x", "days": 1e999}}',
        '{"name": "weather", "arguments": {"city": "x", "planet": "Mars"}}',
        '{"name": "weather", "arguments": ["Paris"]}',
        '{"name": "weather", "arguments": "Paris"}',
        '{"name": ["weather"], "arguments": {}}',
        "[" * 100_000,
    ],
)
def test_whatever_is_not_wholly_valid_calls_is_text(text: str) -> None:
    assert parse_calls(text, TOOLS) == []


def test_calls_written_for_a_prompt_are_read_back() -> None:
    calls = (ToolCall("weather", {"city": 'Kö"ln\n', "days": 2}), STOP)
    assert parse_calls(dump_calls(calls), TOOLS) == list(calls)

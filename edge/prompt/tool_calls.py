"""Read tool calls out of what a model wrote, tolerant of form, strict about content."""

import json
import math
import re
from typing import Any

from edge.events import ToolCall
from edge.prompt.tools import Tool

_BETWEEN = re.compile(r"(?:\s|,|<\|/?tool_call\|>|</?tool_call>)*")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is beyond a double")
    return number


_DECODER = json.JSONDecoder(parse_float=_finite, parse_constant=_finite)


def parse_calls(text: str, tools: list[Tool]) -> list[ToolCall]:
    """The calls in `text`, which starts at or right after an opening marker.

    Accepted: a list, a single object, several objects in a row, markers missing or present, text after the last
    call. One call of an unknown tool or with arguments against its schema makes the whole text no call: [].
    """
    values: list[Any] = []
    position = 0
    while True:
        position = _BETWEEN.match(text, position).end()  # type: ignore[union-attr]
        try:
            value, position = _DECODER.raw_decode(text, position)
        except (ValueError, RecursionError):
            if text[position : position + 1] in ("[", "{"):
                return []  # cut off in the middle: nobody knows what the rest was
            break
        values += value if isinstance(value, list) else [value]
    known = {tool.name: tool for tool in tools}
    calls = [_call(value, known) for value in values]
    return [call for call in calls if call] if all(calls) else []


def dump_calls(calls: tuple[ToolCall, ...]) -> str:
    """The JSON list that a model writes for these calls."""
    return json.dumps([{"name": c.name, "arguments": c.arguments} for c in calls], ensure_ascii=False)


def _call(value: Any, known: dict[str, Tool]) -> ToolCall | None:
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        return None
    tool, arguments = known.get(value["name"]), value.get("arguments", {})
    if isinstance(arguments, str):
        try:
            arguments = _DECODER.decode(arguments)
        except (ValueError, RecursionError):
            return None
    if tool is None or not isinstance(arguments, dict):
        return None
    return ToolCall(tool.name, arguments) if _valid(arguments, tool.schema) else None


def _valid(arguments: dict[str, Any], schema: dict[str, Any]) -> bool:
    """Against JSON Schema 2020-12; a schema that constrained decoding would refuse accepts nothing."""
    from jsonschema import Draft202012Validator
    from referencing import Registry

    try:
        # a registry of our own: the default one fetches foreign $refs from the network
        return Draft202012Validator(schema, registry=Registry()).is_valid(arguments)
    except Exception:  # bad schemas surface as errors of several libraries
        return False

"""Grammars for tool calls: free text until a call opens, from there only valid JSON calls of the given tools."""

import json
from collections.abc import Sequence
from typing import Any, Literal

from edge.errors import InputError, UsageError
from edge.prompt.chat import ChatFormat
from edge.prompt.constraint import Constraint, GrammarVocab, json_rule
from edge.prompt.parts import Marker, Special
from edge.prompt.schema_compile import check_schema
from edge.prompt.tools import Tool

MAX_PARALLEL = 16
ToolChoice = Literal["auto", "required", "none"]
_OPEN_OBJECT = {"anyOf", "allOf", "oneOf", "$ref", "patternProperties", "additionalProperties"}


def tool_constraint(
    vocab: GrammarVocab,
    chat: ChatFormat,
    tools: Sequence[Tool],
    choice: ToolChoice = "auto",
    parallel: bool = True,
) -> Constraint:
    """auto: text, or text and then calls; required: calls only; none: text that opens no call.

    Calls are a list, or one object; the closing marker may be left out at the end. `parallel` allows up to
    16 calls. Raises InputError for a schema that cannot be enforced.
    """
    opening = _terminal(chat.call_open, vocab)
    close = _terminal(chat.call_close, vocab) if chat.call_close else ""
    if choice == "required" and not tools:
        raise UsageError("A tool call is required, but no tools were given.", "add --tools FILE.json")
    markers = {part.content for part in (chat.call_open, chat.call_close) if isinstance(part, Special)}
    inner = [i for i in vocab.text_tokens if vocab.tokenizer.content_of(i) not in markers]
    inside = f"<[{','.join(map(str, inner))}]>" if inner else ""
    prose = f"TEXT ({inside} TEXT)*" if inside else "TEXT"
    if choice == "none" or not tools:
        return Constraint(vocab, f"start: {prose}\n{_text(chat.call_open)}")
    rules = []
    for i, tool in enumerate(tools):
        schema = _arguments(tool)
        check_schema(schema, f"The parameters of tool {tool.name!r}")
        rules.append(f"args_{i}: {json_rule(schema)}")
        rules.append(
            f'call_{i}: "{{\\"name\\":" " "? {json.dumps(json.dumps(tool.name))} "," " "? '
            f'"\\"arguments\\":" " "? args_{i} "}}"'
        )
    more = f'("," " "? call){{0,{MAX_PARALLEL - 1}}}' if parallel else ""
    rules.append("call: " + " | ".join(f"call_{i}" for i in range(len(tools))))
    rules.append(f'calls: "\\n"? ("[" call {more} "]" | call)')
    repeat = f'("\\n"? {close} "\\n"? {opening} calls){{0,{MAX_PARALLEL - 1}}}' if close and parallel else ""
    tail = f'("\\n"? {close})?' if close else ""
    block = f"calls {repeat} {tail}"
    if choice == "required":
        start = f"start: {opening} {block}"
    elif isinstance(chat.call_open, Special):
        start = f"start: {prose} ({opening} {block})?\n{_text(chat.call_open)}"
    else:
        before = f"(TEXT {inside})*" if inside else ""
        start = f"start: {prose} | {before} lead {block}\nlead[lazy]: /(?s:.*)/ {opening}\n{_text(chat.call_open)}"
    return Constraint(vocab, "\n".join([start, *rules]))


def _terminal(part: Marker, vocab: GrammarVocab) -> str:
    if not isinstance(part, Special):
        return json.dumps(part.content)
    token_id = vocab.tokenizer.id_of(part.content)
    if token_id is None:
        raise InputError(f"This model has no {part.content} token, so it cannot call tools.", "run without --tools")
    return f"<[{token_id}]>"


def _text(call_open: Marker) -> str:
    """Text in which no call opens; special tokens are never text."""
    if isinstance(call_open, Special):
        return "TEXT: /(?s:.*)/"
    return f"TEXT: /(?s:.*)/ & ~(/(?s:.*)/ {json.dumps(call_open.content)} /(?s:.*)/)"


def _arguments(tool: Tool) -> dict[str, Any]:
    """The tool's schema, closed against invented arguments where that only removes options."""
    schema = {"type": "object", **tool.schema}
    return schema if _OPEN_OBJECT & schema.keys() else schema | {"additionalProperties": False}

"""The tools a model may call, from --tools FILE.json: OpenAI-style objects, flat Phi objects, or both mixed."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge import strict_json
from edge.errors import InputError

MAX_TOOLS = 128
MAX_DEPTH = 32
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_TO_SCHEMA = {
    "str": "string",
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    "list": "array",
    "dict": "object",
}
_TO_PHI = {schema: phi for phi, schema in _TO_SCHEMA.items()}
_SCHEMA_TYPES = {*_TO_PHI, "null"}


@dataclass(frozen=True, slots=True)
class Tool:
    """`schema` is the JSON schema of the arguments object."""

    name: str
    description: str
    schema: dict[str, Any]


def load_tools(path: str | Path) -> list[Tool]:
    """Reads a tools file of at most 1 MB. Raises InputError."""
    try:
        with Path(path).open("rb") as file:
            data = file.read(strict_json.MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"Tools file {path} cannot be read: {error.strerror}.", "check --tools") from None
    return parse_tools(data, f"Tools file {path}")


def parse_tools(data: bytes | str, what: str = "The tools list") -> list[Tool]:
    """The tools in a JSON list. Raises InputError naming the entry that is wrong."""
    entries = strict_json.loads(data, what, max_depth=MAX_DEPTH)
    if not isinstance(entries, list) or not entries:
        raise InputError(f"{what} is not a non-empty JSON list.", "put the tool objects between [ and ]")
    if len(entries) > MAX_TOOLS:
        raise InputError(f"{what} has {len(entries):,} tools, the limit is {MAX_TOOLS}.", "give fewer tools")
    tools = [_tool(entry, f"{what}, entry {i}") for i, entry in enumerate(entries)]
    seen: set[str] = set()
    for tool in tools:
        if tool.name in seen:
            raise InputError(f"{what} has two tools named {tool.name!r}.", "rename one of them")
        seen.add(tool.name)
    return tools


def to_openai(tools: list[Tool]) -> list[dict[str, Any]]:
    return [
        {
            "type": "function",
            "function": {"name": t.name, "description": t.description, "parameters": t.schema},
        }
        for t in tools
    ]


def to_phi_json(tools: list[Tool]) -> str:
    """The flat form Phi-4-mini was trained on: parameters maps each argument to description, type, default."""
    flat = []
    for tool in tools:
        required = tool.schema.get("required", [])
        arguments = {}
        for name, schema in tool.schema.get("properties", {}).items():
            argument = dict(schema) if isinstance(schema, dict) else {}
            kind = argument.get("type", "any")
            argument["type"] = _TO_PHI.get(kind, kind) if isinstance(kind, str) else kind
            if name not in required:
                argument.setdefault("default", None)
            arguments[name] = argument
        flat.append({"name": tool.name, "description": tool.description, "parameters": arguments})
    return json.dumps(flat, ensure_ascii=False)


def _tool(entry: Any, where: str) -> Tool:
    if isinstance(entry, dict) and isinstance(entry.get("function"), dict):
        entry = entry["function"]
    if not isinstance(entry, dict):
        raise InputError(f"{where} is not an object.", 'write {"name": …, "description": …, "parameters": …}')
    name, description = entry.get("name"), entry.get("description", "")
    parameters = entry.get("parameters")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InputError(
            f"{where} has the name {name!r}.", "use 1 to 64 of the characters A-Z a-z 0-9 _ . - as the name"
        )
    if not isinstance(description, str):
        raise InputError(f"{where} has a description that is not text.", "make it a string")
    if parameters is None:
        parameters = {}
    if not isinstance(parameters, dict):
        raise InputError(f"{where} has parameters that are not an object.", "give a JSON schema object")
    # A flat form maps names to objects, so a plain "object" here can only be a schema's type.
    is_schema = parameters.get("type") == "object"
    schema = parameters if is_schema else _flat_schema(parameters, where)
    properties = schema.get("properties", {})
    if not isinstance(properties, dict):
        raise InputError(f"{where} has properties that are not an object.", "map argument names to schemas")
    return Tool(name, description, schema)


def _flat_schema(parameters: dict[str, Any], where: str) -> dict[str, Any]:
    """Arguments with a default are optional, all others required."""
    properties: dict[str, Any] = {}
    for name, argument in parameters.items():
        if not isinstance(argument, dict):
            raise InputError(
                f"{where}, parameter {name!r} is not an object.", 'write {"description": …, "type": "str"}'
            )
        schema = dict(argument)
        kind = schema.get("type")
        if isinstance(kind, str):
            kind = _TO_SCHEMA.get(kind, kind)
            if kind not in _SCHEMA_TYPES:
                raise InputError(
                    f"{where}, parameter {name!r} has the unknown type {kind!r}.",
                    f"use one of {', '.join(_TO_SCHEMA)}",
                )
            schema["type"] = kind
        properties[name] = schema
    required = [name for name, argument in parameters.items() if "default" not in argument]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}

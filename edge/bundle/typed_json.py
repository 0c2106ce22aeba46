"""JSON objects turned into dataclasses by their type hints."""

import json
import types
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any, NoReturn, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from edge import strict_json
from edge.errors import BundleError

T = TypeVar("T")
_hints = cache(get_type_hints)
MAX_DEPTH = 16
MAX_INTEGER = 2**63
HINT = "Copy the bundle again from where it came, or make it again with `edge export`."


def refuse(message: str) -> NoReturn:
    raise BundleError(message, HINT)


def parse(data: bytes, what: str, max_bytes: int) -> Any:
    """The JSON value in `data`, called `what` in errors; integers are limited to 64 bits. Raises BundleError."""
    value = strict_json.loads(data, what, max_bytes, MAX_DEPTH, BundleError, HINT)
    level = [value]
    while level:
        if any(isinstance(one, int) and abs(one) >= MAX_INTEGER for one in level):
            refuse(f"{what} holds an integer of more than 64 bits.")
        inner = (one.values() if isinstance(one, dict) else one for one in level if isinstance(one, dict | list))
        level = [child for children in inner for child in children]
    return value


def build(cls: type[T], value: Any, where: str, extra_keys: bool = False) -> T:
    """An instance of dataclass `cls` from the JSON object `value`; BundleError names the field that is wrong.

    Unknown keys are refused unless `extra_keys`.
    """
    if not isinstance(value, dict):
        refuse(f"{where} must be an object, but is {_kind(value)}.")
    hints = _hints(cast(Any, cls))
    unknown = [key for key in value if key not in hints]
    if unknown and not extra_keys:
        refuse(f"{where} has the unknown key {ascii(unknown[0])[:80]}.")
    found = {}
    for entry in fields(cast(Any, cls)):
        if entry.name in value:
            found[entry.name] = _convert(hints[entry.name], value[entry.name], f"{where}.{entry.name}")
        elif entry.default is MISSING and entry.default_factory is MISSING:
            refuse(f"{where} lacks the field {entry.name}.")
    return cls(**found)


def _convert(kind: Any, value: Any, where: str) -> Any:
    if kind is Any:
        return value
    if is_dataclass(kind):
        return build(cast(type, kind), value, where)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (types.UnionType, Union):
        rest = next(one for one in arguments if one is not type(None))
        return None if value is None else _convert(rest, value, where)
    if origin is list and isinstance(value, list):
        return [_convert(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(value)]
    if origin is dict and isinstance(value, dict):
        return {key: _convert(arguments[1], item, f"{where}[{ascii(key)[:80]}]") for key, item in value.items()}
    if kind is float and type(value) in (int, float):
        return float(value)
    # type() and not isinstance(): true is an int for Python, but not a number here
    if type(value) is kind:
        return value
    names = {int: "an integer", float: "a number", str: "a text", bool: "true or false"}
    wanted = names.get(kind) or {list: "a list", dict: "an object"}[origin]
    refuse(f"{where} must be {wanted}, but is {_kind(value)}.")


def _kind(value: Any) -> str:
    match value:
        case dict():
            return "an object"
        case list():
            return "a list"
        case str():
            return "a text"
        case None:
            return "null"
    return json.dumps(value)[:40]

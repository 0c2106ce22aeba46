"""Does a value satisfy a JSON schema? The keywords that constrained decoding can enforce, and no others.

Semantics of JSON Schema draft 2020-12; `format` is an annotation, unknown keywords are ignored.
"""

import math
import re
from fractions import Fraction
from typing import Any

_TYPES: dict[str, Any] = {
    "object": lambda v: isinstance(v, dict),
    "array": lambda v: isinstance(v, list),
    "string": lambda v: isinstance(v, str),
    "boolean": lambda v: isinstance(v, bool),
    "null": lambda v: v is None,
    "number": lambda v: _is_number(v),
    "integer": lambda v: _is_number(v) and (isinstance(v, int) or v.is_integer()),
}


def satisfies(value: Any, schema: Any, root: Any = None, seen: frozenset[int] = frozenset()) -> bool:
    """True when `value` is valid; False also for a reference that leads nowhere or only to itself.

    `seen` has the ids of the schemas already under way for this very value.
    """
    root = schema if root is None else root
    if isinstance(schema, bool):
        return schema
    if not isinstance(schema, dict) or id(schema) in seen:
        return False
    seen |= {id(schema)}

    def same_place(subschema: Any) -> bool:
        return satisfies(value, subschema, root, seen)

    def follows(child: Any, subschema: Any) -> bool:
        return satisfies(child, subschema, root)

    if "$ref" in schema:
        target = _resolve(schema["$ref"], root)
        if target is None or not same_place(target):
            return False
    if "type" in schema:
        names = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        if not any(name in _TYPES and _TYPES[name](value) for name in names):
            return False
    if "const" in schema and not _equal(value, schema["const"]):
        return False
    if "enum" in schema and not any(_equal(value, option) for option in schema["enum"]):
        return False

    if not all(same_place(s) for s in schema.get("allOf", [])):
        return False
    if "anyOf" in schema and not any(same_place(s) for s in schema["anyOf"]):
        return False
    if "oneOf" in schema and sum(same_place(s) for s in schema["oneOf"]) != 1:
        return False
    if _is_number(value):
        return _number(value, schema)
    if isinstance(value, str):
        return _string(value, schema)
    if isinstance(value, list):
        prefix = schema.get("prefixItems", [])
        return (
            schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", math.inf)
            and all(follows(v, s) for v, s in zip(value, prefix, strict=False))
            and all(follows(v, schema.get("items", True)) for v in value[len(prefix) :])
        )
    if isinstance(value, dict):
        return _object(value, schema, follows)
    return True


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _equal(a: Any, b: Any) -> bool:
    """JSON equality: 1 equals 1.0, but true does not equal 1."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(_equal(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_equal(a[k], b[k]) for k in a)
    return bool(a == b)


def _number(value: float, schema: dict[str, Any]) -> bool:
    step = schema.get("multipleOf")
    return (
        schema.get("minimum", -math.inf) <= value <= schema.get("maximum", math.inf)
        and schema.get("exclusiveMinimum", -math.inf) < value < schema.get("exclusiveMaximum", math.inf)
        and (step is None or Fraction(str(value)) % Fraction(str(step)) == 0)
    )


def _string(value: str, schema: dict[str, Any]) -> bool:
    if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", math.inf):
        return False
    return "pattern" not in schema or re.search(schema["pattern"], value) is not None


def _object(value: dict[str, Any], schema: dict[str, Any], follows: Any) -> bool:
    properties, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    if not schema.get("minProperties", 0) <= len(value) <= schema.get("maxProperties", math.inf):
        return False
    if any(name not in value for name in schema.get("required", [])):
        return False
    for name, child in value.items():
        rules = [properties[name]] if name in properties else []
        rules += [rule for pattern, rule in patterns.items() if re.search(pattern, name)]
        if not all(follows(child, rule) for rule in rules or [schema.get("additionalProperties", True)]):
            return False
    return True


def _resolve(reference: Any, root: Any) -> Any:
    if not isinstance(reference, str) or not reference.startswith("#"):
        return None
    node = root
    for step in reference[1:].split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        if isinstance(node, list) and key.isdigit() and int(key) < len(node):
            node = node[int(key)]
        elif isinstance(node, dict) and key in node:
            node = node[key]
        else:
            return None
    return node

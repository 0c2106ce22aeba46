"""Random JSON schemas of the kinds that tools have, drawn from a numpy generator."""

from typing import Any

import numpy as np


def random_schema(rng: np.random.Generator, depth: int = 2) -> dict[str, Any]:
    kinds = ["string", "integer", "number", "boolean", "enum", "null"] + ["object", "array"] * (depth > 0)
    match str(rng.choice(kinds)):
        case "string":
            return {"type": "string", "maxLength": int(rng.integers(1, 9))}
        case "integer":
            low = int(rng.integers(-50, 50))
            return {"type": "integer", "minimum": low, "maximum": low + int(rng.integers(0, 200))}
        case "number":
            low = float(np.round(rng.normal() * 10, 2))
            return {"type": "number", "minimum": low, "exclusiveMaximum": low + 7.5}
        case "enum":
            return {"enum": [["a", 'b "q"', "é", 3, None, True, 2.5][i] for i in rng.permutation(7)[:3]]}
        case "object":
            return random_object(rng, depth - 1)
        case "array":
            least = int(rng.integers(0, 2))
            return {
                "type": "array",
                "items": random_schema(rng, depth - 1),
                "minItems": least,
                "maxItems": least + int(rng.integers(0, 3)),
            }
        case kind:
            return {"type": kind}


def random_object(rng: np.random.Generator, depth: int) -> dict[str, Any]:
    names = [["city", "days", "unit", "ort", "größe", "x y"][i] for i in rng.permutation(6)[: rng.integers(0, 4)]]
    return {
        "type": "object",
        "properties": {name: random_schema(rng, depth) for name in names},
        "required": [name for name in names if rng.random() < 0.6],
        "additionalProperties": False,
    }

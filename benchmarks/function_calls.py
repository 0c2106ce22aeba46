"""python -m benchmarks.function_calls [BUNDLE]: random tool sets and prompts; every finished call must be valid."""

import random
from typing import Annotated, Any

import jsonschema
import typer

from edge.events import Done
from edge.model import load
from edge.prompt.tools import Tool
from edge.runtime.sampling import SamplingOptions
from edge.turn_options import TurnOptions

VERBS = ("set", "get", "stop", "start", "move", "open", "close", "measure", "report", "schedule")
NOUNS = ("conveyor", "oven", "valve", "pump", "lamp", "robot", "door", "sensor", "line", "tank")
FIELDS = ("speed", "level", "target", "unit", "when", "note", "zone", "mode", "limit", "tags")


def random_schema(chance: random.Random, depth: int = 0) -> dict[str, Any]:
    kinds = ["integer", "number", "string", "boolean", "enum", "bounded"] + (["array", "object"] if depth < 2 else [])
    match chance.choice(kinds):
        case "enum":
            return {"enum": chance.sample(["low", "medium", "high", "off", "auto"], 3)}
        case "bounded":
            low = chance.randint(-50, 50)
            return {"type": "integer", "minimum": low, "maximum": low + chance.randint(1, 100)}
        case "string":
            return {"type": "string", "maxLength": chance.randint(4, 24)}
        case "array":
            return {"type": "array", "items": random_schema(chance, depth + 1), "maxItems": 3}
        case "object":
            return random_object(chance, depth + 1)
        case kind:
            return {"type": kind}


def random_object(chance: random.Random, depth: int = 0) -> dict[str, Any]:
    names = chance.sample(FIELDS, chance.randint(1, 4 if depth == 0 else 2))
    required = [name for name in names if chance.random() < 0.7]
    properties = {name: random_schema(chance, depth) for name in names}
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def random_tools(chance: random.Random) -> list[Tool]:
    names = {f"{chance.choice(VERBS)}_{chance.choice(NOUNS)}" for _ in range(chance.randint(1, 4))}
    return [Tool(name, name.replace("_", " ").capitalize() + ".", random_object(chance)) for name in sorted(names)]


def main(
    bundle: Annotated[str | None, typer.Argument(help="Bundle; default: the demo's.")] = None,
    sets: int = 200,
    seed: int = 0,
    max_tokens: int = 160,
) -> None:
    model = load(bundle)
    finished = unfinished = calls = 0
    for index in range(sets):
        chance = random.Random(f"{seed} {index}")
        tools = random_tools(chance)
        wanted = chance.choice(tools).name.replace("_", " ")
        prompt = f"Please {wanted} {chance.randint(1, 9)} now, {chance.choice(FIELDS)} {chance.randint(0, 100)}."
        sampling = SamplingOptions(temperature=chance.choice([0.0, 0.7, 1.2]), seed=index)
        options = TurnOptions(sampling, max_tokens, tool_choice="required")
        *_, done = model.conversation(tools=tools).generate(prompt, options)
        assert isinstance(done, Done)
        if done.finish_reason == "length":
            unfinished += 1
            continue
        assert done.finish_reason == "tool_calls", f"set {index} ended without a call: {done.text!r}"
        finished += 1
        schemas = {tool.name: tool.schema for tool in tools}
        for call in done.tool_calls:
            jsonschema.validate(call.arguments, schemas[call.name])
            calls += 1
        if (index + 1) % 20 == 0:
            print(f"{index + 1} of {sets}: {finished} answers finished with {calls} calls, all valid", flush=True)
    print(
        f"{sets} tool sets: {finished} finished, {calls} calls, all valid; {unfinished} cut off at {max_tokens} tokens"
    )


if __name__ == "__main__":
    typer.run(main)

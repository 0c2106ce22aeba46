"""The functions of the terminal, in Phi's flat form, and the choice of them that a prompt offers."""

import json
from typing import Any

import numpy as np

from edge.prompt.tools import Tool, parse_tools


def _tool(name: str, description: str, **parameters: tuple[str, str]) -> dict[str, Any]:
    described = {key: {"description": text, "type": kind} for key, (kind, text) in parameters.items()}
    return {"name": name, "description": description, "parameters": described}


_MACHINE, _NUMBER = ("str", "Kind of machine"), ("int", "Number of the machine")
FLAT = [
    _tool(
        "set_speed", "Set the speed of a machine.",
        machine=_MACHINE, number=_NUMBER, percent=("int", "Speed from 0 to 100 percent"),
    ),
    _tool("start", "Start a machine.", machine=_MACHINE, number=_NUMBER),
    _tool("stop", "Stop a machine.", machine=_MACHINE, number=_NUMBER),
    _tool(
        "read_sensor", "Read a sensor of a machine.",
        sensor=("str", "What to measure"), machine=_MACHINE, number=_NUMBER,
    ),
    _tool(
        "set_temperature", "Set the temperature of a machine.",
        machine=_MACHINE, number=_NUMBER, degrees=("int", "Degrees Celsius"),
    ),
    _tool(
        "set_valve", "Open or close a valve.",
        number=("int", "Number of the valve"), state=("str", "open or closed"),
    ),
    _tool("set_lamp", "Switch a status lamp.", colour=("str", "Colour of the lamp"), state=("str", "on or off")),
    _tool("call_person", "Call a person.", role=("str", "Who is needed")),
    _tool("report_fault", "Report a fault.", code=("int", "Code of the fault")),
    _tool("count_parts", "Count the parts of a line.", line=("int", "Number of the line")),
    _tool("set_timer", "Set a timer.", minutes=("int", "Minutes to wait")),
    _tool("emergency_stop", "Stop everything at once."),
]  # fmt: skip
TOOLS: dict[str, Tool] = {tool.name: tool for tool in parse_tools(json.dumps(FLAT))}


def offer(rng: np.random.Generator, needed: str | None, most: int = 4) -> list[Tool]:
    """1 to `most` tools in random order, `needed` among them; with None any."""
    others = [name for name in TOOLS if name != needed]
    count = int(rng.integers(0 if needed else 1, most))
    names = list(rng.choice(others, size=count, replace=False)) + ([needed] if needed else [])
    return [TOOLS[names[i]] for i in rng.permutation(len(names))]


def offer_without(rng: np.random.Generator, unwanted: str, most: int = 3) -> list[Tool]:
    """1 to `most` tools without the one that would be needed."""
    names = [name for name in TOOLS if name != unwanted]
    return [TOOLS[name] for name in rng.choice(names, size=int(rng.integers(1, most + 1)), replace=False)]

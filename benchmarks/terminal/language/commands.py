"""About sixty ways to tell the terminal to do something, each with the function call it means."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.terminal.language.numbers import DIGITS, in_words
from edge.events import ToolCall

MACHINES = ("line", "conveyor", "pump", "fan", "mixer", "press")
HEATERS = ("oven", "tank", "dryer")
SENSORS = ("temperature", "pressure", "level", "speed", "humidity")
COLOURS = ("red", "green", "yellow", "blue")
PEOPLE = ("maintenance", "the supervisor", "the fork lift", "quality control", "the shift leader")


@dataclass(frozen=True, slots=True)
class Command:
    """`words` as spoken, lower case without punctuation; `written` as typed; `call` what it means."""

    words: str
    written: str
    call: ToolCall


def _number(low: int, high: int, step: int = 1) -> Callable[[np.random.Generator], int]:
    return lambda rng: int(rng.integers(low, high // step + 1)) * step


def _one_of(*values: str) -> Callable[[np.random.Generator], str]:
    return lambda rng: str(rng.choice(values))


SLOTS: dict[str, Callable[[np.random.Generator], int | str]] = {
    "machine": _one_of(*MACHINES),
    "any": _one_of(*MACHINES, *HEATERS),
    "heater": _one_of(*HEATERS),
    "number": _number(1, 12),
    "percent": lambda rng: int(rng.integers(0, 21)) * 5 if rng.random() < 0.6 else int(rng.integers(0, 101)),
    "degrees": lambda rng: int(rng.integers(2, 31)) * 10 if rng.random() < 0.6 else int(rng.integers(20, 301)),
    "sensor": _one_of(*SENSORS),
    "colour": _one_of(*COLOURS),
    "who": _one_of(*PEOPLE),
    "code": _number(1, 999),
    "minutes": _number(1, 60),
}
"""How each slot of a template is filled."""

TEMPLATES: dict[str, list[str]] = {
    "set_speed": [
        "set {machine} {number} to {percent} percent",
        "run {machine} {number} at {percent} percent",
        "set the speed of {machine} {number} to {percent} percent",
        "change {machine} {number} to {percent} percent",
        "speed of {machine} {number} to {percent} percent please",
        "put {machine} {number} on {percent} percent",
        "{machine} {number} at {percent} percent",
    ],
    "start": [
        "start {any} {number}",
        "switch on {any} {number}",
        "turn on {any} {number}",
        "start {any} number {number} please",
        "start up {any} {number}",
        "bring up {any} {number}",
    ],
    "stop": [
        "stop {any} {number}",
        "switch off {any} {number}",
        "turn off {any} {number}",
        "please stop {any} number {number}",
        "halt {any} {number}",
        "shut down {any} {number}",
    ],
    "read_sensor": [
        "what is the {sensor} of {any} {number}",
        "read the {sensor} of {any} {number}",
        "tell me the {sensor} of {any} {number}",
        "how is the {sensor} of {any} {number}",
        "check the {sensor} of {any} {number}",
        "{sensor} of {any} {number} please",
        "show me the {sensor} of {any} {number}",
    ],
    "set_temperature": [
        "set {heater} {number} to {degrees} degrees",
        "heat {heater} {number} to {degrees} degrees",
        "set the temperature of {heater} {number} to {degrees} degrees",
        "bring {heater} {number} to {degrees} degrees",
        "{heater} {number} to {degrees} degrees please",
    ],
    "set_valve": [
        "open valve {number}",
        "close valve {number}",
        "open valve number {number} please",
        "close valve number {number} please",
        "please open valve {number}",
        "please close valve {number}",
    ],
    "set_lamp": [
        "switch on the {colour} lamp",
        "switch off the {colour} lamp",
        "turn the {colour} lamp on",
        "turn the {colour} lamp off",
        "{colour} lamp on",
        "{colour} lamp off",
    ],
    "call_person": ["call {who}", "please call {who}", "i need {who}", "send {who} here", "get {who}"],
    "report_fault": [
        "report fault {code}",
        "report a fault with code {code}",
        "fault code {code}",
        "there is a fault {code}",
    ],
    "count_parts": [
        "how many parts on line {number}",
        "count the parts on line {number}",
        "parts on line {number} please",
        "how many parts did line {number} make",
    ],
    "set_timer": [
        "set a timer for {minutes} minutes",
        "remind me in {minutes} minutes",
        "timer {minutes} minutes",
    ],
    "emergency_stop": ["emergency stop", "stop everything", "stop all machines now", "emergency stop everything"],
}
_SLOT = re.compile(r"\{(\w+)\}")


def draw_command(rng: np.random.Generator, function: str | None = None) -> Command:
    """A command for `function`, or for any."""
    function = function or str(rng.choice(list(TEMPLATES)))
    template = str(rng.choice(TEMPLATES[function]))
    values = {slot: SLOTS[slot](rng) for slot in _SLOT.findall(template)}
    words = template.format(**{slot: _spoken(slot, value, rng) for slot, value in values.items()})
    return Command(words, _written(template, values, rng), ToolCall(function, _arguments(function, template, values)))


def _spoken(slot: str, value: int | str, rng: np.random.Generator) -> str:
    if not isinstance(value, int):
        return value
    if slot == "code" and rng.random() < 0.5:
        return " ".join(DIGITS[int(digit)] for digit in str(value))
    return in_words(value)


def _written(template: str, values: dict[str, int | str], rng: np.random.Generator) -> str:
    """With figures or words, with or without capitals and a full stop."""
    figures = rng.random() < 0.6
    text = template.format(**{s: v if figures or isinstance(v, str) else in_words(v) for s, v in values.items()})
    if rng.random() < 0.6:
        text = text[0].upper() + text[1:]
    if rng.random() < 0.6:
        text += "?" if text.lower().startswith(("what", "how")) else "."
    return text


def _arguments(function: str, template: str, values: dict[str, int | str]) -> dict[str, Any]:
    named = {"any": "machine", "heater": "machine", "who": "role"}
    found: dict[str, Any] = {named.get(slot, slot): value for slot, value in values.items()}
    if function == "set_valve":
        found["state"] = "open" if "open" in template else "closed"
    elif function == "set_lamp":
        found["state"] = "on" if " on" in template else "off"
    elif function == "count_parts":
        found = {"line": found["number"]}
    elif function == "call_person":
        found["role"] = str(found["role"]).removeprefix("the ")
    order = {
        "read_sensor": ("sensor", "machine", "number"),
        "set_speed": ("machine", "number", "percent"),
        "set_temperature": ("machine", "number", "degrees"),
    }.get(function)
    return {key: found[key] for key in order} if order else found

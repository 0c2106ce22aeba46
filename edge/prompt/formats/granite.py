"""Granite 3.x instruct: `<|start_of_role|>role<|end_of_role|>content<|end_of_text|>\\n`."""

import datetime
import json
import re
from collections.abc import Callable, Sequence

from edge.prompt.message import Message, split_system
from edge.prompt.parts import Marker, Part, Special, Text
from edge.prompt.tool_calls import dump_calls
from edge.prompt.tools import Tool, to_openai

_IDENTITY = "Knowledge Cutoff Date: April 2024.\nToday's Date: {date}.\nYou are Granite, developed by IBM."
_PLAIN = " You are a helpful AI assistant."
_TOOLS_BEFORE = " You are a helpful AI assistant that may use the listed tools. To use tools, answer with "
_TOOLS_AFTER = " and a JSON list of calls. When no listed tool can do what is asked, say so."
_THINKING = (
    " You are a helpful AI assistant.\nAnswer thoroughly. Reason first: analyse, explore, check and correct"
    " yourself; then give the final answer with a summary of the reasoning. Write the reasoning after"
    " 'Here is my thought process:' and the answer after 'Here is my response:'."
)
_THOUGHT = re.compile(r"\s*Here(?: is|'s) my thought process:", re.IGNORECASE)
_RESPONSE = re.compile(r"Here(?: is|'s) my response:", re.IGNORECASE)
# strftime's %B would follow the locale.
_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]


class GraniteFormat:
    call_open: Marker = Special("<|tool_call|>")
    call_close: Marker | None = None

    def __init__(self, default_system: str = "", today: Callable[[], datetime.date] = datetime.date.today) -> None:
        self._default_system = default_system
        self._today = today

    def render(
        self,
        messages: Sequence[Message],
        tools: Sequence[Tool] | None = None,
        thinking: bool = False,
        open_assistant: bool = True,
    ) -> list[Part]:
        """`thinking` has an effect only without tools and without a system message, as the model was trained."""
        system, rest = split_system(messages, self._default_system)
        own = bool(system) or (bool(messages) and messages[0].role == "system")
        parts = _turn("system", [Text(system)] if own else self._built_in_system(bool(tools), thinking))
        if tools:
            listing = json.dumps(to_openai(list(tools)), ensure_ascii=False, indent=4)
            parts += _turn("tools", [Text(listing)])
        for message in rest:
            content: list[Part] = [Text(message.content)]
            if message.tool_calls:
                content += [self.call_open, Text(dump_calls(message.tool_calls))]
            parts += _turn(message.role, content)
        return parts + _header("assistant") if open_assistant else parts

    def split_thought(self, text: str) -> tuple[str, str]:
        """Splits at the two headings that `thinking` asks for; without both, all of it is the answer."""
        start, end = _THOUGHT.match(text), _RESPONSE.search(text)
        if not start or not end:
            return "", text
        return text[start.end() : end.start()].strip(), text[end.end() :].strip()

    def _built_in_system(self, tools: bool, thinking: bool) -> list[Part]:
        day = self._today()
        identity = _IDENTITY.format(date=f"{_MONTHS[day.month - 1]} {day.day:02d}, {day.year}")
        if tools:
            return [Text(identity + _TOOLS_BEFORE), self.call_open, Text(_TOOLS_AFTER)]
        return [Text(identity + (_THINKING if thinking else _PLAIN))]


def _header(role: str) -> list[Part]:
    return [Special("<|start_of_role|>"), Text(role), Special("<|end_of_role|>")]


def _turn(role: str, content: list[Part]) -> list[Part]:
    return [*_header(role), *content, Special("<|end_of_text|>"), Text("\n")]

"""ChatML as SmolLM2 writes it: `<|im_start|>role\\ncontent<|im_end|>\\n`. Tools are described in the system text."""

import json
from collections.abc import Sequence

from edge.prompt.message import Message, split_system
from edge.prompt.parts import Marker, Part, Special, Text
from edge.prompt.tokenizer import Tokenizer
from edge.prompt.tool_calls import dump_calls
from edge.prompt.tools import Tool, to_openai

_START, _END = Special("<|im_start|>"), Special("<|im_end|>")
_TOOLS = """You can call these tools:
<tools>{tools}</tools>

To call tools, answer with nothing but a JSON list of calls, like this:
<tool_call>[{{"name": "tool_name", "arguments": {{"argument": "value"}}}}]</tool_call>
If no tool fits, answer in plain words."""


class ChatMLFormat:
    def __init__(self, default_system: str = "", tokenizer: Tokenizer | None = None) -> None:
        """Some ChatML vocabularies have tokens of their own for the call markers; SmolLM2's has not."""
        part_of = tokenizer.part_of if tokenizer else Text
        self.call_open: Marker = part_of("<tool_call>")
        self.call_close: Marker = part_of("</tool_call>")
        self._default_system = default_system

    def render(
        self,
        messages: Sequence[Message],
        tools: Sequence[Tool] | None = None,
        thinking: bool = False,
        open_assistant: bool = True,
    ) -> list[Part]:
        system, rest = split_system(messages, self._default_system)
        if tools:
            listing = json.dumps(to_openai(list(tools)), ensure_ascii=False)
            system = "\n\n".join(filter(None, [system, _TOOLS.format(tools=listing)]))
        parts: list[Part] = []
        if system or (messages and messages[0].role == "system"):
            parts += _turn("system", [Text(system)])
        for message in rest:
            content: list[Part] = [Text(message.content)]
            if message.tool_calls:
                gap = Text("\n" if message.content else "")
                content += [gap, self.call_open, Text(dump_calls(message.tool_calls)), self.call_close]
            parts += _turn(message.role, content)
        if open_assistant:
            parts += [_START, Text("assistant\n")]
        return parts

    def split_thought(self, text: str) -> tuple[str, str]:
        return "", text


def _turn(role: str, content: list[Part]) -> list[Part]:
    return [_START, Text(f"{role}\n"), *content, _END, Text("\n")]

"""Phi-4-mini and Phi-4-multimodal: `<|role|>content<|end|>`, no newline, no BOS.

A tool result is `<|tool|>result<|end|>`, as the checkpoint's own template renders the role `tool`. Microsoft's
.NET sample writes `<|tool_response|>` instead; neither is documented as canonical.
"""

from collections.abc import Sequence

from edge.prompt.message import Message, split_system
from edge.prompt.parts import Marker, Part, Special, Text
from edge.prompt.tool_calls import dump_calls
from edge.prompt.tools import Tool, to_phi_json


class Phi4Format:
    call_open: Marker = Special("<|tool_call|>")
    call_close: Marker | None = Special("<|/tool_call|>")

    def __init__(self, default_system: str = "") -> None:
        self._default_system = default_system

    def render(
        self,
        messages: Sequence[Message],
        tools: Sequence[Tool] | None = None,
        thinking: bool = False,
        open_assistant: bool = True,
    ) -> list[Part]:
        """The tool list stands on the system message; without one, an empty system message carries it."""
        system, rest = split_system(messages, self._default_system)
        parts: list[Part] = []
        if system or tools or (messages and messages[0].role == "system"):
            parts += [Special("<|system|>"), Text(system)]
            if tools:
                parts += [Special("<|tool|>"), Text(to_phi_json(list(tools))), Special("<|/tool|>")]
            parts.append(Special("<|end|>"))
        for message in rest:
            # pictures and recordings come before the words about them, as in the training format
            parts += [Special(f"<|{message.role}|>"), *message.media, Text(message.content)]
            if message.tool_calls:
                parts += [self.call_open, Text(dump_calls(message.tool_calls)), Special("<|/tool_call|>")]
            parts.append(Special("<|end|>"))
        parts.append(Special("<|assistant|>" if open_assistant else "<|endoftext|>"))
        return parts

    def split_thought(self, text: str) -> tuple[str, str]:
        return "", text

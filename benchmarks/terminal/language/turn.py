"""One question and its answer, whatever it is asked with."""

from dataclasses import dataclass

from edge.events import ToolCall
from edge.prompt.tools import Tool


@dataclass(frozen=True, slots=True)
class Turn:
    """The typed `prompt` (empty when only a recording asks), the `tools` on offer, and the answer: text or calls."""

    prompt: str
    answer: str = ""
    calls: tuple[ToolCall, ...] = ()
    tools: tuple[Tool, ...] = ()

"""One turn of a conversation, as a caller gives it."""

from collections.abc import Sequence
from dataclasses import dataclass

from edge.errors import InputError
from edge.events import ToolCall
from edge.prompt.parts import Placeholder

ROLES = ("system", "user", "assistant", "tool")


@dataclass(frozen=True, slots=True)
class Message:
    """`tool_calls` belong to an assistant turn; a `tool` turn's content is the result of one call; `media` to a user.

    Raises InputError for an unknown role.
    """

    role: str
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    media: tuple[Placeholder, ...] = ()

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise InputError(f"A message has the role {self.role!r}.", f"use one of {', '.join(ROLES)}")
        if self.tool_calls and self.role != "assistant":
            raise InputError(f"A {self.role} message has tool calls.", "put them on an assistant message")


def split_system(messages: Sequence[Message], default: str) -> tuple[str, list[Message]]:
    """The leading system text, or `default` when the conversation has none, and the other messages."""
    if messages and messages[0].role == "system":
        return messages[0].content, list(messages[1:])
    return default, list(messages)

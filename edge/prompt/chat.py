"""From a conversation to prompt parts, in the format that the model was trained on."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from edge.bundle.manifest import ChatInfo
from edge.errors import BundleError
from edge.prompt.formats.chatml import ChatMLFormat
from edge.prompt.formats.granite import GraniteFormat
from edge.prompt.formats.jinja import JinjaFormat
from edge.prompt.formats.phi4 import Phi4Format
from edge.prompt.message import Message
from edge.prompt.parts import Marker, Part, Special, Text
from edge.prompt.tokenizer import Tokenizer
from edge.prompt.tools import Tool

__all__ = ["ChatFormat", "Message", "Part", "Special", "Text", "chat_format"]


class ChatFormat(Protocol):
    """One model family's way to write a conversation down."""

    @property
    def call_open(self) -> Marker:
        """What the model writes right before its JSON tool calls: a special token, or marker text."""

    @property
    def call_close(self) -> Marker | None:
        """What it writes after them; models often forget it."""

    def render(
        self,
        messages: Sequence[Message],
        tools: Sequence[Tool] | None = None,
        thinking: bool = False,
        open_assistant: bool = True,
    ) -> list[Part]:
        """The prompt. `open_assistant` ends it where the answer begins; `thinking` is ignored where unknown."""

    def split_thought(self, text: str) -> tuple[str, str]:
        """(thought, answer) of a finished text; the thought is empty where the format has none."""


def chat_format(
    info: ChatInfo,
    bundle_dir: str | Path,
    tokenizer: Tokenizer,
    bos: int | None = None,
    eos: int | None = None,
    template: str = "",
) -> ChatFormat:
    """The format a bundle names. `bos` and `eos` ids only matter to a foreign template, which is `template` or the
    bundle's file. Raises BundleError."""
    match info.format:
        case "phi4":
            return Phi4Format(info.default_system)
        case "chatml":
            return ChatMLFormat(info.default_system, tokenizer)
        case "granite":
            return GraniteFormat(info.default_system)
        case "jinja":
            settings = {
                "default_system": info.default_system,
                "bos_token": _content(tokenizer, bos),
                "eos_token": _content(tokenizer, eos),
            }
            if template:
                return JinjaFormat(template, tokenizer, **settings)
            return JinjaFormat.from_bundle(Path(bundle_dir), tokenizer, **settings)
    raise BundleError(f"bundle.json names the unknown chat format {info.format!r}.", "update phi-edge, or export again")


def _content(tokenizer: Tokenizer, token_id: int | None) -> str:
    return (tokenizer.content_of(token_id) if token_id is not None else None) or ""

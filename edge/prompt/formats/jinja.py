"""A foreign chat template: rendered in a limited child process, and blind to what users wrote.

The template sees a private placeholder instead of each text, so nothing a user types can become a special
token, nor can the template act on it; leading and trailing whitespace stays visible, so that `trim` works.
"""

import json
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edge.errors import BundleError, InputError
from edge.prompt.message import Message, split_system
from edge.prompt.parts import Marker, Part, Special, Text, merge_text
from edge.prompt.tokenizer import Tokenizer
from edge.prompt.tools import Tool, to_openai

TEMPLATE_FILE = "chat_template.jinja"
MAX_TEMPLATE_BYTES = 1 << 20
WALL_SECONDS = 5.0
_WORKER = Path(__file__).parent.parent / "jinja_worker.py"
_KEPT_ENVIRONMENT = ("PATH", "PYTHONPATH", "HOME", "SYSTEMROOT", "LD_LIBRARY_PATH", "TZ")
_HARMLESS = re.compile(r"[A-Za-z0-9_.-]{0,64}")
_HINT = "use a bundle with a built-in chat format"


class JinjaFormat:
    def __init__(
        self,
        template: str,
        tokenizer: Tokenizer,
        default_system: str = "",
        bos_token: str = "",
        eos_token: str = "",
    ) -> None:
        self.call_open: Marker = tokenizer.part_of("<tool_call>")
        self.call_close: Marker | None = tokenizer.part_of("</tool_call>")
        self._template = template
        self._default_system = default_system
        self._constants = {"bos_token": bos_token, "eos_token": eos_token}
        contents = sorted(tokenizer.added, key=len, reverse=True)
        self._special = re.compile("|".join(map(re.escape, contents)) or r"(?!)")

    @classmethod
    def from_bundle(cls, bundle_dir: Path, tokenizer: Tokenizer, **settings: str) -> "JinjaFormat":
        """Reads chat_template.jinja. Raises BundleError when it is missing, too large or not UTF-8."""
        path = bundle_dir / TEMPLATE_FILE
        try:
            with path.open("rb") as file:
                data = file.read(MAX_TEMPLATE_BYTES + 1)
            if len(data) > MAX_TEMPLATE_BYTES:
                raise BundleError(f"{path} is larger than {MAX_TEMPLATE_BYTES:,} bytes.", _HINT)
            return cls(data.decode(), tokenizer, **settings)
        except OSError as error:
            raise BundleError(f"{path} cannot be read: {error.strerror}.", "edge bundle verify BUNDLE") from None
        except UnicodeDecodeError:
            raise BundleError(f"{path} is not UTF-8.", "edge bundle verify BUNDLE") from None

    def render(
        self,
        messages: Sequence[Message],
        tools: Sequence[Tool] | None = None,
        thinking: bool = False,
        open_assistant: bool = True,
    ) -> list[Part]:
        """Raises BundleError for a template that fails, InputError for a conversation that it refuses."""
        system, rest = split_system(messages, self._default_system)
        if system and not (messages and messages[0].role == "system"):
            messages = [Message("system", system), *rest]
        hidden = _Placeholders()
        context = self._constants | {
            "messages": [_message(message, hidden) for message in messages],
            "tools": hidden.in_data(to_openai(list(tools))) if tools else None,
            "add_generation_prompt": open_assistant,
            "thinking": thinking,
            "enable_thinking": thinking,
        }
        rendered = _run_worker({"template": self._template, "context": context, "placeholder": hidden.pattern})
        parts: list[Part] = []
        position = 0
        for match in re.finditer(hidden.pattern, rendered):
            parts += self._template_parts(rendered[position : match.start()])
            text = hidden.texts[int(match["index"])]
            in_json = match["form"] == "j"
            parts.append(Text(json.dumps(text, ensure_ascii=False)[1:-1] if in_json else text))
            position = match.end()
        parts += self._template_parts(rendered[position:])
        leftover = re.sub(hidden.pattern, "", rendered).lower()
        if hidden.nonce[:12] in leftover or hidden.nonce[-8:] in leftover:
            raise BundleError(f"{TEMPLATE_FILE} alters the text of messages.", _HINT)
        return merge_text(parts)

    def split_thought(self, text: str) -> tuple[str, str]:
        return "", text

    def _template_parts(self, text: str) -> list[Part]:
        parts: list[Part] = []
        position = 0
        for match in self._special.finditer(text):
            parts += [Text(text[position : match.start()]), Special(match[0])]
            position = match.end()
        return [*parts, Text(text[position:])]


class _Placeholders:
    """Swaps texts for names that no text contains; form r is raw, the worker's tojson turns it into j."""

    def __init__(self) -> None:
        self.nonce = f"edge{secrets.token_hex(12)}"
        self.pattern = rf"{self.nonce}n(?P<index>[0-9]+)(?P<form>[rj])z"
        self.texts: list[str] = []

    def for_text(self, text: str) -> str:
        bare = text.strip()
        if not bare:
            return text
        self.texts.append(bare)
        lead = len(text) - len(text.lstrip())
        return f"{text[:lead]}{self.nonce}n{len(self.texts) - 1}rz{text[lead + len(bare) :]}"

    def in_data(self, value: Any) -> Any:
        """All strings in nested data, but for plain words, which templates compare (types, names)."""
        if isinstance(value, str):
            return value if _HARMLESS.fullmatch(value) else self.for_text(value)
        if isinstance(value, list):
            return [self.in_data(item) for item in value]
        if isinstance(value, dict):
            return {self.in_data(key): self.in_data(item) for key, item in value.items()}
        return value


def _message(message: Message, hidden: _Placeholders) -> dict[str, Any]:
    result: dict[str, Any] = {"role": message.role, "content": hidden.for_text(message.content)}
    if message.tool_calls:
        result["tool_calls"] = [
            {"type": "function", "function": {"name": c.name, "arguments": hidden.in_data(c.arguments)}}
            for c in message.tool_calls
        ]
    return result


def _run_worker(request: dict[str, Any]) -> str:
    """The rendered text. -P keeps the current directory from providing modules to the child."""
    try:
        done = subprocess.run(
            [sys.executable, "-P", str(_WORKER)],
            input=json.dumps(request).encode(),
            capture_output=True,
            timeout=WALL_SECONDS,
            env={name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ},
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise BundleError(f"{TEMPLATE_FILE} took longer than {WALL_SECONDS:g} s to render.", _HINT) from None
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        raise BundleError(f"{TEMPLATE_FILE} exceeded its memory or time limit.", _HINT) from None
    if "refused" in answer:
        raise InputError(f"The chat template refuses this conversation: {answer['refused']}.", "change the messages")
    if "error" in answer:
        raise BundleError(f"{TEMPLATE_FILE} cannot be rendered: {answer['error']}.", _HINT)
    return str(answer["text"])

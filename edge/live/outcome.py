"""What became of a call, in words for the model."""

import json
from dataclasses import dataclass
from typing import Any

MAX_OUTPUT_BYTES = 4096
"""More of a program's or server's output is not kept: it would fill the model's context."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """`text` is the JSON that the model reads as the tool's result; `seconds` is how long the call took.

    Foreign output is in it: make it harmless before it goes to a screen.
    """

    ok: bool
    text: str
    seconds: float


def succeeded(output: str, seconds: float = 0.0, truncated: bool = False) -> Outcome:
    return Outcome(True, _text({"ok": True}, output, truncated), seconds)


def failed(error: str, seconds: float = 0.0, output: str = "", truncated: bool = False) -> Outcome:
    """`error` without a full stop, such as "exit code 3" or "the user said no"."""
    return Outcome(False, _text({"ok": False, "error": error}, output, truncated), seconds)


def _text(fields: dict[str, Any], output: str, truncated: bool) -> str:
    fields |= {"output": output.rstrip("\n")}
    if truncated:
        fields["truncated"] = True
    return json.dumps(fields, ensure_ascii=False)

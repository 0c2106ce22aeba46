"""Which chat format a model was trained with."""

import re
from collections.abc import Iterable

from edge.bundle.manifest import ChatInfo

DEFAULT_SYSTEM = re.compile(r"<\|im_start\|>system(?:\\n|\n)(.+?)<\|im_end\|>", re.DOTALL)
TURN_ENDS = ("<|end|>", "<|im_end|>", "<|end_of_text|>")
"""Tokens that end a turn in the chat formats we know; some configs forget to list them."""


def detect_chat(vocabulary: Iterable[str], template: str | None) -> ChatInfo:
    """A format of our own when the role tokens are known, otherwise the checkpoint's template.

    ChatML is spoken by many models with rules of their own about tools, so ours is used for the plain kind only.
    """
    tokens = set(vocabulary)
    if {"<|user|>", "<|assistant|>", "<|end|>", "<|tool_call|>"} <= tokens:
        return ChatInfo("phi4")
    if {"<|start_of_role|>", "<|end_of_role|>", "<|end_of_text|>"} <= tokens:
        return ChatInfo("granite")
    if {"<|im_start|>", "<|im_end|>"} <= tokens and "tools" not in (template or ""):
        found = DEFAULT_SYSTEM.search(template or "")
        return ChatInfo("chatml", found[1] if found else "")
    return ChatInfo("jinja") if template else ChatInfo("plain")

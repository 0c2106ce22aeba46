"""A rendered prompt before tokenisation: text that is only ever text, and special tokens placed by the format."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Special:
    """One added token, named by its exact content, such as `<|end|>`."""

    content: str


@dataclass(frozen=True, slots=True)
class Text:
    """Plain text. Whatever it spells, it never becomes a special token."""

    content: str


Marker = Special | Text
"""What a vocabulary may have as one token or not at all, such as the start of a tool call."""


@dataclass(frozen=True, slots=True)
class Placeholder:
    """`count` times the same added token, to be replaced by the embeddings of what `key` names."""

    token: int
    count: int
    key: str


Part = Special | Text | Placeholder


def merge_text(parts: list[Part]) -> list[Part]:
    """The same prompt without empty texts and with neighbouring texts joined: tokens may span their border."""
    merged: list[Part] = []
    for part in parts:
        last = merged[-1] if merged else None
        if isinstance(part, Text) and isinstance(last, Text):
            merged[-1] = Text(last.content + part.content)
        elif not isinstance(part, Text) or part.content:
            merged.append(part)
    return merged

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


Part = Special | Text


def merge_text(parts: list[Part]) -> list[Part]:
    """The same prompt without empty texts and with neighbouring texts joined: tokens may span their border."""
    merged: list[Part] = []
    for part in parts:
        last = merged[-1] if merged else None
        if isinstance(part, Text) and isinstance(last, Text):
            merged[-1] = Text(last.content + part.content)
        elif part.content or isinstance(part, Special):
            merged.append(part)
    return merged

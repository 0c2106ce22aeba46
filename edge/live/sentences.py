"""Cuts text that is still being written into sentences, so that the first is spoken before the last is known."""

import re
from collections.abc import Iterable, Iterator

MAX_CHARACTERS = 400
"""A sentence that does not end within so many is cut between two words."""

# What follows a mark must be known, or the cut would depend on the pieces that the text comes in.
_MARK = re.compile(r"[.!?…]+[\"'”’»)\]*_]*(?=\s)|[。！？]+[」』”’]*(?=[^。！？」』”’])|\n")
_NO_END = re.compile(r"(?:^\W*\d+|(?<!\w)(?:[^\W\d_]|Dr|Mr|Mrs|Ms|Prof|St|Nr|bzw|ca))\Z")


def sentences(deltas: Iterable[str]) -> Iterator[str]:
    """Each sentence of the streamed text as soon as it is complete, with single spaces and none around it.

    A sentence ends at . ! ? or … before white space (so not inside 3.5), at 。！？ and at each line's end. No end is
    the dot of a list's number ("1. Open it."), of a single letter ("J. Doe", "e.g.") or of a title such as Dr. and
    Prof. What has neither letters nor digits is left out.
    """
    text = ""
    for delta in deltas:
        text += delta
        while end := _end(text):
            yield from _speakable(text[:end])
            text = text[end:]
    yield from _speakable(text)


def _end(text: str) -> int:
    """Where the first sentence of `text` ends; 0 when it may go on."""
    for mark in _MARK.finditer(text, 0, MAX_CHARACTERS):
        if mark[0] != "." or not _NO_END.search(text[: mark.start()]):
            return mark.end()
    if len(text) <= MAX_CHARACTERS:
        return 0
    return text.rfind(" ", 0, MAX_CHARACTERS) + 1 or MAX_CHARACTERS


def _speakable(text: str) -> Iterator[str]:
    if any(character.isalnum() for character in text):
        yield " ".join(text.split())

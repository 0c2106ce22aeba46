"""Embeddings that stand for placeholder tokens of a prompt."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True, eq=False)
class MediaTokens:
    """`embeddings` float32 [n, hidden] for the n tokens from `start` on.

    Equal `key`s mean equal embeddings: it names the content and everything that went into encoding it.
    """

    start: int
    key: str
    embeddings: np.ndarray

    @property
    def end(self) -> int:
        return self.start + len(self.embeddings)


def changed_media(before: Sequence[MediaTokens], after: Sequence[MediaTokens]) -> list[int]:
    """Where something else stands now: placeholder ids alone do not tell one picture from another."""
    old, new = ({one.start: one.key for one in media} for media in (before, after))
    return [start for start in old | new if old.get(start) != new.get(start)]


def media_between(media: Sequence[MediaTokens], start: int, end: int) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Embeddings [M, hidden] of the tokens [start, end) and their rows int64 [M] within; (None, None) without any."""
    parts, rows = [], []
    for one in media:
        low, high = max(start, one.start), min(end, one.end)
        if low < high:
            parts.append(one.embeddings[low - one.start : high - one.start])
            rows.append(np.arange(low - start, high - start))
    return (np.concatenate(parts), np.concatenate(rows)) if parts else (None, None)

"""Stop strings over streamed text: whatever could still become a stop string is held back."""

from collections.abc import Sequence

from edge.errors import InputError

MAX_STOPS = 64
MAX_LENGTH = 1024


class StopStrings:
    """A filter for text deltas. The answer ends before the stop string whose last character comes first."""

    def __init__(self, stops: Sequence[str]) -> None:
        """Raises InputError for an empty, overlong or too long list of stop strings."""
        if len(stops) > MAX_STOPS:
            raise InputError(f"{len(stops):,} stop strings were given, the limit is {MAX_STOPS}.", "give fewer")
        for stop in stops:
            if not 0 < len(stop) <= MAX_LENGTH:
                raise InputError(
                    f"A stop string has {len(stop):,} characters.", f"give stop strings of 1 to {MAX_LENGTH}"
                )
        self._stops = tuple(stops)
        self._held = ""
        self.hit: str | None = None
        self.rest = ""
        """After a hit, what followed the stop string in the same piece of text."""

    def feed(self, text: str) -> str:
        """The part of the text so far that is certainly answer. After a hit it is always empty."""
        if self.hit is not None:
            return ""
        text = self._held + text
        found = [(start + len(stop), start, stop) for stop in self._stops if (start := text.find(stop)) >= 0]
        if found:
            end, start, self.hit = min(found)
            self._held, self.rest = "", text[end:]
            return text[:start]
        keep = max((_overlap(text, stop) for stop in self._stops), default=0)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def flush(self) -> str:
        """What was held back, when the answer ends without a hit."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that begins `stop`."""
    for length in range(min(len(text), len(stop) - 1), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0

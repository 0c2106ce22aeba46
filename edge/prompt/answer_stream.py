"""Sampled tokens in, text for the reader out; tool calls are kept aside and read at the end."""

from collections.abc import Sequence

from edge.events import ToolCall
from edge.prompt.chat import ChatFormat
from edge.prompt.parts import Special
from edge.prompt.stop_strings import StopStrings
from edge.prompt.text_stream import TextStream
from edge.prompt.tokenizer import Tokenizer
from edge.prompt.tool_calls import parse_calls
from edge.prompt.tools import Tool


class AnswerStream:
    """One answer. With tools, everything from the opening of a call on is held back until `finish`."""

    def __init__(
        self, tokenizer: Tokenizer, chat: ChatFormat, tools: Sequence[Tool] = (), stops: Sequence[str] = ()
    ) -> None:
        """Raises InputError for unusable stop strings."""
        marker = chat.call_open
        self._marker = marker.content
        self._tools = list(tools)
        self._text = TextStream(tokenizer)
        self._stops = StopStrings(stops)
        self._open_id = tokenizer.id_of(marker.content) if tools and isinstance(marker, Special) else None
        self._open_text = StopStrings([marker.content] if tools and not isinstance(marker, Special) else [])
        self._call: str | None = None

    @property
    def stopped(self) -> bool:
        """Whether a stop string has ended the answer."""
        return self._stops.hit is not None

    def push(self, token_id: int) -> str:
        """New text of the answer, possibly empty."""
        piece = self._text.push(token_id)
        if self._call is not None:
            self._call += piece
            return ""
        if self._open_id is not None and token_id == self._open_id:
            self._call = ""
            return self._stops.flush()
        shown = self._open_text.feed(piece)
        if self._open_text.hit is None:
            return self._stops.feed(shown)
        self._call = self._open_text.rest
        return self._stops.feed(shown) + self._stops.flush()

    def finish(self) -> tuple[str, list[ToolCall]]:
        """(the last text, the calls). An opened call that is none turns out to be text, marker included."""
        end = self._text.flush()
        if self._call is None:
            return self._stops.feed(self._open_text.feed(end) + self._open_text.flush()) + self._stops.flush(), []
        calls = [] if self.stopped else parse_calls(self._call + end, self._tools)
        if calls or self.stopped:
            return "", calls
        return self._stops.feed(self._marker + self._call + end) + self._stops.flush(), []

"""Tokens in, whole UTF-8 characters out, as early as each character is certain."""

import codecs

from edge.prompt.tokenizer import Tokenizer


class TextStream:
    """Incremental detokeniser: the pieces joined equal `tokenizer.decode` of all the ids pushed."""

    def __init__(self, tokenizer: Tokenizer, skip_special: bool = True) -> None:
        self._tokenizer = tokenizer
        self._skip_special = skip_special
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._strip = tokenizer.strips_first_space

    def push(self, token_id: int) -> str:
        """The characters completed by this token. Bytes that can no longer become a character are U+FFFD."""
        if self._skip_special and self._tokenizer.is_special(token_id):
            return ""
        data = self._tokenizer.token_bytes(token_id)
        if self._strip:
            self._strip = False
            if self._tokenizer.content_of(token_id) is None:
                data = data.removeprefix(b" ")
        return self._decoder.decode(data)

    def flush(self) -> str:
        """U+FFFD for an unfinished character at the end of the answer, else nothing."""
        return self._decoder.decode(b"", final=True)

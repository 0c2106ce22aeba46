"""Text to tokens and back. Text can never become a special token; only the chat format places those."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer as Backend

from edge.errors import BundleError, InputError
from edge.prompt.parts import Marker, Part, Placeholder, Special, Text, merge_text
from edge.prompt.token_bytes import piece_decoder, strips_first_space
from edge.prompt.tokenizer_json import join_model, split_model

MAX_TOKENIZER_BYTES = 64 << 20
# Unicode White_Space, which is what Hugging Face's `rstrip` and `lstrip` flags swallow; str.isspace() has more.
_SPACE = "\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_LEADING = re.compile(f"^[{_SPACE}]+")
_TRAILING = re.compile(f"[{_SPACE}]+$")


@dataclass(frozen=True, slots=True)
class AddedToken:
    """An entry of tokenizer.json's added_tokens; `rstrip` swallows whitespace after it, `lstrip` before it."""

    id: int
    content: str
    special: bool
    lstrip: bool
    rstrip: bool


class Tokenizer:
    """One tokenizer.json. No BOS, no padding, no truncation: the ids are those of the given text only."""

    def __init__(self, tokenizer_json: str | bytes, path: Path | None = None) -> None:
        """From the file's contents; `path` lets the text be read again instead of kept. Raises BundleError."""
        try:
            data = tokenizer_json if isinstance(tokenizer_json, bytes) else tokenizer_json.encode()
            head, model = split_model(data)
            self.added = {
                t["content"]: AddedToken(t["id"], t["content"], t["special"], t["lstrip"], t["rstrip"])
                for t in head["added_tokens"]
            }
            # Without its added tokens the backend has nothing to find in user text.
            plain = head | {"added_tokens": [], "post_processor": None, "truncation": None, "padding": None}
            self._backend = self._inner = Backend.from_buffer(join_model(plain, model))
            rest = plain | {"pre_tokenizer": _not_first(head.get("pre_tokenizer"))}
            if rest != plain:
                self._inner = Backend.from_buffer(join_model(rest, model))
        except Exception as error:  # the Rust side raises bare Exception for every malformed field
            raise BundleError(f"tokenizer.json is malformed: {error}.", "edge bundle verify BUNDLE") from None
        self._data, self._path = (None if path else data), path
        self._by_id = {token.id: token for token in self.added.values()}
        unknown = getattr(self._backend.model, "unk_token", None)
        self._forbidden = {t.id for t in self.added.values() if t.content != unknown}
        self._piece_bytes = piece_decoder(head)
        self.strips_first_space = strips_first_space(head)
        size = self._backend.get_vocab_size(with_added_tokens=False)
        if size and self._backend.id_to_token(size - 1) is None:  # ids with gaps
            size = max(self._backend.get_vocab(with_added_tokens=False).values()) + 1
        self.vocab_size = max([size - 1, *self._by_id]) + 1

    @classmethod
    def from_file(cls, path: str | Path) -> "Tokenizer":
        """Reads tokenizer.json. Raises BundleError when it is missing, too large or malformed."""
        try:
            size = Path(path).stat().st_size
            if size > MAX_TOKENIZER_BYTES:
                raise BundleError(
                    f"{path} is {size:,} bytes, the limit is {MAX_TOKENIZER_BYTES:,}.", "edge bundle verify BUNDLE"
                )
            return cls(Path(path).read_bytes(), Path(path))
        except OSError as error:
            raise BundleError(f"{path} cannot be read: {error.strerror}.", "edge bundle verify BUNDLE") from None

    @property
    def json(self) -> bytes:
        """The file's contents, for libraries that build their own view of the vocabulary."""
        return self._path.read_bytes() if self._path else self._data or b""

    def encode_text(self, text: str) -> list[int]:
        """Ids of plain text; the id of an added token never occurs. Raises InputError on a lone surrogate."""
        return self._encode(text, self._backend)

    def encode_parts(self, parts: list[Part]) -> list[int]:
        """Ids of a rendered prompt. Raises BundleError for a special token that the vocabulary does not have."""
        merged = merge_text(parts)
        ids: list[int] = []
        for i, part in enumerate(merged):
            if isinstance(part, Special):
                ids.append(self._added(part).id)
                continue
            if isinstance(part, Placeholder):
                ids += [part.token] * part.count
                continue
            text = part.content
            before = merged[i - 1] if i else None
            after = merged[i + 1] if i + 1 < len(merged) else None
            if isinstance(before, Special) and self._added(before).rstrip:
                text = _LEADING.sub("", text)
            if isinstance(after, Special) and self._added(after).lstrip:
                text = _TRAILING.sub("", text)
            ids += self._encode(text, self._inner if i else self._backend)
        return ids

    def id_of(self, content: str) -> int | None:
        """Id of the added token with exactly this content."""
        token = self.added.get(content)
        return token.id if token else None

    def part_of(self, content: str) -> Marker:
        """Marker text as this vocabulary has it: one added token, or plain text."""
        return Special(content) if content in self.added else Text(content)

    def content_of(self, token_id: int) -> str | None:
        """Content of an added token, None for an ordinary one."""
        token = self._by_id.get(token_id)
        return token.content if token else None

    def is_special(self, token_id: int) -> bool:
        """Whether the file marks this id special, so that it is not part of an answer's text."""
        token = self._by_id.get(token_id)
        return token is not None and token.special

    def token_bytes(self, token_id: int) -> bytes:
        """The bytes this token contributes to the text; b"" for an id outside the vocabulary."""
        if token_id in self._by_id:
            return self._by_id[token_id].content.encode()
        piece = self._backend.id_to_token(token_id) if 0 <= token_id < self.vocab_size else None
        return b"" if piece is None else self._piece_bytes(piece)

    def decode(self, ids: Iterable[int], skip_special: bool = True) -> str:
        """Text of the ids; bytes that are not UTF-8 become U+FFFD."""
        kept = [i for i in ids if not (skip_special and self.is_special(i))]
        data = b"".join(self.token_bytes(i) for i in kept)
        if self.strips_first_space and kept and kept[0] not in self._by_id:
            data = data.removeprefix(b" ")
        return data.decode("utf-8", "replace")

    def _added(self, part: Special) -> AddedToken:
        if part.content not in self.added:
            raise BundleError(
                f"tokenizer.json has no token {part.content}, which the chat format needs.",
                "edge bundle verify BUNDLE, or export the checkpoint again",
            )
        return self.added[part.content]

    def _encode(self, text: str, backend: Backend) -> list[int]:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise InputError(
                f"The text has a lone surrogate (U+{ord(text[error.start]):04X}) at character {error.start}.",
                "give the text as valid UTF-8",
            ) from None
        ids: list[int] = backend.encode(text, add_special_tokens=False).ids
        return ids if self._forbidden.isdisjoint(ids) else self._encode_apart(text, backend)

    def _encode_apart(self, text: str, backend: Backend) -> list[int]:
        """Where the base vocabulary also reaches an added token, its text is encoded in smaller pieces."""
        encoding = backend.encode(text, add_special_tokens=False)
        ids: list[int] = []
        for token_id, (start, stop) in zip(encoding.ids, encoding.offsets, strict=True):
            if token_id not in self._forbidden:
                ids.append(token_id)
                continue
            half = (start + stop) // 2
            if half == start:
                raise InputError(
                    f"The character {text[start:stop]!r} has no plain tokens in this vocabulary.",
                    "leave it out of the text",
                )
            ids += self._encode(text[start:half], self._inner) + self._encode(text[half:stop], self._inner)
        return ids


def _not_first(node: Any) -> Any:
    """The pre-tokenizer for text that continues a prompt: `prepend_scheme: first` must not apply again."""
    if isinstance(node, list):
        return [_not_first(child) for child in node]
    if isinstance(node, dict):
        changed = {key: _not_first(value) for key, value in node.items()}
        return changed | {"prepend_scheme": "never"} if node.get("prepend_scheme") == "first" else changed
    return node

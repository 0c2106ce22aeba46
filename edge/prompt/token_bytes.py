"""The bytes each token stands for, for byte-level BPE and for sentencepiece-style vocabularies."""

import re
from collections.abc import Callable, Iterator
from typing import Any

from edge.errors import BundleError

_BYTE_PIECE = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_WORD_MARK = "\u2581"


def piece_decoder(spec: dict[str, Any]) -> Callable[[str], bytes]:
    """piece -> bytes for a tokenizer.json in parsed form. Raises BundleError for other kinds of vocabulary."""
    kinds = {node.get("type") for key in ("decoder", "pre_tokenizer") for node in _nodes(spec.get(key))}
    if "ByteLevel" in kinds:
        return _byte_level
    if kinds & {"ByteFallback", "Metaspace", "Replace"}:
        return _sentencepiece
    raise BundleError(
        "tokenizer.json is neither byte-level BPE nor sentencepiece-style.",
        "export a checkpoint with a supported tokenizer",
    )


def strips_first_space(spec: dict[str, Any]) -> bool:
    """Whether decoding drops one space at the very start, as sentencepiece-style decoders do."""
    for node in _nodes(spec.get("decoder")):
        if node.get("type") == "Strip" and node.get("start"):
            return True
        if node.get("type") == "Metaspace" and node.get("prepend_scheme", "always") != "never":
            return True
    return False


def _nodes(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        for children in (node.get("decoders"), node.get("pretokenizers")):
            for child in children or []:
                yield from _nodes(child)


def _byte_alphabet() -> dict[str, int]:
    """GPT-2's printable stand-in for each byte: itself where printable Latin-1, else from U+0100 upwards."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(0x100 + i): byte for i, byte in enumerate(rest)}


_ALPHABET = _byte_alphabet()


def _byte_level(piece: str) -> bytes:
    # Pieces from outside the alphabet are literal text, as some converted vocabularies hold.
    return b"".join(bytes([_ALPHABET[c]]) if c in _ALPHABET else c.encode() for c in piece)


def _sentencepiece(piece: str) -> bytes:
    match = _BYTE_PIECE.fullmatch(piece)
    return bytes([int(match[1], 16)]) if match else piece.replace(_WORD_MARK, " ").encode()

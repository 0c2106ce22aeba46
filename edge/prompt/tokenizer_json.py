"""tokenizer.json without parsing its model: 200,000 tokens as Python objects would cost over 100 MB for a moment."""

import json
import re
from typing import Any

# Vocabulary entries map to numbers and quotes inside strings are escaped, so only the model itself matches.
_MODEL = re.compile(rb'(?<!\\)"model"\s*:\s*(?=\{)')


def split_model(text: bytes) -> tuple[dict[str, Any], bytes]:
    """(everything but the model, the rest of the file from the model's opening brace). Raises ValueError."""
    match = _MODEL.search(text)
    if not match:
        raise ValueError("it has no model")
    head = json.loads(text[: match.start()].rstrip().removesuffix(b",") + b"}")
    if not isinstance(head, dict):
        raise ValueError("it is not an object")
    if "added_tokens" in head:
        return head, text[match.end() :]
    # A foreign writer put other keys after the model.
    spec = json.loads(text)
    return spec, json.dumps(spec.pop("model")).encode() + b"}"


def join_model(head: dict[str, Any], model: bytes) -> bytes:
    """The file again, with another head."""
    start = json.dumps(head)[:-1] + (", " if head else "") + '"model": '
    return start.encode() + model

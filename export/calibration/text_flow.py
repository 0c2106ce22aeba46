"""The flow of text: half of it prose and code, half of it conversations in the model's own format."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from itertools import chain, zip_longest
from pathlib import Path

import numpy as np

from edge.errors import BundleError, InputError
from edge.prompt.message import Message
from export.calibration.flow import Flow, Span
from export.calibration.layer import LayerMath
from export.calibration.prompts import Prompts
from export.calibration.texts import DEFAULT_MEDIA, calibration_texts

LENGTH, LEARNED, HELD_OUT = 512, 32, 4
"""Tokens of a sequence; sequences that are learned from; sequences that are only measured."""

CHATS = DEFAULT_MEDIA / "chats.jsonl"


def text_flow(prompts: Prompts, folder: Path, learn: bool = True, notes: list[str] | None = None) -> Flow:
    """Of the texts that the options name, or of the default ones; unless it is to `learn` from, with the sequences that
    are only measured alone. Raises InputError when the texts are too short, and BundleError or InputError when there
    can be no conversations; the latter goes into `notes` instead, if given."""
    plan = prompts.plan
    length, given = min(LENGTH, plan.spec.context_length), plan.options.calibration
    half = (LEARNED + HELD_OUT) // 2
    texts = [prompts.tokenizer.encode_text(text) for text in calibration_texts(given)]
    sequences = _cut(list(chain.from_iterable(texts)), half, length)
    if not sequences:
        raise InputError(f"the texts have {sum(map(len, texts)):,} tokens, {length:,} are needed", "add more texts")
    try:
        chats = _cut(list(chain.from_iterable(_chats(prompts))), half, length)
    except (BundleError, InputError) as error:
        if notes is None:
            raise
        notes.append(f"conversations are not measured: {error}")
        chats = []
    sequences = [one for pair in zip_longest(sequences, chats) for one in pair if one]
    every = max(2, len(sequences) // HELD_OUT)
    # nine, an odd number, of all: so that it is prose and conversation in turn
    chosen = [(one, number % every == every - 1) for number, one in enumerate(sequences)]
    if not learn:
        chosen = [one for one in chosen if one[1]] or [(sequences[-1], True)]
    spans = [
        Span(number * length, (number + 1) * length, held_out, tuple(sequence))
        for number, (sequence, held_out) in enumerate(chosen)
    ]
    told = json.dumps([span.ids for span in spans if span.held_out])
    flow = Flow(folder, "text", LayerMath(plan.spec), spans, hashlib.sha256(told.encode()).hexdigest())
    if not any(flow.reached(layer) for layer in range(plan.spec.layers + 1)):
        flow.begin(prompts.embedded([token for span in spans for token in span.ids]))
    return flow


def _chats(prompts: Prompts) -> Iterator[list[int]]:
    for line in CHATS.read_text("utf-8").splitlines():
        messages = [Message(one["role"], one["content"]) for one in json.loads(line)["messages"]]
        yield prompts.conversation(messages)


def _cut(ids: Sequence[int], count: int, length: int) -> list[list[int]]:
    """`count` sequences spread evenly over `ids`; fewer if there are not so many."""
    whole = len(ids) // length
    chosen = np.linspace(0, whole - 1, min(count, whole)).astype(int)
    return [list(ids[place * length : (place + 1) * length]) for place in chosen.tolist()]

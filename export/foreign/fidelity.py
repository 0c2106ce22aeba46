"""What a traced decoder lost in our formats: both graphs read the same text, token by token."""

import hashlib
import json
import time
from itertools import chain

import numpy as np

from edge.bundle.bundle import Bundle
from edge.errors import CheckpointError
from edge.foreign.decoder import ForeignDecoder
from edge.foreign.texts import TOKENIZER
from edge.prompt.tokenizer import Tokenizer
from edge.runtime.decoding import Decoding
from edge.runtime.sampling import log_probabilities
from export.calibration.fidelity import Fidelity, ModeFidelity, mode_fidelity
from export.calibration.predictions import Predictions
from export.calibration.text_flow import HELD_OUT, LENGTH
from export.calibration.texts import calibration_texts

ROWS = 32
"""Tokens read at once: their logits, twice, are all that is in memory of a long text."""


def measure(traced: Bundle, written: Bundle) -> Fidelity:
    """Over the default calibration texts, which nothing was calibrated with. Layers are not looked into. Raises
    ResourceError."""
    started = time.monotonic()
    tokenizer = Tokenizer.from_file(written.file(TOKENIZER))
    ids = list(chain.from_iterable(tokenizer.encode_text(text) for text in calibration_texts()))
    length = min(LENGTH, traced.manifest.decoder.context_length)
    starts = np.linspace(0, max(0, len(ids) - length - 1), HELD_OUT).astype(int)
    pieces = [ids[start : start + length] for start in starts.tolist()]
    exact, seen = (ForeignDecoder.load(bundle) for bundle in (traced, written))
    parts = [part for piece in pieces for part in _compare(exact, seen, piece)]
    whole = Predictions(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
    data = hashlib.sha256(json.dumps(pieces).encode()).hexdigest()
    mode = mode_fidelity(whole, [len(piece) for piece in pieces], [], {}, data)
    return Fidelity("", {"text": mode}, {}, [], time.monotonic() - started)


def check(mode: ModeFidelity, max_kl: float) -> None:
    """Raises CheckpointError when more than `max_kl` nats a token were lost."""
    if not mode.kl <= max_kl:  # nan is too much as well
        raise CheckpointError(
            f"the bundle would lose too much: KL {mode.kl:.3f} nats a token, {max_kl:g} are allowed",
            "export with --block 32 or --bits 8, or allow more with --max-kl",
        )


def _compare(exact: Decoding, seen: Decoding, ids: list[int]) -> list[tuple[np.ndarray, ...]]:
    """Columns of `Predictions` for consecutive pieces of `ids`."""
    for decoder in (exact, seen):
        decoder.rewind(0)
        decoder.reserve(len(ids))
    found = []
    for at in range(0, len(ids), ROWS):
        part = ids[at : at + ROWS]
        following = np.array([*ids[at + 1 : at + 1 + ROWS], -1][: len(part)])
        p, q = (_log_probabilities(decoder, part) for decoder in (exact, seen))
        rows = np.arange(len(part))
        true = [np.where(following < 0, np.nan, one[rows, following]) for one in (p, q)]
        found.append(((np.exp(p) * (p - q)).sum(axis=1), *true, p.argmax(axis=1) == q.argmax(axis=1)))
    return found


def _log_probabilities(decoder: Decoding, ids: list[int]) -> np.ndarray:
    return np.stack([log_probabilities(row) for row in decoder.prefill(ids, rows=np.arange(len(ids)))])

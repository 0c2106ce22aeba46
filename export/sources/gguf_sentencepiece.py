"""A SentencePiece BPE vocabulary (tokenizer.ggml.model "llama"), which has scores instead of merges.

SentencePiece joins the neighbours whose union has the best score, the leftmost first. As a list of merges: every
way to put a token together from two tokens, ordered by the score of the result.
"""

import numpy as np
from tokenizers import Tokenizer, decoders, models, normalizers

from edge.errors import CheckpointError
from export.sources.gguf_config import Metadata
from export.sources.gguf_header import DAMAGED_HINT

_NORMAL, _UNKNOWN, _UNUSED = 1, 2, 5
_SPACE = "\u2581"


def sentencepiece_model(meta: Metadata, tokens: list[str], kinds: list[int]) -> Tokenizer:
    """Raises CheckpointError where scores are missing, or the 256 byte tokens that stand for unknown characters."""
    scores = meta.values.get("tokenizer.ggml.scores")
    if not isinstance(scores, np.ndarray) or scores.shape != (len(tokens),) or not np.isfinite(scores).all():
        raise CheckpointError(f"{meta.where}: the token scores do not fit the token list", DAMAGED_HINT)
    vocab = {text: i for i, text in enumerate(tokens) if kinds[i] != _UNUSED}
    if any(f"<0x{byte:02X}>" not in vocab for byte in range(256)):
        raise CheckpointError(
            f"{meta.where} has a SentencePiece vocabulary without byte tokens, which is not supported",
            "export from the Hugging Face directory of the model instead",
        )
    pieces = {text: i for text, i in vocab.items() if kinds[i] == _NORMAL}
    unknown = next((text for text, i in vocab.items() if kinds[i] == _UNKNOWN), None)
    tokenizer = Tokenizer(
        models.BPE(vocab, _merges(pieces, scores), byte_fallback=True, fuse_unk=True, unk_token=unknown)
    )
    steps: list[normalizers.Normalizer] = [normalizers.Replace(" ", _SPACE)]
    undo: list[decoders.Decoder] = [decoders.Replace(_SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    if meta.values.get("tokenizer.ggml.add_space_prefix", True):
        steps.insert(0, normalizers.Prepend(_SPACE))
        undo.append(decoders.Strip(" ", 1, 0))
    tokenizer.normalizer = normalizers.Sequence(steps)
    tokenizer.decoder = decoders.Sequence(undo)
    return tokenizer


def _merges(pieces: dict[str, int], scores: np.ndarray) -> list[tuple[str, str]]:
    found = []
    for text, i in pieces.items():
        for cut in range(1, len(text)):
            left, right = text[:cut], text[cut:]
            if left in pieces and right in pieces:
                found.append((-float(scores[i]), i, cut, left, right))
    found.sort()
    return [(left, right) for *_, left, right in found]

"""A stand-in for a model: random allowed tokens, or a given text, driven through a constraint."""

import numpy as np

from edge.prompt.constraint import Constraint, GrammarVocab
from tests.prompt.small_tokenizers import tokenizer

STOPS = {
    "phi4": ["<|end|>", "<|endoftext|>"],
    "chatml": ["<|im_end|>"],
    "thinking": ["<|im_end|>"],
    "granite": ["<|end_of_text|>"],
}
PADDING_ROWS = 37


def vocab(name: str) -> GrammarVocab:
    subject = tokenizer(name)
    return GrammarVocab(subject, [subject.id_of(stop) or 0 for stop in STOPS[name]])


def allowed(constraint: Constraint, grammar_vocab: GrammarVocab) -> np.ndarray:
    logits = np.zeros(grammar_vocab.tokenizer.vocab_size + PADDING_ROWS, np.float32)
    constraint.apply(logits)
    return np.nonzero(np.isfinite(logits))[0]


def sample(
    constraint: Constraint, grammar_vocab: GrammarVocab, rng: np.random.Generator, limit: int = 600, forced: str = ""
) -> list[int] | None:
    """Ids without the stop token, or None when `limit` tokens did not finish. `forced` is written first."""
    ids = grammar_vocab.tokenizer.encode_text(forced)
    for token in ids:
        constraint.accept(token)
    while len(ids) < limit:
        choices = allowed(constraint, grammar_vocab)
        assert len(choices), "nothing is allowed"
        # Quotes and brackets first: uniform choice would rarely end a string.
        ending = [t for t in choices if grammar_vocab.tokenizer.token_bytes(int(t)).strip()[:1] in (b'"', b"}", b"]")]
        pool = ending if ending and rng.random() < 0.3 else choices
        token = int(rng.choice(pool))
        constraint.accept(token)
        if token in grammar_vocab.stop:
            assert constraint.finished
            return ids
        ids.append(token)
    return None

"""The tokenizer: a small byte-level BPE with Phi-4's special tokens, learned from what is said to the terminal."""

from collections.abc import Iterator

import numpy as np
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from benchmarks.terminal.language.text_turns import draw_text_turn
from edge.prompt.tool_calls import dump_calls
from edge.prompt.tools import to_phi_json

SIZE = 1024
SPECIAL = (
    "<|endoftext|>", "<|endoftext10|>", "<|endoftext11|>", "<|endofprompt|>", "<|assistant|>", "<|end|>", "<|user|>",
    "<|system|>", "<|tool|>", "<|/tool|>", "<|tool_call|>", "<|/tool_call|>", "<|tool_response|>", "<|tag|>",
)  # fmt: skip
IMAGE, AUDIO = "<|endoftext10|>", "<|endoftext11|>"
# single figures, so that a number reads as it is displayed; words with the space before them
_PIECES = r"\p{N}| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+"


def learn_vocabulary(turns: int = 20_000, seed: int = 1) -> Tokenizer:
    """Merges learned from `turns` text turns; the special tokens have the last ids."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=SIZE - len(SPECIAL),
        min_frequency=4,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(turns, seed), trainer)
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL])
    return tokenizer


def _texts(turns: int, seed: int) -> Iterator[str]:
    rng = np.random.default_rng(seed)
    for _ in range(turns):
        turn = draw_text_turn(rng)
        yield turn.prompt
        yield dump_calls(turn.calls) if turn.calls else turn.answer
        if turn.tools:
            yield to_phi_json(list(turn.tools))

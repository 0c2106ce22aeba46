"""Constrained decoding: at each step, only tokens that keep the output on its grammar stay possible."""

import json
import re
from functools import cached_property
from typing import Any

import numpy as np
from llguidance import LLMatcher, LLParserLimits, LLTokenizer

from edge.errors import InputError
from edge.prompt.tokenizer import Tokenizer
from edge.prompt.tokenizer_json import join_model, split_model

# A grammar step may cost this much before it is an error; the defaults suit servers with many cores.
LIMITS = LLParserLimits(max_lexer_states=50_000, verbose_errors=False)
_MARKER = re.compile(r"<\|.+\|>")


class GrammarVocab:
    """A tokenizer as the grammar engine sees it. Costly for 200k tokens: build one per loaded bundle."""

    def __init__(self, tokenizer: Tokenizer, stop: list[int]) -> None:
        """`stop` are the ids that end an answer; a grammar allows them only where its output is complete."""
        self.tokenizer = tokenizer
        self.stop = stop

    @cached_property
    def engine(self) -> LLTokenizer:
        head, model = split_model(self.tokenizer.json)
        head |= {"truncation": None, "padding": None}
        return LLTokenizer(join_model(head, model).decode(), eos_token=self.stop)

    @cached_property
    def text_tokens(self) -> list[int]:
        """Added tokens like `<think>` that belong to the text, though the engine takes any `<…>` for special."""
        return [
            token.id
            for token in self.tokenizer.added.values()
            if not token.special and not _MARKER.fullmatch(token.content) and self.engine.is_special_token(token.id)
        ]


class Constraint:
    """One answer's progress through a grammar."""

    def __init__(self, vocab: GrammarVocab, grammar: str) -> None:
        """`grammar` in llguidance's Lark form. Raises InputError when it does not compile."""
        self._matcher = LLMatcher(vocab.engine, grammar, log_level=0, limits=LIMITS)
        self._stop = frozenset(vocab.stop)
        self._ended = False
        self._check()

    def apply(self, logits: np.ndarray) -> None:
        """Sets the logits [V] float32 of forbidden tokens to -inf, in place.

        V may exceed the vocabulary: padding rows are forbidden. Raises InputError when the grammar gets too complex.
        """
        mask = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
        self._check()
        allowed = np.unpackbits(mask, bitorder="little", count=min(len(logits), 8 * len(mask)))
        logits[: len(allowed)][allowed == 0] = -np.inf
        logits[len(allowed) :] = -np.inf

    def accept(self, token: int) -> None:
        """Moves on by one sampled token. Raises InputError for a token that `apply` had forbidden."""
        if token in self._stop and self.may_stop:
            self._ended = True
            return
        self._matcher.consume_token(token)
        self._check()

    @property
    def may_stop(self) -> bool:
        """Whether the output so far is complete."""
        return bool(self._matcher.is_accepting())

    @property
    def finished(self) -> bool:
        """Whether nothing but a stop token can follow, or one has been accepted."""
        return self._ended or bool(self._matcher.is_stopped())

    def _check(self) -> None:
        if self._matcher.is_error():
            reason = self._matcher.get_error().splitlines()[0][:300]
            raise InputError(f"Constrained output cannot go on: {reason}.", "simplify the schema")


def json_rule(schema: dict[str, Any] | bool) -> str:
    """A grammar expression for JSON on one line; one space at most after `,` and `:`, so no endless whitespace."""
    options = {"whitespace_flexible": False, "item_separator": ", ?", "key_separator": ": ?"}
    body = {"allOf": [schema]} if isinstance(schema, bool) else schema
    return "%json " + json.dumps({**body, "x-guidance": options})

"""A stand-in for Phi-4-mini's tokenizer: byte-level BPE with as many tokens and the same special ids.

The real files are not to be had offline, and load times compare only if each engine reads a vocabulary of
that size.
"""

import json
import random
from pathlib import Path
from typing import Any

FIRST_SPECIAL = 199999
VOCAB = 200064

SPECIAL = {
    199999: "<|endoftext|>",
    200010: "<|endoftext10|>",
    200011: "<|endoftext11|>",
    200018: "<|endofprompt|>",
    200019: "<|assistant|>",
    200020: "<|end|>",
    200021: "<|user|>",
    200022: "<|system|>",
    200023: "<|tool|>",
    200024: "<|/tool|>",
    200025: "<|tool_call|>",
    200026: "<|/tool_call|>",
    200027: "<|tool_response|>",
    200028: "<|tag|>",
}
RSTRIP = {200019, 200020, 200021, 200022}
PLAIN = set(range(200023, 200029))
"""Tool markers are added tokens that survive `skip_special_tokens`."""

CHAT_TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}"
    "{% if m['role'] == 'system' and m['tools'] %}<|tool|>{{ m['tools'] }}<|/tool|>{% endif %}<|end|>"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% else %}{{ eos_token }}{% endif %}"
)

SPLIT = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def byte_alphabet() -> list[str]:
    """One printable character per byte value, in the byte-level BPE's customary assignment."""
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    spare = iter(range(256, 512))
    return [chr(byte if byte in printable else next(spare)) for byte in range(256)]


def bpe_vocabulary(size: int, seed: int = 0) -> tuple[list[str], list[tuple[str, str]]]:
    """`size` distinct tokens of at most 16 characters, and the merges that make all but the first 256."""
    tokens = byte_alphabet()
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    parts = [*letters, tokens[ord(" ")]]
    seen = set(tokens)
    merges: list[tuple[str, str]] = []
    choose = random.Random(seed)
    while len(tokens) < size:
        left, right = choose.choice(parts), choose.choice(letters if len(parts) < 2000 else parts)
        word = left + right
        if word in seen:
            continue
        seen.add(word)
        merges.append((left, right))
        tokens.append(word)
        if len(word) <= 8:
            parts.append(word)
    return tokens, merges


def tokenizer_json(tokens: list[str], merges: list[tuple[str, str]]) -> dict[str, Any]:
    """tokenizer.json of the `tokenizers` library."""
    added = [
        {
            "id": token_id,
            "content": text,
            "single_word": False,
            "lstrip": False,
            "rstrip": token_id in RSTRIP,
            "normalized": False,
            "special": token_id not in PLAIN,
        }
        for token_id, text in SPECIAL.items()
    ]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    split = {"type": "Split", "pattern": {"Regex": SPLIT}, "behavior": "Isolated", "invert": False}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, byte_level]},
        "post_processor": None,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "",
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {token: index for index, token in enumerate(tokens)}
            | {text: token_id for token_id, text in SPECIAL.items()},
            "merges": [list(pair) for pair in merges],
        },
    }


def write_tokenizer(directory: Path) -> None:
    """tokenizer.json and tokenizer_config.json."""
    tokens, merges = bpe_vocabulary(FIRST_SPECIAL)
    text = json.dumps(tokenizer_json(tokens, merges), ensure_ascii=False)
    (directory / "tokenizer.json").write_text(text, encoding="utf-8")
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "add_bos_token": False,
        "add_eos_token": False,
        "add_prefix_space": False,
        "bos_token": SPECIAL[199999],
        "eos_token": SPECIAL[199999],
        "pad_token": SPECIAL[199999],
        "unk_token": SPECIAL[199999],
        "model_max_length": 131072,
        "clean_up_tokenization_spaces": False,
        "chat_template": CHAT_TEMPLATE,
    }
    (directory / "tokenizer_config.json").write_text(json.dumps(config, indent=1))

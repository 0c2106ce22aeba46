"""Small real tokenizers, trained here, with the added tokens and flags of the models they stand for."""

from functools import cache

from tokenizers import AddedToken, Regex, decoders, models, pre_tokenizers, trainers
from tokenizers import Tokenizer as Backend

from edge.prompt.tokenizer import Tokenizer

CORPUS = [
    "The capital of France is Paris. What is the weather in Paris, France today?",
    '[{"name": "get_weather", "arguments": {"city": "Paris", "days": 3, "unit": "celsius"}}]',
    "def main(): return 0  # naïve café – 東京 🙂 <|end|> <|im_end|> tool_call im_start user system assistant\n",
    'We call it: <tool_call>[{"name": "get_weather", "arguments": {}}]</tool_call>',
] * 8

# (content, special, rstrip) as in Phi-4-mini's tokenizer.json.
PHI4_ADDED = [
    ("<|endoftext|>", True, False),
    ("<|endoftext10|>", True, False),
    ("<|assistant|>", True, True),
    ("<|end|>", True, True),
    ("<|user|>", True, True),
    ("<|system|>", True, True),
    ("<|tool|>", False, True),
    ("<|/tool|>", False, True),
    ("<|tool_call|>", False, True),
    ("<|/tool_call|>", False, True),
    ("<|tool_response|>", False, True),
]
CHATML_ADDED = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<repo_name>"]
GRANITE_ADDED = ["<|end_of_text|>", "<|start_of_role|>", "<|end_of_role|>", "<|tool_call|>"]


def _byte_level(split: bool, specials: list[str]) -> Backend:
    backend = Backend(models.BPE())
    levels: list[pre_tokenizers.PreTokenizer] = [pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=not split)]
    if split:
        words = Regex(r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s+(?!\S)|\s+")
        levels.insert(0, pre_tokenizers.Split(words, "isolated"))
    else:
        levels.insert(0, pre_tokenizers.Digits(individual_digits=True))
    backend.pre_tokenizer = pre_tokenizers.Sequence(levels)
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=500, initial_alphabet=alphabet, special_tokens=specials, show_progress=False
    )
    backend.train_from_iterator(CORPUS, trainer)
    return backend


@cache
def phi4_backend() -> Backend:
    backend = _byte_level(True, [])
    for content, special, rstrip in PHI4_ADDED:
        backend.add_tokens([AddedToken(content, special=special, rstrip=rstrip, normalized=False)])
    return backend


@cache
def chatml_backend() -> Backend:
    """Added tokens first, and in the base vocabulary too, as in SmolLM2's file."""
    return _byte_level(False, CHATML_ADDED)


@cache
def thinking_backend() -> Backend:
    """ChatML with added tokens that the file does not call special, as in Qwen3's."""
    backend = _byte_level(False, CHATML_ADDED)
    backend.add_tokens(
        [AddedToken(c, normalized=False) for c in ("<tool_call>", "</tool_call>", "<think>", "</think>")]
    )
    return backend


@cache
def granite_backend() -> Backend:
    backend = _byte_level(False, [])
    backend.add_special_tokens(GRANITE_ADDED)
    return backend


@cache
def sentencepiece_backend() -> Backend:
    """Llama-2-like: byte fallback, word marks, a prefix space at the very start only."""
    backend = Backend(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    backend.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    special = ["<unk>", "<s>", "</s>"]
    raw = [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(vocab_size=600, special_tokens=special + raw, show_progress=False)
    backend.train_from_iterator([line.replace("🙂", "") for line in CORPUS], trainer)
    # The byte pieces are ordinary vocabulary in real files, not added tokens.
    import json

    spec = json.loads(backend.to_str())
    spec["added_tokens"] = [token for token in spec["added_tokens"] if token["content"] in special]
    return Backend.from_str(json.dumps(spec))


@cache
def unigram_backend() -> Backend:
    """Its base vocabulary spells the added tokens, so that plain segmentation would reach them."""
    letters = [chr(c) for c in range(0x20, 0x7F)]
    vocab = [("<unk>", -20.0), ("<|end|>", -1.0), ("<|user|>", -1.0)] + [(c, -5.0) for c in letters]
    backend = Backend(models.Unigram(vocab, unk_id=0, byte_fallback=False))
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never", split=False)
    backend.decoder = decoders.Metaspace(prepend_scheme="never")
    backend.add_special_tokens(["<|end|>", "<|user|>"])
    return backend


@cache
def tokenizer(name: str) -> Tokenizer:
    backends = {
        "phi4": phi4_backend,
        "chatml": chatml_backend,
        "thinking": thinking_backend,
        "granite": granite_backend,
        "sentencepiece": sentencepiece_backend,
        "unigram": unigram_backend,
    }
    return Tokenizer(backends[name]().to_str())

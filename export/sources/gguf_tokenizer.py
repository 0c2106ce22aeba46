"""The vocabulary of a GGUF file as a tokenizer of the `tokenizers` library.

GGUF stores tokens, kinds and merges, but of the way text is cut into words before merging only a name
(tokenizer.ggml.pre). An unknown name is refused: a wrong cut gives wrong ids that nobody notices.
"""

import numpy as np
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors
from tokenizers.pre_tokenizers import PreTokenizer

from edge.errors import CheckpointError
from export.sources.gguf_config import Metadata
from export.sources.gguf_header import DAMAGED_HINT
from export.sources.gguf_sentencepiece import sentencepiece_model

UNKNOWN, CONTROL, USER_DEFINED, UNUSED = 2, 3, 4, 5
"""Values of tokenizer.ggml.token_type that change how a token is treated."""

_CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_SPACES = r"\s*[\r\n]+|\s+(?!\S)|\s+"

_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_LLAMA3 = rf"{_CONTRACTION}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{{1,3}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|{_SPACES}"
_O200K = "|".join(
    [
        rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+{_CONTRACTION}?",
        rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*{_CONTRACTION}?",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
        _SPACES,
    ]
)

_CUTS: dict[str, tuple[str, ...]] = {
    "gpt-2": (_GPT2,),
    "smollm": (r"\p{N}", _GPT2),
    "llama-bpe": (_LLAMA3,),
    "gpt-4o": (_O200K,),
    "default": (r"[\p{P}\$\+<=>\^~\|]+", _GPT2, r"\p{N}+", "[0-9][0-9][0-9]"),
}
"""Regular expressions applied one after the other; each cuts the pieces that the one before left."""

_PHI3_PLAIN = {"<unk>", "<s>", "<|endoftext|>"}
_PHI4_ROLE = {"<|end|>", "<|user|>", "<|assistant|>", "<|system|>"}
_PHI4_TOOL = {"<|tool|>", "<|/tool|>", "<|tool_call|>", "<|/tool_call|>", "<|tool_response|>", "<|tag|>"}


def tokenizer_json(meta: Metadata, architecture: str, vocab_size: int) -> bytes:
    """Raises CheckpointError where the vocabulary is missing, inconsistent, or of a kind that is not supported."""
    model = meta.text("tokenizer.ggml.model")
    if model is None:
        raise CheckpointError(f"{meta.where} holds no tokenizer", "convert the model again with llama.cpp")
    if model not in ("gpt2", "llama"):
        raise CheckpointError(
            f"{meta.where} has a tokenizer of the kind {model!r}; gpt2 and llama are supported",
            "export from the Hugging Face directory of the model instead",
        )
    tokens, kinds = _tokens(meta, vocab_size)
    pre = meta.text("tokenizer.ggml.pre")
    if model == "gpt2":
        tokenizer = _byte_level(meta, tokens, kinds, pre)
    else:
        tokenizer = sentencepiece_model(meta, tokens, kinds)
    tokenizer.add_tokens(
        [
            _added_token(text, kind, architecture, model)
            for text, kind in zip(tokens, kinds, strict=True)
            if text and kind in (UNKNOWN, CONTROL, USER_DEFINED)
        ]
    )
    _add_ends(meta, tokenizer, tokens, bos=model == "llama" or pre == "llama-bpe")
    # the library may have moved an id if the vocabulary was inconsistent in a way not foreseen above
    moved = [i for i, text in enumerate(tokens) if kinds[i] != UNUSED and tokenizer.token_to_id(text) != i]
    if moved:
        raise CheckpointError(f"{meta.where}: the token {tokens[moved[0]]!r} cannot keep its id", DAMAGED_HINT)
    text: str = tokenizer.to_str()
    return text.encode()


def _tokens(meta: Metadata, vocab_size: int) -> tuple[list[str], list[int]]:
    tokens = meta.values.get("tokenizer.ggml.tokens")
    if not isinstance(tokens, list) or not 0 < len(tokens) <= vocab_size:
        raise CheckpointError(
            f"{meta.where}: the token list does not fit the {vocab_size} rows of the embedding", DAMAGED_HINT
        )
    kinds = meta.values.get("tokenizer.ggml.token_type")
    if not isinstance(kinds, np.ndarray) or kinds.shape != (len(tokens),) or kinds.dtype.kind not in "iu":
        raise CheckpointError(f"{meta.where}: the token types do not fit the token list", DAMAGED_HINT)
    if len(set(tokens)) != len(tokens):
        raise CheckpointError(f"{meta.where}: a token occurs twice in the vocabulary", DAMAGED_HINT)
    return tokens, kinds.tolist()


def _byte_level(meta: Metadata, tokens: list[str], kinds: list[int], pre: str | None) -> Tokenizer:
    if pre not in _CUTS:
        known = ", ".join(_CUTS)
        raise CheckpointError(
            f"{meta.where} cuts words in the way {pre!r} (tokenizer.ggml.pre); supported are {known}",
            "convert the model again with a current llama.cpp, or export from its Hugging Face directory",
        )
    vocab = {text: i for i, text in enumerate(tokens) if kinds[i] != UNUSED}
    stored = meta.values.get("tokenizer.ggml.merges")
    if not isinstance(stored, list):
        raise CheckpointError(f"{meta.where} holds no merges for its vocabulary", DAMAGED_HINT)
    merges: list[tuple[str, str]] = []
    for merge in stored:
        left, _, right = str(merge).partition(" ")
        if left not in vocab or right not in vocab or left + right not in vocab:
            raise CheckpointError(f"{meta.where}: the merge {merge!r} is not of tokens in the vocabulary", DAMAGED_HINT)
        merges.append((left, right))
    # Llama 3 takes a word that is a token as it is, even where no chain of merges leads to it
    tokenizer = Tokenizer(models.BPE(vocab, merges, ignore_merges=pre == "llama-bpe"))
    tokenizer.pre_tokenizer = _word_cutter(pre)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _word_cutter(pre: str) -> PreTokenizer:
    steps = [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in _CUTS[pre]]
    return pre_tokenizers.Sequence([*steps, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def _added_token(text: str, kind: int, architecture: str, model: str) -> AddedToken:
    """Control tokens become special added tokens, user-defined ones plain added tokens.

    GGUF has no flags, so Phi's are set as its own tokenizer.json has them: role and tool tokens swallow the
    whitespace that follows, and Phi-4's tool tokens are not special (they stay in decoded text).
    """
    special, rstrip = kind != USER_DEFINED, False
    if architecture == "phi3" and model == "llama":
        rstrip = text not in _PHI3_PLAIN
    elif architecture == "phi3":
        rstrip = text in _PHI4_ROLE | _PHI4_TOOL
        special = special and text not in _PHI4_TOOL
    return AddedToken(text, special=special, normalized=False, rstrip=rstrip)


def _add_ends(meta: Metadata, tokenizer: Tokenizer, tokens: list[str], bos: bool) -> None:
    """What `encode` puts around a text by default; `bos` is the habit of this kind of vocabulary."""
    template, special = ["$A"], []
    for name, default in (("bos", bos), ("eos", False)):
        i = meta.token(name, len(tokens))
        if meta.values.get(f"tokenizer.ggml.add_{name}_token", default) and i is not None:
            template.insert(0 if name == "bos" else len(template), tokens[i])
            special.append((tokens[i], i))
    if special:
        tokenizer.post_processor = processors.TemplateProcessing(single=template, pair=None, special_tokens=special)

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from edge.errors import CheckpointError
from export.sources.gguf_file import GgufCheckpoint
from tests.export.gguf_files import VOCAB, llama_weights, phi3_weights, write_gguf

TEXTS = [
    "Hello  world, it's 2024 and 12345.67 don't WE'LL",
    "def f(x):\n    return x  # tab\there\r\n\r\n\n  ",
    "naïve café Ünïcode e\u0301 日本語 한국어 العربية हिन्दी",
    "emoji 😀👍🏽👩‍👩‍👧‍👦🇩🇪 ½ ² Ⅷ ٣ \u00a0\u3000 end",
    "CamelCaseHTTPServer snake_case a/b\\c <|im_end|> {}[]",
    "",
    " ",
    "\n\n\n",
]


def loaded(path: Path, tokenizer: dict[str, Any], phi: bool = False) -> Tokenizer:
    weights = phi3_weights(16) if phi else llama_weights()
    metadata = {"rope.scaling.original_context_length": 64} if phi else {}
    checkpoint = GgufCheckpoint(
        write_gguf(path / "m.gguf", weights, metadata, "phi3" if phi else "llama", tokenizer=tokenizer)
    )
    return Tokenizer.from_str(checkpoint.tokenizer_json().decode())


def trained(cutter: pre_tokenizers.PreTokenizer, size: int = VOCAB - 8) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = cutter
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(TEXTS * 3, trainer)
    return tokenizer


def as_gguf(tokenizer: Tokenizer, pre: str, control: tuple[str, ...] = ()) -> dict[str, Any]:
    vocab = tokenizer.get_vocab(with_added_tokens=False)
    tokens = sorted(vocab, key=lambda text: vocab[text]) + list(control)
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    return {
        "ggml.model": "gpt2",
        "ggml.pre": pre,
        "ggml.tokens": tokens,
        "ggml.token_type": [1] * len(vocab) + [3] * len(control),
        "ggml.merges": [" ".join(merge) for merge in merges],
    }


GPT2 = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
SMOLLM = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), GPT2])


@pytest.mark.parametrize(("pre", "cutter"), [("gpt-2", GPT2), ("smollm", SMOLLM)])
def test_ids_are_those_of_the_tokenizer_the_file_was_made_from(
    tmp_path: Path, pre: str, cutter: pre_tokenizers.PreTokenizer
) -> None:
    original = trained(cutter)
    found = loaded(tmp_path, as_gguf(original, pre))
    for text in TEXTS:
        assert found.encode(text).ids == original.encode(text).ids
        assert found.decode(found.encode(text).ids) == text


CUTS = {
    # contractions in any case, at most three digits, one leading sign joins a word, line ends join signs
    "llama-bpe": {
        "it's IT'S 12345": ["it", "'s", " IT", "'S", " ", "123", "45"],
        "(word) a.b...\n\nx": ["(word", ")", " a", ".b", "...\n\n", "x"],
        "a  b \n c": ["a", " ", " b", " \n", " c"],
        "日本語1": ["日本語", "1"],
    },
    # capitals begin a word, contractions stay with it, signs take slashes along
    "gpt-4o": {
        "it's HTTPServer CamelCase": ["it's", " HTTPServer", " Camel", "Case"],
        "aB ÀÉx 12345": ["a", "B", " ÀÉx", " ", "123", "45"],
        "e\u0301tude हिन्दी": ["e\u0301tude", " हिन्दी"],
        "http://x/y //\n": ["http", "://", "x", "/y", " //\n"],
        "a  b\n\n c": ["a", " ", " b", "\n\n", " c"],
    },
    "gpt-2": {"it's IT'S 12345 a  b": ["it", "'s", " IT", "'", "S", " 12345", " a", " ", " b"]},
    "smollm": {"it's 12345 ½": ["it", "'s", " ", "1", "2", "3", "4", "5", " ", "½"]},
    "default": {"a+b 12345, x": ["a", "+", "b", " ", "123", "45", ",", " x"]},
}


@pytest.mark.parametrize("pre", CUTS)
def test_text_is_cut_into_words_as_the_name_of_the_rule_says(tmp_path: Path, pre: str) -> None:
    found = loaded(tmp_path, as_gguf(trained(GPT2), pre))
    for text, expected in CUTS[pre].items():
        spans = [span for _, span in found.pre_tokenizer.pre_tokenize_str(text)]
        assert [text[start:end] for start, end in spans] == expected


def test_llama_3_takes_a_whole_word_that_no_merge_reaches(tmp_path: Path) -> None:
    stored = as_gguf(trained(GPT2), "llama-bpe", ("Ġzyxwv",))
    stored["ggml.token_type"][-1] = 1
    assert loaded(tmp_path, stored).encode(" zyxwv").tokens == ["Ġzyxwv"]
    stored["ggml.pre"] = "gpt-2"
    assert len(loaded(tmp_path, stored).encode(" zyxwv").tokens) > 1


def test_a_beginning_token_is_added_only_where_the_file_or_its_kind_says_so(tmp_path: Path) -> None:
    stored = as_gguf(trained(GPT2), "llama-bpe", ("<|begin|>", "<|end|>"))
    begin = len(stored["ggml.tokens"]) - 2
    stored |= {"ggml.bos_token_id": begin, "ggml.eos_token_id": begin + 1}
    assert loaded(tmp_path, stored).encode("a").ids[0] == begin
    assert loaded(tmp_path, stored | {"ggml.add_bos_token": False}).encode("a").ids[0] != begin
    assert loaded(tmp_path, stored | {"ggml.pre": "gpt-2"}).encode("a").ids[0] != begin
    both = loaded(tmp_path, stored | {"ggml.add_eos_token": True}).encode("a").ids
    assert (both[0], both[-1], len(both)) == (begin, begin + 1, 3)


PHI4_CONTROL = ("<|endoftext|>", "<|assistant|>", "<|end|>", "<|user|>", "<|system|>", "<|tool|>", "<|/tool|>")


def test_phi_4_role_tokens_swallow_whitespace_and_tool_tokens_are_not_special(tmp_path: Path) -> None:
    stored = as_gguf(trained(GPT2), "gpt-4o", PHI4_CONTROL)
    stored["ggml.bos_token_id"] = stored["ggml.eos_token_id"] = stored["ggml.tokens"].index("<|endoftext|>")
    found = loaded(tmp_path, stored, phi=True)
    flags: dict[str, AddedToken] = {token.content: token for token in found.get_added_tokens_decoder().values()}
    assert {text for text, token in flags.items() if token.rstrip} == set(PHI4_CONTROL) - {"<|endoftext|>"}
    assert {text for text, token in flags.items() if not token.special} == {"<|tool|>", "<|/tool|>"}
    assert not any(token.lstrip or token.normalized or token.single_word for token in flags.values())
    assert found.encode("<|user|>\n Hello<|end|>\n").ids == found.encode("<|user|>Hello<|end|>").ids
    assert found.encode("<|endoftext|> a").tokens == ["<|endoftext|>", "Ġa"]
    assert found.encode("a").tokens == ["a"], "Phi-4 begins without a beginning token"


def test_control_and_user_defined_tokens_are_found_in_text_and_only_control_is_special(tmp_path: Path) -> None:
    stored = as_gguf(trained(GPT2), "smollm", ("<|im_start|>", "<tool>"))
    stored["ggml.token_type"][-1] = 4
    found = loaded(tmp_path, stored)
    first = len(stored["ggml.tokens"]) - 2
    assert found.encode("<|im_start|>a<tool>").ids == [first, found.token_to_id("a"), first + 1]
    assert found.decode([first, first + 1]) == "<tool>"


def test_unused_rows_are_not_in_the_vocabulary(tmp_path: Path) -> None:
    stored = as_gguf(trained(GPT2), "gpt-2", ("<|end|>", "[PAD1]", "[PAD2]"))
    stored["ggml.token_type"][-2:] = [5, 5]
    found = loaded(tmp_path, stored)
    assert found.get_vocab_size() == len(stored["ggml.tokens"]) - 2
    assert found.token_to_id("[PAD1]") is None


def sentencepiece(**changes: Any) -> dict[str, Any]:
    """The scores do not follow the ids, so that only they can decide what is joined first."""
    pieces = ["abc", "bc", "\u2581ab", "\u2581a", "\u2581\u2581", "\u2581", "a", "b", "c", "é"]
    scores = [-4.0, -3.0, -2.0, -1.0, -5.0, -6.0, -7.0, -8.0, -9.0, -10.0]
    return {
        "ggml.model": "llama",
        "ggml.tokens": ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)] + pieces,
        "ggml.token_type": [2, 3, 3] + [6] * 256 + [1] * len(pieces),
        "ggml.scores": [0.0] * 259 + scores,
        "ggml.bos_token_id": 1,
        "ggml.eos_token_id": 2,
    } | {key.replace("__", "."): value for key, value in changes.items()}


def test_sentencepiece_joins_the_best_score_first_and_falls_back_to_bytes(tmp_path: Path) -> None:
    found = loaded(tmp_path, sentencepiece())
    assert found.encode("abc").tokens == ["<s>", "\u2581ab", "c"], "▁a is better than bc and abc"
    assert found.encode("xabc").tokens == ["<s>", "\u2581", "<0x78>", "abc"]
    assert found.encode("é€").tokens == ["<s>", "\u2581", "é", "<0xE2>", "<0x82>", "<0xAC>"]
    for text in ("abc  a é€ 😀\n", "x"):
        assert found.decode(found.encode(text).ids) == text
    bare = loaded(tmp_path, sentencepiece(ggml__add_space_prefix=False, ggml__add_bos_token=False))
    assert bare.encode("abc").tokens == ["abc"]
    assert bare.decode(bare.encode(" abc").ids) == " abc"


def test_phi_3_sentencepiece_tokens_swallow_whitespace(tmp_path: Path) -> None:
    stored = sentencepiece()
    stored["ggml.tokens"] += ["<|user|>", "<|endoftext|>"]
    stored["ggml.token_type"] += [3, 3]
    stored["ggml.scores"] += [0.0, 0.0]
    flags = loaded(tmp_path, stored, phi=True).get_added_tokens_decoder().values()
    assert {token.content for token in flags if token.rstrip} == {"<|user|>", "</s>"}


def broken(key: str, value: Any) -> dict[str, Any]:
    stored = as_gguf(trained(GPT2), "gpt-2")
    return {k: v for k, v in (stored | {key: value}).items() if v is not None}


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("ggml.pre", "viking", "viking"),
        ("ggml.pre", None, "None"),
        ("ggml.model", "t5", "t5"),
        ("ggml.model", None, "no tokenizer"),
        ("ggml.tokens", None, "token list"),
        ("ggml.tokens", ["a"] * (VOCAB + 1), "token list"),
        ("ggml.tokens", ["a"] * (VOCAB - 8), "twice"),
        ("ggml.token_type", [1, 1], "token types"),
        ("ggml.merges", None, "merges"),
        ("ggml.merges", ["a zzz"], "a zzz"),
        ("ggml.merges", ["a"], "'a'"),
        ("ggml.merges", [" "], "' '"),
    ],
)
def test_an_unknown_or_inconsistent_vocabulary_is_refused(tmp_path: Path, key: str, value: Any, named: str) -> None:
    with pytest.raises(CheckpointError, match=named) as caught:
        loaded(tmp_path, broken(key, value))
    assert caught.value.hint


@pytest.mark.parametrize(
    "change",
    [{"ggml__scores": [0.0]}, {"ggml__scores": "none"}, {"ggml__token_type": [1.5] * 269}],
)
def test_an_inconsistent_sentencepiece_vocabulary_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(CheckpointError):
        loaded(tmp_path, sentencepiece(**change))


def test_a_sentencepiece_vocabulary_without_byte_tokens_is_refused(tmp_path: Path) -> None:
    stored = sentencepiece()
    stored["ggml.tokens"][100] = "something"
    with pytest.raises(CheckpointError, match="byte tokens"):
        loaded(tmp_path, stored)

import json

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from edge.errors import BundleError, InputError
from edge.prompt.parts import Special, Text
from edge.prompt.tokenizer import Tokenizer
from tests.prompt.small_tokenizers import (
    GRANITE_ADDED,
    PHI4_ADDED,
    phi4_backend,
    sentencepiece_backend,
    tokenizer,
)

NAMES = ["phi4", "chatml", "granite", "sentencepiece", "unigram"]
SPELLINGS = [content for content, _, _ in PHI4_ADDED] + GRANITE_ADDED + ["<s>", "</s>", "<|im_end|>", "<|im_start|>"]
HOSTILE = st.lists(
    st.one_of(
        st.sampled_from(SPELLINGS),
        st.sampled_from(["<|", "|>", "end", "im_", "</", "s>", "<", ">", "|", "\n", " ", "▁", "\x00", "\u202e"]),
        st.text(st.characters(codec="ascii"), max_size=5),
    ),
    max_size=12,
).map("".join)
WORDS = st.text(st.sampled_from("abc <|>\n\t\u00a0\u3000é東🙂1."), max_size=12)


@pytest.mark.parametrize("name", NAMES)
@given(text=HOSTILE)
@settings(max_examples=150, deadline=None)
def test_no_text_ever_becomes_an_added_token(name: str, text: str) -> None:
    subject = tokenizer(name)
    added = {token.id for token in subject.added.values() if token.content != "<unk>"}
    assert added.isdisjoint(subject.encode_text(text))
    assert added.isdisjoint(subject.encode_parts([Text(text)]))


@pytest.mark.parametrize("name", ["phi4", "chatml", "granite", "sentencepiece"])
@given(text=st.one_of(st.text(), HOSTILE))
@settings(max_examples=100, deadline=None)
def test_text_survives_encoding_and_decoding(name: str, text: str) -> None:
    subject = tokenizer(name)
    if name == "sentencepiece":
        text = text.replace("▁", "").lstrip(" ")  # a word mark is a space there, and one at the start is dropped
    ids = subject.encode_text(text)
    assert subject.decode(ids) == text
    assert b"".join(map(subject.token_bytes, ids)).decode() in (text, " " + text)


@given(data=st.data(), name=st.sampled_from(["phi4", "sentencepiece"]))
@settings(max_examples=100, deadline=None)
def test_decoding_agrees_with_the_reference_library(data: st.DataObject, name: str) -> None:
    backend = {"phi4": phi4_backend, "sentencepiece": sentencepiece_backend}[name]()
    ids = data.draw(st.lists(st.integers(0, backend.get_vocab_size() - 1), max_size=20))
    ids = [i for i in ids if not tokenizer(name).is_special(i)]
    expected = backend.decode(ids)
    assume(name == "phi4" or "\ufffd" not in expected)  # there, one bad byte spoils its whole run of bytes
    assert tokenizer(name).decode(ids) == expected


@given(before=WORDS, after=WORDS, token=st.sampled_from([content for content, _, _ in PHI4_ADDED]))
@settings(max_examples=200, deadline=None)
def test_parts_give_the_ids_of_the_reference_library_with_its_whitespace_flags(
    before: str, after: str, token: str
) -> None:
    parts = [Text(before), Special(token), Text(after), Special("<|end|>"), Text("x")]
    expected = phi4_backend().encode(f"{before}{token}{after}<|end|>x", add_special_tokens=False).ids
    assert tokenizer("phi4").encode_parts(parts) == expected


@given(before=WORDS, after=WORDS)
@settings(max_examples=100, deadline=None)
def test_a_prefix_space_is_added_at_the_start_of_the_prompt_only(before: str, after: str) -> None:
    expected = sentencepiece_backend().encode(f"{before}</s>{after}", add_special_tokens=False).ids
    assert tokenizer("sentencepiece").encode_parts([Text(before), Special("</s>"), Text(after)]) == expected


def test_tokens_may_span_the_border_of_two_texts() -> None:
    subject = tokenizer("phi4")
    assert subject.encode_parts([Text("The capi"), Text(""), Text("tal")]) == subject.encode_text("The capital")


def test_an_added_token_has_its_id_and_content() -> None:
    subject = tokenizer("phi4")
    end = phi4_backend().token_to_id("<|end|>")
    assert subject.id_of("<|end|>") == end and subject.content_of(end) == "<|end|>"
    assert subject.is_special(end) and not subject.is_special(subject.id_of("<|tool_call|>") or 0)
    assert subject.id_of("end") is None
    assert subject.vocab_size == phi4_backend().get_vocab_size()


def test_decoding_leaves_out_special_tokens_unless_asked() -> None:
    subject = tokenizer("phi4")
    ids = subject.encode_parts([Text("a"), Special("<|end|>"), Special("<|tool_call|>"), Text("b")])
    assert subject.decode(ids) == "a<|tool_call|>b"
    assert subject.decode(ids, skip_special=False) == "a<|end|><|tool_call|>b"


def test_ids_outside_the_vocabulary_have_no_bytes() -> None:
    subject = tokenizer("phi4")
    assert subject.token_bytes(subject.vocab_size) == subject.token_bytes(-1) == b""


def test_a_lone_surrogate_is_refused_with_its_place() -> None:
    with pytest.raises(InputError, match=r"U\+D800.* character 2"):
        tokenizer("phi4").encode_text("ab\ud800")


def test_a_special_token_the_vocabulary_lacks_is_a_bundle_error() -> None:
    with pytest.raises(BundleError, match=r"<\|im_start\|>"):
        tokenizer("phi4").encode_parts([Special("<|im_start|>")])


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "{}", '{"model": 3}', '{"model": {"type": "BPE", "vocab": [], "merges": 1}}', "[" * 100_000],
)
def test_a_malformed_tokenizer_file_is_a_bundle_error(tmp_path, content: str) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(content)
    with pytest.raises(BundleError):
        Tokenizer.from_file(path)


def test_a_missing_or_foreign_tokenizer_file_is_a_bundle_error(tmp_path) -> None:
    with pytest.raises(BundleError, match="No such file"):
        Tokenizer.from_file(tmp_path / "tokenizer.json")
    spec = json.loads(phi4_backend().to_str()) | {"decoder": None, "pre_tokenizer": None}
    with pytest.raises(BundleError, match="neither"):
        Tokenizer(json.dumps(spec))


def test_a_file_gives_the_same_tokenizer_as_its_contents(tmp_path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(phi4_backend().to_str(), "utf-8")
    loaded = Tokenizer.from_file(path)
    assert loaded.encode_text("Paris") == tokenizer("phi4").encode_text("Paris")
    assert loaded.json == tokenizer("phi4").json

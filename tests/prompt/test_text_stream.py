from hypothesis import given, settings
from hypothesis import strategies as st

from edge.prompt.text_stream import TextStream
from tests.prompt.small_tokenizers import tokenizer

NAMES = st.sampled_from(["phi4", "chatml", "sentencepiece"])


@given(name=NAMES, data=st.data())
@settings(max_examples=200, deadline=None)
def test_the_pieces_of_any_token_sequence_join_to_its_decoding(name: str, data: st.DataObject) -> None:
    subject = tokenizer(name)
    ids = data.draw(st.lists(st.integers(0, subject.vocab_size - 1), max_size=30))
    stream = TextStream(subject)
    assert "".join([stream.push(i) for i in ids] + [stream.flush()]) == subject.decode(ids)


@given(name=NAMES, text=st.text(st.sampled_from("aé東🙂👩‍🚀 "), max_size=20))
@settings(max_examples=200, deadline=None)
def test_a_character_split_between_tokens_never_shows_a_replacement(name: str, text: str) -> None:
    subject = tokenizer(name)
    if name == "sentencepiece":
        text = text.lstrip()  # its decoder drops a space at the very start
    stream = TextStream(subject)
    shown = ""
    for token_id in subject.encode_text(text):
        shown += stream.push(token_id)
        assert text.startswith(shown)
    assert shown == text and stream.flush() == ""


def test_a_whole_character_is_shown_with_the_token_that_completes_it() -> None:
    subject = tokenizer("phi4")
    ids = subject.encode_text("🦜")
    assert len(ids) > 1
    stream = TextStream(subject)
    assert [stream.push(i) for i in ids] == [""] * (len(ids) - 1) + ["🦜"]


def test_bytes_that_cannot_become_a_character_are_replaced_once_that_is_certain() -> None:
    subject = tokenizer("phi4")
    first = subject.encode_text("🦜")[0]
    stream = TextStream(subject)
    assert stream.push(first) == ""
    assert stream.push(subject.encode_text("a")[0]) == "\ufffda"
    assert stream.push(first) == "" and stream.flush() == "\ufffd"

"""An answer is spoken sentence by sentence while it is still being written."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.live.sentences import MAX_CHARACTERS, sentences


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("It is 3.5 bar. Stop.", ["It is 3.5 bar.", "Stop."]),
        ("Ask Dr. Weber or J. Doe, e.g. today. Yes.", ["Ask Dr. Weber or J. Doe, e.g. today.", "Yes."]),
        ("Steps:\n1. Open it.\n2. Close it.", ["Steps:", "1. Open it.", "2. Close it."]),
        ('He said "Go!" Then he went.', ['He said "Go!"', "Then he went."]),
        ("Well... maybe… no.", ["Well...", "maybe…", "no."]),
        ("**Done.** Next\n\n---\n\nline", ["**Done.**", "Next", "line"]),
        ("好。再见！！「走。」他", ["好。", "再见！！", "「走。」", "他"]),
        ("Version 2.0.1 of edge.py runs.", ["Version 2.0.1 of edge.py runs."]),
        (" \n ... \n", []),
    ],
)
def test_text_is_cut_where_a_reader_would_pause(text: str, spoken: list[str]) -> None:
    assert list(sentences([text])) == spoken
    assert list(sentences(text)) == spoken, "one character at a time"


def test_a_sentence_is_spoken_before_the_next_one_is_complete() -> None:
    written = []

    def deltas() -> Iterator[str]:
        for delta in ("The line ", "stops. ", "It ", "starts."):
            written.append(delta)
            yield delta

    assert next(sentences(deltas())) == "The line stops."
    assert written == ["The line ", "stops. "]


def test_a_sentence_without_end_is_cut_between_words() -> None:
    words = ["word" + str(i) for i in range(500)]
    spoken = list(sentences(" ".join(words)))
    assert len(spoken) > 1 and max(map(len, spoken)) <= MAX_CHARACTERS
    assert " ".join(spoken).split() == words


@given(st.text(alphabet=st.sampled_from('aB1.!\n "。-'), max_size=60), st.integers(1, 7))
def test_no_word_is_lost_and_pieces_do_not_matter(text: str, size: int) -> None:
    spoken = list(sentences(text[i : i + size] for i in range(0, len(text), size)))
    assert spoken == list(sentences([text]))
    assert [c for c in "".join(spoken) if c.isalnum()] == [c for c in text if c.isalnum()]

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import InputError
from edge.prompt.stop_strings import StopStrings


def oracle(text: str, stops: list[str]) -> tuple[str, bool]:
    """Reads character by character and looks at the whole text each time."""
    for length in range(len(text) + 1):
        ending = [stop for stop in stops if text[:length].endswith(stop)]
        if ending:
            return text[: length - max(map(len, ending))], True
    return text, False


@given(
    chunks=st.lists(st.text("abc", max_size=5), max_size=8),
    stops=st.lists(st.text("abc", min_size=1, max_size=4), max_size=3),
)
@settings(max_examples=500)
def test_the_answer_is_the_text_before_the_first_stop_however_it_is_cut(chunks: list[str], stops: list[str]) -> None:
    subject = StopStrings(stops)
    shown = ""
    expected, hit = oracle("".join(chunks), stops)
    for chunk in chunks:
        shown += subject.feed(chunk)
        assert expected.startswith(shown)
    shown += subject.flush()
    assert (shown, subject.hit is not None) == (expected, hit)


def test_only_a_possible_beginning_of_a_stop_is_held_back() -> None:
    subject = StopStrings(["STOP"])
    assert subject.feed("hello S") == "hello "
    assert subject.feed("T") == ""
    assert subject.feed("ART") == "START"
    assert subject.feed(" STOP and more") == " "
    assert subject.hit == "STOP" and subject.rest == " and more"
    assert subject.feed("x") == "" == subject.flush()


@pytest.mark.parametrize("stops", [[""], ["x" * 2000], ["x"] * 10_000])
def test_unreasonable_stop_lists_are_refused(stops: list[str]) -> None:
    with pytest.raises(InputError):
        StopStrings(stops)

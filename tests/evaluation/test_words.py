"""Word errors counted by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.evaluation.words import basic_word_errors, word_errors

SENTENCES = st.lists(st.sampled_from(["stop", "line", "set", "oven", "to", "please"]), max_size=8).map(" ".join)


@pytest.mark.parametrize(
    ("expected", "said", "wrong", "words"),
    [
        ("the oven is hot", "the oven is hot", 0, 4),
        ("the oven is hot", "the oven was hot", 1, 4),
        ("the oven is hot", "the oven hot", 1, 4),
        ("the oven is hot", "the big oven is very hot", 2, 4),
        ("the oven is hot", "", 4, 4),
        ("", "stop it", 2, 0),
        ("", "", 0, 0),
    ],
)
def test_substitutions_deletions_and_insertions_are_counted(expected: str, said: str, wrong: int, words: int) -> None:
    assert word_errors(expected, said) == (wrong, words)
    assert basic_word_errors(expected, said) == (wrong, words)


@pytest.mark.parametrize(
    ("expected", "said"),
    [
        ("Set line three to forty percent.", "set line 3 to 40%"),
        ("stop conveyor two", "Um, stop conveyor two!"),
        ("it's the colour", "it is the color"),
    ],
)
def test_spelling_and_figures_are_no_errors_for_whispers_normaliser(expected: str, said: str) -> None:
    assert word_errors(expected, said).wrong == 0


def test_digits_are_one_figure_for_the_english_and_single_words_for_the_basic_normaliser() -> None:
    assert word_errors("one two three", "one two four") == (1, 1)
    assert basic_word_errors("one two three", "one two four") == (1, 3)


def test_the_basic_normaliser_serves_other_languages() -> None:
    assert basic_word_errors("Die Ölmühle steht.", "die ölmühle STEHT") == (0, 3)


@given(SENTENCES, SENTENCES)
def test_errors_are_those_of_an_edit_distance(one: str, other: str) -> None:
    assert word_errors(one, one).wrong == 0
    there, back = basic_word_errors(one, other), basic_word_errors(other, one)
    assert there.wrong == back.wrong <= max(there.words, back.words)
    assert there.wrong >= abs(there.words - back.words)
    assert there.words == len(one.split())

"""When an answer counts as right."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.evaluation.labels import Item, Metric
from edge.evaluation.numbers import only_number, whole_part
from edge.evaluation.scores import Reply, Score, plain, same_calls, score
from edge.events import ToolCall

SCALARS = st.none() | st.booleans() | st.integers(-99, 99) | st.text(max_size=4)
ARGUMENTS = st.dictionaries(st.text(max_size=3), SCALARS | st.lists(SCALARS, max_size=2), max_size=3)
CALLS = st.lists(st.builds(ToolCall, st.sampled_from(["stop", "start"]), ARGUMENTS), max_size=3)


def item(metric: Metric, expected: Any) -> Item:
    return Item(1, "?", (), (), None, metric, expected)


def right(metric: Metric, expected: Any, said: str, *calls: ToolCall, broken: bool = False) -> dict[str, bool]:
    scores = score(item(metric, expected), Reply(said, calls, broken))
    assert all(one.of == 1 for one in scores.values())
    return {name: bool(one.part) for name, one in scores.items()}


def stop(**arguments: Any) -> ToolCall:
    return ToolCall("stop", arguments)


@pytest.mark.parametrize("said", ["Line two", " line  TWO.", "line\ntwo !", "LINE TWO…"])
def test_case_white_space_and_final_punctuation_do_not_matter_for_an_exact_answer(said: str) -> None:
    assert right("exact", "Line two.", said) == {"exact": True}


@pytest.mark.parametrize("said", ["line 2", "line, two", "line two is it", "", "linetwo"])
def test_everything_else_matters_for_an_exact_answer(said: str) -> None:
    assert right("exact", "Line two.", said) == {"exact": False}


@given(st.text())
def test_plain_text_stays_plain(text: str) -> None:
    assert plain(f"  {text}\n") == plain(text)
    assert plain(text).strip() == plain(text)


@pytest.mark.parametrize(
    ("said", "exact", "whole"),
    [
        ("66.00", True, True),
        ("The display reads 66.00 L.", True, True),
        ("66.00 litres, yes: 66.00", True, True),
        ("66.01", False, True),
        ("66", False, True),
        ("066.00", False, True),
        ("66,00", False, True),
        ("6.600", False, False),
        ("-66.00", False, False),
        ("66.00 or 67.00", False, False),
        ("I cannot read it.", False, False),
        ("", False, False),
    ],
)
def test_a_reading_is_right_as_displayed_or_in_its_whole_part(said: str, exact: bool, whole: bool) -> None:
    assert right("number", "66.00", said) == {"number": exact, "whole": whole}


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("it is −5.3 °C", "-5.3"),
        ("part A12", None),
        ("A12 has 7", "7"),
        (".5 bar", ".5"),
        ("12 m3", "12"),
        ("1,234.50", "1,234.50"),
        ("3 of 4", None),
    ],
)
def test_the_only_number_of_a_text_is_found_as_written(text: str, number: str | None) -> None:
    assert only_number(text) == number


@pytest.mark.parametrize(
    ("number", "whole"),
    [("66.00", 66), ("007", 7), (".5", 0), ("-5.3", -5), ("1,234.50", 1234), ("1,234", 1234), ("1.234,5", 1234)],
)
def test_the_whole_part_is_what_stands_before_the_decimal_mark(number: str, whole: int) -> None:
    assert whole_part(number) == whole


@given(st.integers(0, 10**6), st.integers(0, 99))
def test_whatever_stands_behind_the_point_the_whole_part_stays(whole: int, rest: int) -> None:
    assert only_number(f"now {whole}.{rest:02} kg") == f"{whole}.{rest:02}"
    assert whole_part(f"{whole}.{rest:02}") == whole


def test_calls_are_right_whatever_the_order_of_calls_and_arguments() -> None:
    expected = (stop(line=2, now=True), stop(line=3))
    assert right("calls", expected, "", stop(line=3.0), ToolCall("stop", {"now": True, "line": 2})) == {
        "valid_calls": True,
        "calls": True,
    }


@pytest.mark.parametrize(
    "calls",
    [(stop(line=3),), (stop(line="2"),), (stop(line=True),), (stop(),), (stop(line=2), stop(line=2))],
    ids=["other value", "text", "bool", "missing", "twice"],
)
def test_a_valid_call_of_something_else_is_valid_and_not_right(calls: tuple[ToolCall, ...]) -> None:
    assert right("calls", (stop(line=2),), "", *calls) == {"valid_calls": True, "calls": False}
    assert right("calls", (stop(line=1),), "", *calls)["calls"] is False


def test_talk_instead_of_a_call_is_neither_valid_nor_right() -> None:
    assert right("calls", (stop(line=2),), "I stop it") == {"valid_calls": False, "calls": False}


def test_where_no_call_is_expected_any_call_is_wrong_and_a_broken_one_invalid() -> None:
    assert right("calls", (), "I can't") == {"valid_calls": True, "calls": True}
    assert right("calls", (), "", stop(line=2)) == {"valid_calls": True, "calls": False}
    assert right("calls", (), "<|tool_call|>[{", broken=True) == {"valid_calls": False, "calls": False}


@given(CALLS, st.randoms())
def test_shuffled_calls_are_the_same_and_one_more_is_not(calls: list[ToolCall], random: Any) -> None:
    shuffled = random.sample(calls, len(calls))
    assert same_calls(tuple(calls), tuple(shuffled))
    assert not same_calls(tuple(calls), (*shuffled, ToolCall("other", {})))


def test_a_transcript_has_two_word_error_rates_and_is_right_when_the_first_is_zero() -> None:
    scores = score(item("wer", "set line three"), Reply("Set line 3."))
    assert scores == {"wer": Score(0, 3), "wer_basic": Score(1, 3), "transcript": Score(1, 1)}
    scores = score(item("wer", "one two three"), Reply("one two"))
    assert scores == {"wer": Score(1, 1), "wer_basic": Score(1, 3), "transcript": Score(0, 1)}

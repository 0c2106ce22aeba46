"""What a call's arguments become, and what the user is shown before it runs."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.live.actions import Command, Request
from edge.live.calls import command_line, describe, refusal, request_line
from edge.live.template import parse_template
from tests.live.tools_files import action


def command(folder: Path, *elements: str, required: tuple[str, ...] = (), **more: Any) -> Command:
    made = action(folder, {"command": ["echo", *elements], **more}, required)
    assert isinstance(made, Command)
    return made


def words(folder: Path, element: str, **arguments: Any) -> list[str]:
    return command_line(command(folder, element), arguments)[1:]


def test_values_become_text_inside_one_element(tmp_path: Path) -> None:
    assert words(tmp_path, "line {line}: {speed}!", line=3, speed="very fast") == ["line 3: very fast!"]
    assert words(tmp_path, "{on}", on=True) == ["true"]
    assert words(tmp_path, "{line}", line=2.5) == ["2.5"]
    assert words(tmp_path, "{plan}", plan={"from": ["ä", 1]}) == ['{"from": ["ä", 1]}']


def test_doubled_braces_are_braces(tmp_path: Path) -> None:
    assert words(tmp_path, '{{"line": {line}}}', line=3) == ['{"line": 3}']


@given(st.text(), st.text())
def test_any_text_survives_as_a_literal_and_as_a_value(literal: str, value: str) -> None:
    source = literal.replace("{", "{{").replace("}", "}}") + "{x}"
    assert parse_template(source, {"x": 1}, "It").fill({"x": value}) == literal + value


@pytest.mark.parametrize("arguments", [{}, {"note": None}])
def test_an_element_whose_optional_argument_is_missing_is_left_out(tmp_path: Path, arguments: dict[str, Any]) -> None:
    made = command(tmp_path, "--note={note}", "end")
    assert command_line(made, arguments)[1:] == ["end"]


def test_a_call_without_a_required_argument_is_refused(tmp_path: Path) -> None:
    made = command(tmp_path, "{note}", "end", required=("note",))
    assert "'note' is missing" in refusal(made, {"note": None})
    assert refusal(made, {"note": "here"}) == ""


def test_a_value_that_looks_like_an_option_is_refused_unless_the_file_allows_it(tmp_path: Path) -> None:
    assert "option" in refusal(command(tmp_path, "{note}"), {"note": "-rf"})
    assert "option" in refusal(command(tmp_path, "{speed}{note}"), {"speed": "", "note": "--help"})
    assert refusal(command(tmp_path, "--note={note}"), {"note": "-rf"}) == ""
    assert command_line(command(tmp_path, "{note}", dashes=True), {"note": "-rf"})[1:] == ["-rf"]


@pytest.mark.parametrize("value", ["a\0b", "\ud800", "x" * 9000, 10**5000], ids=["NUL", "half", "long", "number"])
def test_values_that_no_program_can_get_are_refused(tmp_path: Path, value: Any) -> None:
    assert refusal(command(tmp_path, "{note}"), {"note": value})


def test_the_description_shows_where_each_word_begins_and_ends(tmp_path: Path) -> None:
    made = command(tmp_path, "-n", "{note}", "{speed}")
    shown = describe(made, {"note": "a b'; rm -rf /", "speed": ""})
    assert shown == f"{shutil.which('echo')} -n \"a b'; rm -rf /\" ''"


@pytest.mark.parametrize("run", [{"command": ["echo", "{note}"]}, {"url": "http://localhost:1/x?n={note}"}])
def test_no_value_can_change_the_screen_it_is_described_on(tmp_path: Path, run: dict[str, Any]) -> None:
    for nasty in ("\x1b[2J", "\r\n", "\u202e", "\x9b1m", "\u2028", "\u200b", "\x7f", "-\x1b"):
        shown = describe(action(tmp_path, run), {"note": nasty + "x"})
        assert shown.isprintable() and nasty not in shown


def test_a_request_is_described_as_it_is_sent(tmp_path: Path) -> None:
    made = action(tmp_path, {"url": "http://localhost:8080/speed?to={speed}", "method": "PUT"})
    assert describe(made, {"speed": "a&b=ü"}) == (
        'PUT http://localhost:8080/speed?to=a%26b%3D%C3%BC {"speed": "a&b=ü"}'
    )


def test_a_query_field_whose_argument_is_missing_is_left_out(tmp_path: Path) -> None:
    made = action(tmp_path, {"url": "http://localhost/x?a=1&s={speed}&n={note}", "method": "GET"})
    assert isinstance(made, Request)
    assert request_line(made, {"note": "é"}) == ("/x?a=1&n=%C3%A9", "")


@pytest.mark.parametrize("note", ["..", ".", "../admin", "a/../../admin", "..\\admin", ""])
def test_a_value_cannot_lead_to_another_path_of_the_server(tmp_path: Path, note: str) -> None:
    made = action(tmp_path, {"url": "http://localhost/notes/{note}/read"}, ("note",))
    assert refusal(made, {"note": note})
    assert refusal(made, {"note": "a/b"}) == "" and "/notes/a%2Fb/read" in describe(made, {"note": "a/b"})


def test_a_tool_without_run_is_described_as_not_run() -> None:
    assert describe(None, {}) == refusal(None, {}) == 'not run: the tools file has no "run" for it'

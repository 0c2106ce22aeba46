"""Every mistake gets its exit code, one sentence and a next step: nothing on stdout, no traceback."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.child import assert_refused, edge

WriteFile = Callable[[str | bytes], Path]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--max-tokens", "-1"),
        ("--max-tokens", "0"),
        ("--max-tokens", "many"),
        ("--temperature", "nan"),
        ("--temperature", "-1"),
        ("--temperature", "1e308"),
        ("--top-p", "0"),
        ("--top-p", "2"),
        ("--top-k", "-1"),
        ("--min-p", "inf"),
        ("--repetition-penalty", "0"),
        ("--seed", "-1"),
        ("--logprobs", "21"),
        ("--threads", "-1"),
        ("--threads", "1000000"),
        ("--tool-choice", "maybe"),
    ],
)
def test_a_number_out_of_range_is_refused_by_the_name_of_its_option(phi3_bundle: Path, option: str, value: str) -> None:
    assert_refused(edge("run", "-b", phi3_bundle, "hi", f"{option}={value}"), 2, option)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("run", "hi", "--colour"), "--colour"),
        (("talk",), "talk"),
        (("--fast",), "--fast"),
        (("bundle", "polish"), "polish"),
        (("bundle", "tune"), "BUNDLE"),
        (("run", "one", "two\nlines"), "extra argument"),
        (("run", "hi", "--seed"), "--seed"),
    ],
)
def test_a_command_line_that_does_not_parse_is_refused_in_the_same_style(arguments: tuple[str, ...], word: str) -> None:
    assert_refused(edge(*arguments), 2, word)


@pytest.mark.parametrize("prompt", ["", " \t\n "])
def test_an_empty_prompt_is_a_usage_error(phi3_bundle: Path, prompt: str) -> None:
    assert_refused(edge("run", "-b", phi3_bundle, prompt), 2, "prompt is empty")
    assert_refused(edge("run", "-b", phi3_bundle, stdin=prompt.encode()), 2, "prompt is empty")


def test_a_closed_stdin_is_named(phi3_bundle: Path) -> None:
    assert_refused(edge("run", "-b", phi3_bundle, "-", stdin=None), 4, "standard input is closed")


@pytest.mark.parametrize(
    ("arguments", "name"),
    [((b"a\xff",), "prompt"), (("hi", "-s", b"\xc3"), "system message"), (("hi", "--stop", b"\xfe"), "stop string")],
)
def test_text_that_is_no_utf8_is_refused(phi3_bundle: Path, arguments: tuple[str | bytes, ...], name: str) -> None:
    result = edge("run", "-b", phi3_bundle, *arguments, LC_ALL="C.UTF-8")
    assert_refused(result, 4, name, "not valid UTF-8")


def test_a_prompt_on_stdin_that_is_no_utf8_is_refused_with_the_place(phi3_bundle: Path) -> None:
    assert_refused(edge("run", "-b", phi3_bundle, stdin=b"abc\xffdef"), 4, "not valid UTF-8", "byte 3")


def test_a_prompt_beyond_the_context_is_refused_with_both_counts(phi3_bundle: Path) -> None:
    """The miniature holds 512 tokens; one per byte, and three of the chat format."""
    start = ("run", "-b", phi3_bundle)
    assert_refused(edge(*start, stdin=b"x" * 5000), 4, "5,003", "512")
    assert_refused(edge(*start, stdin=b"x" * 510), 4, "513", "512")
    assert_refused(edge(*start, "hi", "-n", 2**31), 4, "5 tokens", "2,147,483,648", "512")
    fits = edge(*start, "--json", stdin=b"x" * 508).json()
    assert (fits["usage"]["prompt_tokens"], fits["usage"]["completion_tokens"]) == (511, 1)


DUPLICATE = '[{"name": "f"}, {"name": "f"}]'


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "not valid JSON"),
        (b"{not json", "not valid JSON"),
        (b'[{"name": "f", "x": NaN}]', "NaN"),
        (b'[{"name": "f", "name": "g"}]', "name"),
        (DUPLICATE.encode(), "'f'"),
        (b"[" * 100_000 + b"]" * 100_000, "nested"),
        (b'[{"name": "\xff"}]', "UTF-8"),
        (b"[42]", "not an object"),
        (b"\x00" * (2 << 20), "limit"),
    ],
    ids=["empty", "not JSON", "NaN", "key twice", "name twice", "deep", "not UTF-8", "number", "large"],
)
def test_an_unusable_tools_file_is_named_with_the_fault(
    phi3_bundle: Path, a_file: WriteFile, content: bytes, word: str
) -> None:
    path = a_file(content)
    assert_refused(edge("run", "-b", phi3_bundle, "hi", "--tools", path), 4, str(path), word)


@pytest.mark.parametrize("option", ["--tools", "--schema"])
def test_a_file_that_is_not_there_is_named(phi3_bundle: Path, tmp_path: Path, option: str) -> None:
    for path in (tmp_path / "gone.json", tmp_path):
        assert_refused(edge("run", "-b", phi3_bundle, "hi", option, path), 4, str(path))


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("", "not valid JSON"),
        ("[1]", "not a JSON object"),
        ('{"properties": {"a": {"type": "colour"}}}', "/properties/a"),
    ],
    ids=["empty", "list", "unknown type"],
)
def test_an_unusable_schema_is_refused_with_the_place(
    phi3_bundle: Path, a_file: WriteFile, content: str, word: str
) -> None:
    assert_refused(edge("run", "-b", phi3_bundle, "hi", "--schema", a_file(content)), 4, word)


def test_tools_and_schema_exclude_each_other(phi3_bundle: Path, a_file: WriteFile) -> None:
    tools, schema = a_file('[{"name": "f"}]'), a_file('{"type": "object"}')
    assert_refused(edge("run", "-b", phi3_bundle, "hi", "--tools", tools, "--schema", schema), 2, "together")


@pytest.mark.parametrize("arguments", [("run", "hi"), ("chat",), ("bench",)], ids=lambda a: a[0])
def test_a_missing_bundle_is_refused_by_name(arguments: tuple[str, ...]) -> None:
    assert_refused(edge(*arguments, "-b", "nowhere"), 3, "nowhere")


@pytest.mark.parametrize("prompt", ["x", "0,16", "-5", ""])
def test_bench_lengths_that_are_none_are_refused(phi3_bundle: Path, prompt: str) -> None:
    assert_refused(edge("bench", "-b", phi3_bundle, f"--prompt={prompt}"), 2, "--prompt")


def test_control_characters_of_a_foreign_name_do_not_reach_the_terminal() -> None:
    result = edge("run", "-b", "\x1b]0;title\x07", "hi")
    assert_refused(result, 3)
    assert "\x1b" not in result.err


def test_debug_shows_where_an_error_came_from() -> None:
    result = edge("--debug", "run", "-b", "nowhere", "hi")
    assert result.code == 3
    assert "Traceback" in result.err
    assert "store.py" in result.err

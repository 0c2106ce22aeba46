"""edge chat, through a pipe as a script uses it and on a terminal as a person does."""

import re
import signal
import subprocess
from pathlib import Path

from tests.cli.child import assert_refused, edge, running


def reused(stderr: str) -> list[int]:
    """The counts of /stats, turn by turn."""
    return [int(count.replace(",", "")) for count in re.findall(r"([\d,]+) reused", stderr)]


def test_turns_remember_each_other_and_new_forgets(phi3_bundle: Path) -> None:
    lines = b"/stats\nhello\nagain\n/new\nhello\n"
    result = edge("chat", "-b", phi3_bundle, "-n", 5, stdin=lines)
    assert result.code == 0
    first, second, third = reused(result.err)
    assert (first, third < first + 10) == (0, True)
    assert second > 5, "the first turn's prompt and answer"
    assert third < second
    assert "new conversation" in result.err
    alone = edge("chat", "-b", phi3_bundle, "-n", 5, stdin=b"hello\n").out
    assert result.out.startswith(alone)
    assert result.out.endswith(alone)


def test_stdout_has_the_answers_only(phi3_bundle: Path) -> None:
    quiet = edge("chat", "-b", phi3_bundle, "-n", 5, stdin=b"hello\n\nagain\n")
    chatty = edge("chat", "-b", phi3_bundle, "-n", 5, stdin=b"/help\nhello\n/stats\nagain\n/quit\nnever asked\n")
    assert quiet.out == chatty.out
    assert quiet.out.endswith("\n")


def test_the_first_answer_is_that_of_run(phi3_bundle: Path) -> None:
    start = ("-b", phi3_bundle, "-n", 8, "-s", "be brief")
    assert edge("chat", *start, stdin=b"hello").out == edge("run", *start, "hello").out


def test_the_end_of_input_and_a_closed_stdin_end_the_chat_well(phi3_bundle: Path) -> None:
    for stdin in (b"", None):
        result = edge("chat", "-b", phi3_bundle, stdin=stdin)
        assert (result.code, result.out) == (0, "")


def test_a_bad_line_in_a_pipe_ends_the_chat_with_its_exit_code(phi3_bundle: Path) -> None:
    assert_refused(edge("chat", "-b", phi3_bundle, stdin=b"a\xff\n"), 4, "UTF-8")
    assert_refused(edge("chat", "-b", phi3_bundle, stdin=b"x" * 5000), 4, "5,003", "512")


def test_on_a_terminal_ctrl_c_stops_the_answer_and_ctrl_d_leaves(slow_bundle: Path) -> None:
    with running("chat", "-b", slow_bundle, on_terminal=("stdin", "stdout", "stderr")) as child:
        child.wait_for("> ")
        child.type("hello\n")
        child.wait_for("hello")
        child.wait_for("filler")
        child.signal(signal.SIGINT)
        child.wait_for("cancelling")
        child.wait_for("> ")
        child.type("/stats\n")
        child.wait_for("> ")
        child.signal(signal.SIGINT)
        child.type("\n")  # a signal just before the wait for keys is only noticed with the next key
        child.wait_for("Ctrl-D leaves")
        child.wait_for("> ")
        child.type("\x04")
        assert child.finish() == 0
    assert "Traceback" not in child.seen


def test_on_a_terminal_a_prompt_that_is_too_long_is_told_and_the_chat_goes_on(phi3_bundle: Path) -> None:
    with running("chat", "-b", phi3_bundle, "-n", 3, on_terminal=("stdin", "stdout", "stderr")) as child:
        child.wait_for("> ")
        child.type("x" * 600 + "\n")
        child.wait_for("error: the conversation has 603 tokens")
        child.wait_for("> ")
        child.type("\x04")
        assert child.finish() == 0


def test_sigterm_in_an_answer_ends_the_chat(slow_bundle: Path) -> None:
    with running("chat", "-b", slow_bundle, stdin=subprocess.PIPE) as child:
        assert child.process.stdin is not None
        assert child.process.stdout is not None
        child.process.stdin.write(b"hello\nnever read\n")
        child.process.stdin.flush()
        assert child.process.stdout.read(1)
        child.signal(signal.SIGTERM)
        assert child.finish() == 143
        child.process.stdin.close()

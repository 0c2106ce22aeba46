"""SIGINT and SIGTERM end the process at once, with the exit code of the signal and an honest last word."""

import fcntl
import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.cli.interrupts import Interrupts
from tests.cli.child import DEADLINE, Running, running

SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
DECODING = "\x1b[K"
"""The progress line of a prompt of several chunks is wiped when the first token comes."""


@pytest.fixture
def two_chunks(tmp_path: Path) -> Path:
    """A prompt that is read quickly, but not in one call."""
    path = tmp_path / "prompt.txt"
    path.write_text("x" * 600)
    return path


def answer(child: Running) -> str:
    """What is left on stdout after the end."""
    assert child.process.stdout is not None
    return child.process.stdout.read().decode(errors="replace")


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_a_signal_while_the_prompt_is_read_cancels_before_the_first_token(
    slow_bundle: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    long = tmp_path / "prompt.txt"
    long.write_text("x" * 30_000)
    with long.open() as stdin, running("run", "-b", slow_bundle, "--json", stdin=stdin) as child:
        child.wait_for("reading the prompt: 512 of 30,003")
        child.signal(number)
        assert child.finish() == code
        told = json.loads(answer(child))
    assert (told["finish_reason"], told["text"]) == ("cancelled", "")
    assert (told["usage"]["prompt_tokens"], told["usage"]["completion_tokens"]) == (30_003, 0)
    assert "cancelling" in child.seen
    assert "Traceback" not in child.seen


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_a_signal_in_an_answer_keeps_what_was_said(
    slow_bundle: Path, two_chunks: Path, number: signal.Signals, code: int
) -> None:
    with two_chunks.open() as stdin, running("run", "-b", slow_bundle, "--json", stdin=stdin) as child:
        child.wait_for(DECODING)
        child.signal(number)
        assert child.finish() == code
        told = json.loads(answer(child))
    assert told["finish_reason"] == "cancelled"
    assert 0 < told["usage"]["completion_tokens"] < 30_000
    assert told["text"]


def test_a_signal_in_streamed_text_ends_it_with_a_line_feed(slow_bundle: Path) -> None:
    with running("run", "-b", slow_bundle, "hello") as child:
        assert child.process.stdout is not None
        assert child.process.stdout.read(1)
        child.signal(signal.SIGINT)
        assert child.finish() == 130
        assert answer(child).endswith("\n")
    assert child.seen.strip() == "cancelling"


def test_a_second_signal_forces_the_end_when_nobody_reads_the_answer(slow_bundle: Path, two_chunks: Path) -> None:
    reader, writer = os.pipe()
    size = fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    os.write(writer, bytes(size))
    with two_chunks.open() as stdin, running("run", "-b", slow_bundle, stdin=stdin, stdout=writer) as child:
        child.wait_for(DECODING)
        child.signal(signal.SIGINT)
        child.wait_for("cancelling")
        assert child.process.poll() is None, "it is still blocked in its first write"
        child.signal(signal.SIGTERM)
        assert child.finish() == 143
    os.close(reader)
    os.close(writer)
    assert "Traceback" not in child.seen


def test_a_signal_that_a_starting_turn_swallows_is_repeated() -> None:
    """A turn forgets earlier cancels when it starts; one that comes a moment too early must still end it."""
    interrupts, cancelled, said_twice = Interrupts(), threading.Event(), threading.Event()

    def turn() -> Iterator[str]:
        interrupts.cancel = cancelled.set
        os.kill(os.getpid(), signal.SIGINT)
        assert cancelled.wait(DEADLINE)
        cancelled.clear()
        yield "first event"
        if cancelled.wait(DEADLINE):
            said_twice.set()

    assert list(interrupts.stream(turn)) == ["first event"]
    assert said_twice.is_set()
    assert interrupts.exit_code == 130

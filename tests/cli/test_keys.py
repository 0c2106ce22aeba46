"""Keys of a terminal, one by one, and the terminal as it was before."""

import os
import queue
import sys
import termios
from collections.abc import Iterator

import pytest

from edge.cli.keys import Keys, can_press
from tests.cli.child import DEADLINE


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Standard input is a terminal; the side that types."""
    typing, keyboard = os.openpty()
    with os.fdopen(keyboard) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield typing
    os.close(typing)


def test_each_key_has_a_name_and_comes_without_enter(terminal: int) -> None:
    pressed: queue.Queue[str] = queue.Queue()
    keys = Keys(pressed.put)
    assert keys.available
    found = []
    for typed in ("m", "Y", " ", "\x1b", "\x1b[A", "\x1bOP", "\x1b[15~", "\x1by", "\n", "n"):
        os.write(terminal, typed.encode())
        if len(typed) == 1:  # an arrow or a function key is none
            found.append(pressed.get(timeout=DEADLINE))
    assert found == ["m", "y", "space", "escape", "enter", "n"]
    keys.close()


def test_the_terminal_is_given_back_as_it_was(terminal: int) -> None:
    before = termios.tcgetattr(terminal)
    keys = Keys(lambda key: None)
    changed = termios.tcgetattr(terminal)
    assert not changed[3] & termios.ICANON and not changed[3] & termios.ECHO
    assert changed[3] & termios.ISIG, "Ctrl-C is still a signal"
    keys.close()
    keys.close()
    assert termios.tcgetattr(terminal) == before


def test_without_a_terminal_there_are_no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    with open(os.devnull) as nothing:  # noqa: PTH123
        monkeypatch.setattr(sys, "stdin", nothing)
        keys = Keys(lambda key: None)
        assert not keys.available and not can_press()
        keys.close()
    monkeypatch.setattr(sys, "stdin", None)
    assert not can_press()


def test_a_program_in_the_background_leaves_the_terminal_alone(terminal: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system would stop it for a touch."""
    before = termios.tcgetattr(terminal)
    monkeypatch.setattr(os, "tcgetpgrp", lambda descriptor: os.getpgrp() + 1)
    keys = Keys(lambda key: None)
    assert not keys.available and termios.tcgetattr(terminal) == before
    keys.close()

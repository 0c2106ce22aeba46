"""stdout carries data, stderr everything else; colours and bars only on a terminal."""

import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from rich.console import Console

LOG_SECONDS = 10.0
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control characters other than tab and line feed, and the marks that turn the direction of text around."""


def harmless(text: str) -> str:
    """Foreign text for a terminal, which would obey control characters: they become escapes such as \\x1b."""
    return CONTROL.sub(lambda match: repr(match[0])[1:-1], text)


def stdout() -> "Console":
    return _console(False)


def stderr() -> "Console":
    return _console(True)


def _console(to_stderr: bool) -> "Console":
    """Prints what it is given: no [markup] in foreign text, no lines broken at 80 columns in a pipe."""
    from rich.console import Console

    class Plain(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # main() knows what to do; rich itself would exit with 1

    return Plain(stderr=to_stderr, highlight=False, markup=False, soft_wrap=True)


def say(text: str) -> None:
    """One plain line on stderr."""
    print(text, file=sys.stderr, flush=True)


def size(count: float) -> str:
    """Bytes for people: 512 B, 3.4 MB, 1.71 GB."""
    for unit, digits in (("B", 0), ("kB", 1), ("MB", 1), ("GB", 2)):
        if abs(count) < 1000 or unit == "GB":
            return f"{count:.{digits}f} {unit}"
        count /= 1000
    raise AssertionError


class BytesProgress(Protocol):
    def __call__(self, done: int, total: int, label: str = "") -> None: ...


@contextmanager
def bytes_progress(title: str) -> Iterator[BytesProgress]:
    """A bar with bytes, rate and time left; without a terminal one line every ten seconds.

    Work that comes after, with another total or from the beginning, has a rate of its own.
    """
    if sys.stderr.isatty() and not os.environ.get("CI"):
        with _bar(title) as update:
            yield update
    else:
        yield _LogLines(title)


@contextmanager
def _bar(title: str) -> Iterator[BytesProgress]:
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns: list[Any] = [TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn()]
    with Progress(*columns, TimeRemainingColumn(), TextColumn("{task.fields[label]}"), console=stderr()) as bar:
        task = bar.add_task(title, total=None, label="")
        before = (0, 0)

        def update(done: int, total: int, label: str = "") -> None:
            nonlocal before
            if done < before[0] or total != before[1]:
                bar.reset(task, total=total)
            before = done, total
            bar.update(task, completed=done, total=total, label=label)

        yield update


class _LogLines:
    def __init__(self, title: str) -> None:
        self._title = title
        self._start = self._last = time.monotonic()
        self._first = self._done = self._total = 0

    def __call__(self, done: int, total: int, label: str = "") -> None:
        now = time.monotonic()
        if done < self._done or total != self._total:
            self._start, self._first, self._total = now, done, total
        self._done = done
        if now - self._last < LOG_SECONDS:
            return
        self._last = now
        # nothing is known of the speed before the second piece: the first may be an earlier run's
        rate = (done - self._first) / max(now - self._start, 1e-9)
        speed = f", {size(rate)}/s, {(total - done) / rate:.0f} s left" if rate > 0 else ""
        say(f"{self._title}: {size(done)} of {size(total)}{speed}  {label}")

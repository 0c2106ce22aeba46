"""Waiting for an evaluation: a bar with the time left, and Ctrl-C that keeps what is done."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from edge.cli.console import LOG_SECONDS, say, stderr
from edge.errors import EdgeError

if TYPE_CHECKING:
    from edge.evaluation.results import Result
    from edge.evaluation.run import Evaluation


def collect(evaluation: "Evaluation") -> "tuple[list[Result], EdgeError | None, int]":
    """(results, the error that ended them, the signal that did); each of the last two only if there was one."""
    results: list[Result] = []
    received: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        received.append(number)
        evaluation.stop()  # the child ends, so that the loop below does
        for one, handler in previous.items():  # and a second signal ends everything at once
            signal.signal(one, handler)

    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in previous:
        signal.signal(number, handle)
    fault = None
    try:
        with _progress(evaluation.wanted) as update:
            for result in evaluation.results():
                results.append(result)
                update(len(results))
    except EdgeError as error:
        fault = error
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    return results, fault, received[0] if received else 0


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    if not sys.stderr.isatty() or os.environ.get("CI"):
        yield _log_lines(total)
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("evaluating"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, TextColumn("left"), console=stderr(), transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda done: bar.update(task, completed=done)


def _log_lines(total: int) -> Callable[[int], None]:
    """Without a terminal: one line every ten seconds."""
    start = last = time.monotonic()

    def update(done: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= LOG_SECONDS:
            last = now
            say(f"evaluating: {done:,} of {total:,}, {(now - start) / done * (total - done):.0f} s left")

    return update

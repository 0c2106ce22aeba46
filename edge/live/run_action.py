"""Runs what a call of the model stands for, and says what became of it."""

import os
import time
from collections.abc import Mapping
from threading import Event
from typing import Any

from edge.errors import InputError
from edge.live.actions import Action, Command, Request
from edge.live.calls import NO_RUN, command_line, request_line
from edge.live.child import run_child
from edge.live.outcome import MAX_OUTPUT_BYTES, Outcome, failed, succeeded

CANCELLED = "cancelled"
_PASSED_ON = ("PATH", "HOME", "LANG")


def run_action(action: Action | None, arguments: Mapping[str, Any], cancelled: Event) -> Outcome:
    """Runs a call to its end; what goes wrong is in the outcome. None is a tool without "run": nothing happens.

    Returns within 0.2 s of `cancelled` being set; the program is gone then, a request is cut off.
    """
    began = time.monotonic()
    try:
        if cancelled.is_set():
            return failed(CANCELLED)
        if isinstance(action, Command):
            return _run_command(action, command_line(action, arguments), cancelled, began)
        if isinstance(action, Request):
            from edge.live.loopback import send  # the HTTP client is only loaded by those who use it

            return send(action, *request_line(action, arguments), cancelled)
    except InputError as refused:
        return failed(f"not run: {refused}")
    return succeeded(NO_RUN)


def _run_command(command: Command, words: list[str], cancelled: Event, began: float) -> Outcome:
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    try:
        ended = run_child(words, cancelled, command.timeout_s, MAX_OUTPUT_BYTES, environment, "/")
    except OSError as error:
        return failed(f"{command.program} cannot be started: {error.strerror}", time.monotonic() - began)
    seconds = time.monotonic() - began
    if ended.how == "exited" and ended.status == 0:
        return succeeded(ended.output, seconds, ended.truncated)
    errors = {"exited": ended.words, "timeout": f"timed out after {command.timeout_s:g} s", "stopped": CANCELLED}
    return failed(errors[ended.how], seconds, ended.output, ended.truncated)

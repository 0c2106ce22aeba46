"""From an action and a call's arguments to exactly what would run, or the reason why it must not."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from edge.errors import InputError
from edge.live.actions import BODY_METHODS, Action, Command, Request
from edge.live.printable import printable

MAX_CHARACTERS = 8_000
"""Of one command or request: nobody reads more before saying yes, and every system can pass on as much."""

NO_RUN = 'not run: the tools file has no "run" for it'

_PLAIN = re.compile(r"[A-Za-z0-9_@%+=:,./-]+")


def describe(action: Action | None, arguments: Mapping[str, Any]) -> str:
    """One printable line: the command or request of this call as it would run, or why it will not."""
    try:
        if isinstance(action, Command):
            return " ".join(word if _PLAIN.fullmatch(word) else repr(word) for word in command_line(action, arguments))
        if isinstance(action, Request):
            target, body = request_line(action, arguments)
            return printable(f"{action.method} {action.url.origin}{target} {body}".rstrip())
    except InputError as refused:
        return printable(f"not run: {refused}")
    return NO_RUN


def refusal(action: Action | None, arguments: Mapping[str, Any]) -> str:
    """Why this call will not run whatever the user says; empty when it can."""
    try:
        if isinstance(action, Command):
            command_line(action, arguments)
        elif isinstance(action, Request):
            request_line(action, arguments)
        else:
            return NO_RUN
    except InputError as refused:
        return str(refused)
    return ""


def command_line(command: Command, arguments: Mapping[str, Any]) -> list[str]:
    """The program and its arguments. Raises InputError for a call that must not run."""
    values = _values((name for element in command.elements for name in element.names), command, arguments)
    words = [command.program]
    for element in command.elements:
        if not all(name in values for name in element.names):
            continue
        word = element.fill(values)
        if word.startswith("-") and element.begins_with_placeholder and not command.dashes:
            raise InputError(
                f"{element.source} would become {word[:40]!r}, which the program could take for an option.",
                "give a value that does not begin with a dash",
            )
        words.append(word)
    _check_length(words)
    return words


def request_line(request: Request, arguments: Mapping[str, Any]) -> tuple[str, str]:
    """Path with query, and the JSON body or "". Raises InputError for a call that must not be sent."""
    names = [*request.url.path.names, *(name for field in request.url.query for name in field.names)]
    target = request.url.target(_values(names, request, arguments))
    body = _json(arguments) if request.method in BODY_METHODS else ""
    _check_length([target, body])
    return target, body


def _values(names: Iterable[str], action: Action, arguments: Mapping[str, Any]) -> dict[str, str]:
    """As text, those of `names` that the call has: models write null for an argument that they leave out."""
    values = {}
    for name in names:
        value = arguments.get(name)
        if value is not None:
            values[name] = value if isinstance(value, str) else _json(value)
            _check_text(name, values[name])
        elif name in action.required:
            raise InputError(f"The argument {name!r} is missing.", "give it")
    return values


def _json(value: Any) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        text.encode()
    except (ValueError, RecursionError):  # broken characters, infinity, numbers of thousands of digits
        raise InputError("An argument cannot be written as JSON.", "give plain texts and numbers") from None
    return text


def _check_text(name: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InputError(f"The argument {name!r} holds half a character.", "give plain text") from None
    if "\0" in text:
        raise InputError(f"The argument {name!r} holds a NUL character.", "give plain text")


def _check_length(texts: list[str]) -> None:
    if sum(map(len, texts)) > MAX_CHARACTERS:
        raise InputError(f"The call is longer than {MAX_CHARACTERS:,} characters.", "give shorter arguments")

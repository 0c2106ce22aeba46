"""What runs when the model calls a function: the key "run" of an entry in the tools file."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge import strict_json
from edge.errors import InputError
from edge.live.loopback_url import LoopbackUrl, parse_url
from edge.live.template import Template, parse_template
from edge.prompt.tools import MAX_DEPTH, Tool, parse_tools

DEFAULT_TIMEOUT_S = 10.0
SHORTEST_S, LONGEST_S = 0.1, 300.0
METHODS = ("GET", "POST", "PUT", "DELETE")
BODY_METHODS = ("POST", "PUT")
"""These send the arguments as a JSON object."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """`safe`: runs without asking. `timeout_s`: seconds until it is ended. `required`: arguments a call must have."""

    safe: bool
    timeout_s: float
    required: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Command(Action):
    """A program, by its absolute path, and its arguments. `dashes`: values may look like options."""

    program: str
    elements: tuple[Template, ...]
    dashes: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Request(Action):
    """An HTTP request to a server on this machine."""

    method: str
    url: LoopbackUrl


def load_actions(path: str | Path) -> dict[str, Action]:
    """The actions of a tools file by their tools' names; tools without "run" are not among them.

    Raises InputError for a file that `load_tools` refuses, and for a "run" that could not do what it says.
    """
    what = f"Tools file {path}"
    try:
        with Path(path).open("rb") as file:
            data = file.read(strict_json.MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"{what} cannot be read: {error.strerror}.", "check --tools") from None
    tools = parse_tools(data, what)
    entries = strict_json.loads(data, what, max_depth=MAX_DEPTH)
    actions = {}
    for i, (tool, entry) in enumerate(zip(tools, entries, strict=True)):
        where = f"{what}, entry {i} ({tool.name})"
        if isinstance(entry.get("function"), dict) and "run" in entry["function"]:
            raise InputError(f'{where} has "run" inside "function".', 'move "run" out, beside "function"')
        if "run" in entry:
            actions[tool.name] = _action(entry["run"], tool, where)
    return actions


def _action(run: Any, tool: Tool, where: str) -> Action:
    if not isinstance(run, dict) or ("command" in run) == ("url" in run):
        raise InputError(
            f'{where} has a "run" that is neither a command nor a request.',
            'write {"command": ["/path/to/program", "{argument}"]} or {"url": "http://127.0.0.1:8080/"}',
        )
    allowed = {"safe", "timeout_s"} | ({"command", "dashes"} if "command" in run else {"url", "method"})
    if unknown := sorted(run.keys() - allowed):
        raise InputError(f'{where} has the unknown key {unknown[0]!r} in "run".', f"use {', '.join(sorted(allowed))}")
    timeout_s = run.get("timeout_s", DEFAULT_TIMEOUT_S)
    is_number = isinstance(timeout_s, int | float) and not isinstance(timeout_s, bool)
    if not is_number or not SHORTEST_S <= timeout_s <= LONGEST_S:
        raise InputError(f"{where} has the timeout_s {timeout_s!r}.", f"give {SHORTEST_S} to {LONGEST_S:.0f} seconds")
    required = tool.schema.get("required", [])
    common: dict[str, Any] = {
        "safe": _flag(run, "safe", where),
        "timeout_s": float(timeout_s),
        "required": frozenset(str(name) for name in required) if isinstance(required, list) else frozenset(),
    }
    known = tool.schema.get("properties", {})
    return _command(run, known, where, common) if "command" in run else _request(run, known, where, common)


def _command(run: dict[str, Any], known: dict[str, Any], where: str, common: dict[str, Any]) -> Command:
    command = run["command"]
    if not isinstance(command, list) or not command or not all(isinstance(element, str) for element in command):
        raise InputError(
            f"{where} has a command that is not a list of texts.", 'write ["/path/to/program", "{argument}"]'
        )
    if any("\0" in element for element in command):
        raise InputError(f"{where} has a NUL character in its command.", "remove \\u0000")
    program, *elements = (parse_template(element, known, where) for element in command)
    if program.names:
        raise InputError(f"{where} lets the model choose the program: {program.source}.", "name one fixed program")
    name = program.fill({})
    if "/" in name and not name.startswith("/"):
        raise InputError(f"{where} has the relative program {name!r}.", "give its full path, or a name on PATH")
    found = shutil.which(name)
    if not found:
        raise InputError(f"{where} has the program {name!r}, which cannot be run here.", "install it, or correct it")
    dashes = _flag(run, "dashes", where)
    return Command(program=str(Path(found).absolute()), elements=tuple(elements), dashes=dashes, **common)


def _request(run: dict[str, Any], known: dict[str, Any], where: str, common: dict[str, Any]) -> Request:
    method, text = run.get("method", "POST"), run["url"]
    if method not in METHODS:
        raise InputError(f"{where} has the method {method!r}.", f"use one of {', '.join(METHODS)}")
    if not isinstance(text, str):
        raise InputError(f"{where} has a URL that is not text.", 'write "http://127.0.0.1:8080/path"')
    url = parse_url(text, known, where)
    if optional := [name for name in url.path.names if name not in common["required"]]:
        raise InputError(
            f"{where} has the optional argument {optional[0]!r} in the path of its URL.",
            "make it required, or move it behind the question mark",
        )
    return Request(method=method, url=url, **common)


def _flag(run: dict[str, Any], key: str, where: str) -> bool:
    flag = run.get(key, False)
    if not isinstance(flag, bool):
        raise InputError(f"{where} has {key!r} as {flag!r}.", "write true or false")
    return flag

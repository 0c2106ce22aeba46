"""Does a JSON schema compile, where is it at fault, and is that known in bounded time?

Some keywords can make the grammar compiler run for hours (multipleOf with a large number does). Schemas that use
such keywords are first tried in a child process, which a timer ends.
"""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

MAX_SECONDS = 1.0
START_SECONDS = 30.0
MAX_TRIALS = 500
_COSTLY = {"multipleOf", "pattern", "patternProperties", "allOf", "oneOf"}
_ALARM = -int(getattr(signal, "SIGALRM", 14))


def check_schema(schema: dict[str, Any], what: str) -> None:
    """Raises InputError for a schema that cannot be enforced, with the JSON pointer of the part at fault."""
    from edge.errors import InputError
    from edge.strict_json import check_depth

    check_depth(schema, what)
    fault = _in_child(schema) if _is_costly(schema) else find_fault(schema)
    if fault:
        pointer, reason = fault
        raise InputError(
            f"{what} cannot be used: {reason} (at {pointer or 'its root'}).", "change that part of the schema"
        )


def find_fault(schema: Any) -> tuple[str, str] | None:
    """(JSON pointer, reason) of the smallest part that fails for the same reason as the whole, or None."""
    reason = _compile(schema)
    if not reason:
        return None
    shared = {key: schema[key] for key in ("$defs", "definitions") if key in schema}
    best = ""
    for pointer, part in islice(_parts(schema, ""), MAX_TRIALS):
        if len(pointer) > len(best) and pointer.startswith(best) and _compile(shared | part) == reason:
            best = pointer
    return best, reason


def _compile(schema: Any) -> str:
    """The compiler's complaint in one line, "" when there is none."""
    from llguidance import LLMatcher, LLTokenizer

    grammar = LLMatcher.grammar_from_json_schema(json.dumps(schema))
    matcher = LLMatcher(LLTokenizer("byte"), grammar, log_level=0)
    return " ".join(str(matcher.get_error()).split())[:300].rstrip(".")


def _parts(node: Any, pointer: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """All objects inside `node`, outer before inner."""
    children: Any = ()
    if isinstance(node, dict):
        if pointer:
            yield pointer, node
        children = node.items()
    elif isinstance(node, list):
        children = enumerate(node)
    for key, child in children:
        yield from _parts(child, f"{pointer}/{str(key).replace('~', '~0').replace('/', '~1')}")


def _is_costly(schema: Any) -> bool:
    return any(not _COSTLY.isdisjoint(part) for _, part in _parts([schema], ""))


def _in_child(schema: Any) -> tuple[str, str] | None:
    try:
        done = subprocess.run(
            [sys.executable, "-P", str(Path(__file__))],
            input=json.dumps(schema).encode(),
            capture_output=True,
            timeout=START_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "", "it takes too long to compile"
    if done.returncode == _ALARM:
        return "", f"it takes longer than {MAX_SECONDS:g} s to compile"
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        return "", "the grammar compiler gave up on it"
    return (answer[0], answer[1]) if answer else None


if __name__ == "__main__":
    given = json.load(sys.stdin.buffer)
    import llguidance  # noqa: F401  its import is not part of the time limit

    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, MAX_SECONDS)
    sys.stdout.write(json.dumps(find_fault(given)))

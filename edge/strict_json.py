"""JSON from a stranger: limits on size and depth, and none of the things that Python accepts but JSON does not."""

import json
import math
from typing import Any

from edge.errors import EdgeError, InputError

MAX_BYTES = 1 << 20
MAX_DEPTH = 64


def loads(
    data: bytes | str,
    what: str,
    max_bytes: int = MAX_BYTES,
    max_depth: int = MAX_DEPTH,
    error: type[EdgeError] = InputError,
    hint: str = "",
) -> Any:
    """Parses UTF-8 JSON called `what` in errors; duplicate keys and NaN are errors too.

    Raises `error`, with `hint` as the next step instead of one about the fault.
    """
    raw = data if isinstance(data, bytes) else data.encode("utf-8", "surrogatepass")
    if len(raw) > max_bytes:
        raise error(
            f"{what} is {len(raw):,} bytes, the limit is {max_bytes:,}.", hint or "make it smaller, or split it"
        )
    try:
        value = json.loads(
            raw.decode("utf-8-sig"),
            object_pairs_hook=_no_duplicates,
            parse_constant=_no_constant,
            parse_float=_finite,
        )
        check_depth(value, what, max_depth, error, hint)
        json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise _too_deep(what, max_depth, error, hint) from None
    except UnicodeDecodeError as fault:
        raise error(f"{what} is not UTF-8: byte {fault.start} is wrong.", hint or "save it as UTF-8") from None
    except UnicodeEncodeError:
        raise error(f"{what} holds a lone surrogate escape.", hint or "remove the broken \\u escape") from None
    except json.JSONDecodeError as fault:
        place = f"{fault.msg} at line {fault.lineno}, column {fault.colno}"
        check = "check it with: python -m json.tool FILE"
        raise error(f"{what} is not valid JSON: {place}.", hint or check) from None
    except ValueError as fault:
        raise error(f"{what} is not valid JSON: {fault}.", hint or "correct the named value") from None
    return value


def check_depth(
    value: Any, what: str, limit: int = MAX_DEPTH, error: type[EdgeError] = InputError, hint: str = ""
) -> None:
    """Raises `error` when lists and objects are nested more than `limit` deep. Works without recursion."""
    level = [value]
    for _ in range(limit + 1):
        level = [
            child
            for node in level
            if isinstance(node, dict | list)
            for child in (node.values() if isinstance(node, dict) else node)
        ]
        if not level:
            return
    raise _too_deep(what, limit, error, hint)


def _too_deep(what: str, limit: int, error: type[EdgeError], hint: str) -> EdgeError:
    return error(f"{what} is nested more than {limit} levels deep.", hint or "flatten it")


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(n for n in names if names.count(n) > 1)!r} occurs twice")
    return result


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {text[:20]} is too large")
    return number

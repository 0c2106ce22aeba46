"""Child process that renders one foreign chat template: a JSON request on stdin, a JSON answer on stdout.

It imports nothing of ours, so that it starts fast and a sandbox escape finds little. Limits: CPU time, memory,
no file writes, output size; the parent adds a wall-clock limit.
"""

import datetime
import json
import re
import sys
from collections.abc import Callable
from typing import Any

from jinja2 import TemplateError, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

CPU_SECONDS = 5
MEMORY_BYTES = 512 << 20
MAX_OUTPUT = 8 << 20


class RefusedError(Exception):
    """The template called raise_exception."""


class GenerationTag(Extension):
    """`{% generation %}` marks assistant text for training; here it only passes its body on."""

    tags = {"generation"}  # noqa: RUF012  jinja2 declares it as a plain attribute

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def render(request: dict[str, Any]) -> dict[str, str]:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols", GenerationTag]
    )
    environment.filters["tojson"] = _tojson(request["placeholder"])
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = lambda form: datetime.datetime.now().strftime(form)
    pieces, size = [], 0
    try:
        for piece in environment.from_string(request["template"]).generate(**request["context"]):
            pieces.append(piece)
            size += len(piece)
            if size > MAX_OUTPUT:
                return {"error": f"more than {MAX_OUTPUT:,} characters of output"}
    except RefusedError as refusal:
        return {"refused": str(refusal)[:500]}
    except MemoryError:
        return {"error": "out of memory"}
    except RecursionError:
        return {"error": "too deep recursion"}
    except (TemplateError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        return {"error": f"{type(error).__name__}: {error}"[:500]}
    return {"text": "".join(pieces)}


def _tojson(placeholder: str) -> Callable[..., str]:
    raw = re.compile(placeholder)

    def tojson(value: Any, indent: int | None = None, **options: Any) -> str:
        allowed: dict[str, Any] = {k: options[k] for k in ("separators", "sort_keys", "ensure_ascii") if k in options}
        text = json.dumps(value, indent=indent, **({"ensure_ascii": False} | allowed))
        return raw.sub(lambda match: f"{match[0][:-2]}jz", text)

    return tojson


def _refuse(message: str) -> None:
    raise RefusedError(message)


def _limit() -> None:
    try:
        import resource
    except ImportError:
        return  # Windows has none of these limits, the wall clock remains
    for kind, value in (
        (resource.RLIMIT_CPU, CPU_SECONDS),
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (value, value))


if __name__ == "__main__":
    asked = json.load(sys.stdin.buffer)
    _limit()
    sys.stdout.write(json.dumps(render(asked)))

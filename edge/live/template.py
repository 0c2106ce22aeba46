"""Text with {argument} placeholders; {{ and }} stand for the braces themselves."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from edge.errors import InputError

_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


@dataclass(frozen=True, slots=True)
class Template:
    """`literals` and `names` take turns: literal, name, literal, …, literal. `source` is the text as it was written."""

    source: str
    literals: tuple[str, ...]
    names: tuple[str, ...]

    def fill(self, values: Mapping[str, str]) -> str:
        """The text with each name's value in its place. `values` has all names."""
        filled = [literal + values[name] for literal, name in zip(self.literals, self.names, strict=False)]
        return "".join(filled) + self.literals[-1]

    @property
    def begins_with_placeholder(self) -> bool:
        return bool(self.names) and not self.literals[0]


def parse_template(source: str, known: Mapping[str, object], where: str) -> Template:
    """Raises InputError, beginning with `where`, for a lone brace or a name that is not in `known`."""
    literals, names, position = [""], [], 0
    for token in _TOKEN.finditer(source):
        literals[-1] += source[position : token.start()]
        position = token.end()
        if token[0] in ("{{", "}}"):
            literals[-1] += token[0][0]
        elif token[1] is None:
            raise InputError(f"{where} has a single {token[0]} in {source!r}.", f"write {token[0] * 2} for a brace")
        elif token[1] not in known:
            arguments = ", ".join(known) or "it has none"
            raise InputError(
                f"{where} has the placeholder {token[0]}, which is no argument of this tool.",
                f"use one of its arguments ({arguments}), or write {{{{ and }}}} for braces",
            )
        else:
            names.append(token[1])
            literals.append("")
    literals[-1] += source[position:]
    return Template(source, tuple(literals), tuple(names))

"""Any JSON schema as a constraint, for --schema FILE.json."""

from pathlib import Path
from typing import Any

from edge import strict_json
from edge.errors import InputError
from edge.prompt.constraint import Constraint, GrammarVocab, json_rule
from edge.prompt.schema_compile import check_schema


def load_schema(path: str | Path) -> dict[str, Any]:
    """Reads a schema file of at most 1 MB. Raises InputError."""
    try:
        with Path(path).open("rb") as file:
            data = file.read(strict_json.MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"Schema file {path} cannot be read: {error.strerror}.", "check --schema") from None
    schema = strict_json.loads(data, f"Schema file {path}")
    if not isinstance(schema, dict):
        raise InputError(f"Schema file {path} is not a JSON object.", 'start with {"type": "object", …}')
    return schema


def schema_constraint(vocab: GrammarVocab, schema: dict[str, Any]) -> Constraint:
    """The answer is one JSON value valid under `schema`. Raises InputError naming the JSON pointer at fault."""
    check_schema(schema, "The schema")
    return Constraint(vocab, f"start: {json_rule(schema)}")

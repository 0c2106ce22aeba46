"""What the JSON files of a foreign folder say about its decoder. Read with limits, because they may come from a
stranger."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from edge import strict_json
from edge.bundle.contract import Contract
from edge.bundle.files import read_regular
from edge.errors import BundleError

MAX_JSON_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class Described:
    """`graph` is a file of the folder. `names` has all names that the graph may use. Sizes that the graph itself may
    have are 0 when nothing is said; `stop` may be empty."""

    architecture: str
    graph: str
    names: Contract
    context_length: int
    vocab_size: int
    hidden_size: int
    kv_heads: int
    head_size: int
    stop: list[int]
    bos: int | None


def cannot(folder: Path, what: str, hint: str = "") -> NoReturn:
    """Refuses a folder with one sentence about it."""
    raise BundleError(
        f"{folder.name} {what}.",
        hint or "run a folder with one text decoder, or make a bundle: edge export CHECKPOINT OUT",
    )


def read_object(folder: Path, name: str) -> dict[str, Any]:
    """A JSON object, {} when there is no such file. Raises BundleError."""
    if not (folder / name).exists():
        return {}
    data = read_regular(folder, name, MAX_JSON_BYTES)
    value = strict_json.loads(data, name, MAX_JSON_BYTES, error=BundleError, hint="Download the folder again.")
    return value if isinstance(value, dict) else {}


def inner(config: dict[str, Any], key: str) -> dict[str, Any]:
    """An object in `config`, {} when it is missing or something else."""
    value = config.get(key)
    return value if isinstance(value, dict) else {}


def size(config: dict[str, Any], *keys: str) -> int:
    """The first of these that is a positive integer, else 0."""
    return next((value for key in keys if type(value := config.get(key)) is int and value > 0), 0)


def token_ids(*values: object) -> list[int]:
    """Ids that are given as a number or a list, each once, in order."""
    listed = [one for value in values for one in (value if isinstance(value, list) else [value])]
    return list(dict.fromkeys(one for one in listed if type(one) is int and one >= 0))

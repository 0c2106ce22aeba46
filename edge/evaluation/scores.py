"""What one answer scores: for each measure, how much was right or wrong of how much."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from edge.evaluation.labels import Item
from edge.evaluation.numbers import only_number, whole_part
from edge.evaluation.words import basic_word_errors, word_errors
from edge.events import ToolCall

MEASURES = {
    "wer": "WER",
    "wer_basic": "WER, basic",
    "transcript": "transcript right",
    "exact": "exact",
    "number": "number",
    "whole": "whole part",
    "valid_calls": "valid call",
    "calls": "right call",
}
"""Keys in reports and titles in tables, in the order of the columns."""

ERRORS = ("wer", "wer_basic")
"""Measures of which less is better: wrong words of all words. The others count answers that are right."""


class Score(NamedTuple):
    """`part` of the words are wrong, or 1 of 1 answer is right."""

    part: int
    of: int = 1


class Reply(NamedTuple):
    """What the model said. `broken_call`: a call was opened that is none, because it is cut off."""

    text: str
    calls: tuple[ToolCall, ...] = ()
    broken_call: bool = False


def score(item: Item, reply: Reply) -> dict[str, Score]:
    """The measures that the item's metric stands for."""
    if isinstance(item.expected, tuple):
        return _calls(item.expected, reply)
    expected, said = item.expected, reply.text
    match item.metric:
        case "wer":
            words = word_errors(expected, said)
            basic = basic_word_errors(expected, said)
            return {"wer": Score(*words), "wer_basic": Score(*basic), "transcript": _bit(words.wrong == 0)}
        case "number":
            shown, read = only_number(expected), only_number(said)
            whole = shown is not None and read is not None and whole_part(shown) == whole_part(read)
            return {"number": _bit(shown == read), "whole": _bit(whole)}
    return {"exact": _bit(plain(expected) == plain(said))}


def plain(text: str) -> str:
    """Without what an exact answer may differ in: case, white space, and punctuation at its end."""
    return " ".join(text.split()).casefold().rstrip(".!?,;:… ")


def same_calls(one: tuple[ToolCall, ...], other: tuple[ToolCall, ...]) -> bool:
    """Same names with the same arguments, as often; order does not matter, and 40 is 40.0 as in JSON."""
    return sorted(map(_canonical, one)) == sorted(map(_canonical, other))


def _calls(expected: tuple[ToolCall, ...], reply: Reply) -> dict[str, Score]:
    # the runtime hands out only calls that parse and fit their tool
    valid = bool(reply.calls) if expected else not reply.broken_call
    return {"valid_calls": _bit(valid), "calls": _bit(valid and same_calls(expected, reply.calls))}


def _canonical(call: ToolCall) -> str:
    return json.dumps([call.name, _plain_numbers(call.arguments)], sort_keys=True)


def _plain_numbers(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain_numbers(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain_numbers(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _bit(right: bool) -> Score:
    return Score(int(right))

"""From single results to one row per bundle and mode, and one per bundle and group."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from edge.evaluation.intervals import bootstrap, wilson
from edge.evaluation.results import Result
from edge.evaluation.run import MODES
from edge.evaluation.scores import ERRORS, MEASURES, Score


@dataclass(frozen=True, slots=True)
class Figure:
    """A rate with its 95 % interval, over `items` items: `count` of `of` words are wrong, or answers right."""

    value: float
    low: float
    high: float
    count: int
    of: int
    items: int


@dataclass(frozen=True, slots=True)
class Row:
    """`kind` mode or group. Times and speeds are medians over answered items; None where nothing was measured.

    `failed` items have no answer and are in no figure; `cut` answers came to the limit of tokens. Peak memory and load
    time are those of the whole process of a mode; a group has the largest of its modes.
    """

    bundle: str
    kind: str
    name: str
    items: int
    failed: int
    cut: int
    figures: dict[str, Figure]
    ttft_s: float | None
    prompt_tokens_per_s: float | None
    decode_tokens_per_s: float | None
    load_s: float
    peak_rss_bytes: int


def summarise(results: Sequence[Result]) -> list[Row]:
    """Bundles in the order they ran; in each the modes, then the groups as they first occur."""
    rows = []
    for bundle in dict.fromkeys(one.bundle for one in results):
        own = [one for one in results if one.bundle == bundle]
        for mode in MODES:
            rows += _row(bundle, "mode", mode, [one for one in own if one.item.mode == mode])
        groups = dict.fromkeys(one.item.group for one in sorted(own, key=lambda one: one.item.line) if one.item.group)
        for group in groups:
            rows += _row(bundle, "group", group, [one for one in own if one.item.group == group])
    return rows


def figure(name: str, scores: Sequence[Score]) -> Figure | None:
    """None when there is nothing to be right or wrong in: no words were expected at all."""
    count, of = sum(score.part for score in scores), sum(score.of for score in scores)
    if not of:
        return None
    if name in ERRORS:
        low, high = bootstrap([score.part for score in scores], [score.of for score in scores])
    else:
        low, high = wilson(count, of)
    return Figure(count / of, low, high, count, of, len(scores))


def _row(bundle: str, kind: str, name: str, results: list[Result]) -> list[Row]:
    if not results:
        return []
    answered = [one for one in results if not one.failed]
    figures = {}
    for key in MEASURES:
        scores = [one.scores[key] for one in answered if key in one.scores]
        if scores and (made := figure(key, scores)):
            figures[key] = made
    row = Row(
        bundle,
        kind,
        name,
        len(results),
        len(results) - len(answered),
        sum(one.finish_reason == "length" for one in answered),
        figures,
        _median(answered, lambda one: one.timing["ttft_s"]),
        _median(answered, lambda one: one.timing["prefill_tokens_per_s"]),
        _median(answered, lambda one: one.timing["decode_tokens_per_s"]),
        max(one.load_s for one in results),
        max(one.peak_rss_bytes for one in results),
    )
    return [row]


def _median(results: list[Result], value: Callable[[Result], float]) -> float | None:
    """A speed of 0 means that it could not be measured: an answer of one token has no decoding speed."""
    measured = [value(one) for one in results if value(one) > 0]
    return median(measured) if measured else None

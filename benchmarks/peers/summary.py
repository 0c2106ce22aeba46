"""From raw samples to medians, spreads and ratios."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

BASELINE = "phi-edge"


def three_digits(value: float) -> str:
    """Three significant digits without an exponent."""
    digits = max(0, 2 - len(str(int(abs(value)))) + 1) if abs(value) >= 1 else 3
    return f"{value:,.{digits}f}"


@dataclass(frozen=True, slots=True)
class Metric:
    """`read` takes the value, if there is one, out of a sample, or of an export record when `per_export`."""

    key: str
    title: str
    unit: str
    scale: float
    read: Callable[[Mapping[str, Any]], float | None]
    per_export: bool = False


@dataclass(frozen=True, slots=True)
class Spread:
    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        return cls(min(values), median(values), max(values))


@dataclass(frozen=True, slots=True)
class Row:
    """One metric of all engines; `ratios` are phi-edge ÷ engine, of the medians, low and high by round."""

    metric: Metric
    engines: dict[str, Spread]
    ratios: dict[str, Spread]


def _prompt(sample: Mapping[str, Any], length: int) -> Mapping[str, Any]:
    return next(one for one in sample["prompts"] if one["prompt_tokens"] == length)


def _per_length(length: int) -> list[Metric]:
    def reader(key: str) -> Callable[[Mapping[str, Any]], float]:
        return lambda sample: float(_prompt(sample, length)[key])

    return [
        Metric(f"prefill@{length}", f"prefill, {length} tokens", "tok/s", 1, reader("prefill_tokens_per_s")),
        Metric(f"decode@{length}", f"decode after {length} tokens", "tok/s", 1, reader("decode_tokens_per_s")),
        Metric(f"ttft@{length}", f"time to first token, {length} tokens", "s", 1, reader("ttft_s")),
    ]


def metrics(lengths: Sequence[int]) -> list[Metric]:
    per_length = [_per_length(length) for length in lengths]
    gigabyte = 1e-9
    return [
        *(metric for group in zip(*per_length, strict=True) for metric in group),
        Metric("load", "load, tokenizer included", "s", 1, lambda s: s["load_s"]),
        Metric("ready", "load to first token", "s", 1, lambda s: s["load_to_first_token_s"]),
        Metric("peak_rss", "peak RSS", "GB", gigabyte, lambda s: s["memory"]["peak_rss_bytes"]),
        Metric("disk", "files on disk", "GB", gigabyte, lambda e: e["disk_bytes"], True),
        Metric("export", "export time", "s", 1, lambda e: e["seconds"], True),
        Metric("export_rss", "export peak RSS", "GB", gigabyte, lambda e: e["peak_rss_bytes"], True),
        Metric("prepare", "on-device preparation (tune)", "s", 1, lambda e: e["prepare_s"] or None, True),
    ]


def _values(
    metric: Metric, samples: Sequence[Mapping[str, Any]], exports: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[int, float]]:
    """engine -> round -> value; an export counts as round 0."""
    if metric.per_export:
        sources = [(name, 0, record) for name, record in exports.items() if not record["error"]]
    else:
        sources = [(one["engine"], one["round"], one) for one in samples if "error" not in one]
    found: dict[str, dict[int, float]] = {}
    for engine, number, source in sources:
        value = metric.read(source)
        if value is not None:
            found.setdefault(engine, {})[number] = value * metric.scale
    return found


def ratio(ours: Mapping[int, float], theirs: Mapping[int, float]) -> Spread | None:
    """ours ÷ theirs: of the medians, and the least and greatest of the rounds that both have; None if undefined."""
    by_round = [ours[number] / theirs[number] for number in ours if theirs.get(number)]
    if not by_round:
        return None
    return Spread(min(by_round), median(ours.values()) / median(theirs.values()), max(by_round))


def summarise(
    samples: Sequence[Mapping[str, Any]], exports: Mapping[str, Mapping[str, Any]], lengths: Sequence[int]
) -> list[Row]:
    """One row per metric that any engine has a value for; failed samples and exports are left out."""
    rows = []
    for metric in metrics(lengths):
        values = _values(metric, samples, exports)
        if not any(value for rounds in values.values() for value in rounds.values()):
            continue
        ours = values.get(BASELINE, {})
        ratios = {name: ratio(ours, theirs) for name, theirs in values.items() if name != BASELINE}
        rows.append(
            Row(
                metric,
                {name: Spread.of([*rounds.values()]) for name, rounds in values.items()},
                {name: spread for name, spread in ratios.items() if spread},
            )
        )
    return rows

"""From samples to one row per case and bundle, and the ratios that the project promises something about."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.multimodal.cases import ALONE, CASES, TEXT_ONLY
from benchmarks.multimodal.lineup import MINI
from benchmarks.peers.summary import Spread, ratio

Sample = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Column:
    title: str
    unit: str
    read: Callable[[Sample], float | None]


COLUMNS = (
    Column("prompt", "tokens", lambda s: s["again"]["usage"]["prompt_tokens"]),
    Column("load", "s", lambda s: s["load_s"]),
    Column("encode", "s", lambda s: s["again"]["encode_s"] if s["again"]["mode"] != "text" else None),
    Column("prefill", "tok/s", lambda s: s["again"]["prefill_tokens_per_s"]),
    Column("first token", "s", lambda s: s["again"]["ttft_s"]),
    Column("first token, first turn", "s", lambda s: s["first"][0]["ttft_s"]),
    Column("decode", "tok/s", lambda s: s["again"]["decode_tokens_per_s"]),
    Column("real-time factor", "", lambda s: s["again"]["realtime_factor"]),
    Column("peak RSS", "GB", lambda s: s["memory"]["peak_rss_bytes"] / 1e9),
)


@dataclass(frozen=True, slots=True)
class Promise:
    """A ratio of medians with its least and greatest round, and the bound it is held against."""

    title: str
    value: Spread
    bound: str
    kept: bool


def good(samples: Sequence[Sample], bundle: str, case: str) -> dict[int, Sample]:
    """round -> sample, without the failed ones."""
    return {
        one["round"]: one for one in samples if one["engine"] == bundle and one["case"] == case and "error" not in one
    }


def cells(samples: Sequence[Sample], bundle: str, case: str) -> list[Spread | None]:
    """One cell per column; None where a column says nothing about the case, or no sample succeeded."""
    found = good(samples, bundle, case).values()
    rows = []
    for column in COLUMNS:
        values = [value for one in found if (value := column.read(one)) is not None]
        rows.append(Spread.of(values) if values else None)
    return rows


def promises(samples: Sequence[Sample], bundles: Sequence[str]) -> Iterator[Promise]:
    """Those that the cases of this run allow to compute."""

    def decode(bundle: str, case: str) -> dict[int, float]:
        return {n: one["again"]["decode_tokens_per_s"] for n, one in good(samples, bundle, case).items()}

    def peak(bundle: str, case: str) -> dict[int, float]:
        return {n: one["memory"]["peak_rss_bytes"] for n, one in good(samples, bundle, case).items()}

    for bundle in (name for name in bundles if name != MINI):
        if found := good(samples, bundle, "speech-30").values():
            factor = Spread.of([one["again"]["realtime_factor"] for one in found])
            yield Promise(f"{bundle}: 30 s of speech, time ÷ duration", factor, "below 0.5", factor.median < 0.5)
        for text in TEXT_ONLY:
            if MINI in bundles and (value := ratio(decode(bundle, text), decode(MINI, text))):
                title = f"{bundle}: decode after {text} ÷ Phi-4-mini's"
                yield Promise(title, value, "at least 0.97", value.median >= 0.97)
        for case in (one for one in CASES if one.twin):
            if value := ratio(decode(bundle, case.name), decode(bundle, case.twin)):
                title = f"{bundle}: decode after {case.name} ÷ after {case.twin}"
                yield Promise(title, value, "at least 0.8", value.median >= 0.8)
        alone = {case: peak(bundle, case) for case in ALONE}
        if all(alone.values()):
            rounds = set.intersection(*(set(found) for found in alone.values()))
            largest = {n: max(found[n] for found in alone.values()) for n in rounds}
            if value := ratio(peak(bundle, "all-modes"), largest):
                title = f"{bundle}: peak RSS of all modes ÷ of the largest alone"
                bound = "below 1.15" + ("" if bundle.endswith("-tuned") else " when tuned")
                yield Promise(title, value, bound, value.median < 1.15)
